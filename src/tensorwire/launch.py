"""One launch: starts the ranks, holds their rendezvous, and hears what they have to say until all are done."""

import signal
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import msgspec

from tensorwire import errors
from tensorwire.errors import ChannelError, LaunchError, RankFailed
from tensorwire.launchers import Command, Exit, Hosts, Job
from tensorwire.plan import Plan
from tensorwire.rendezvous import HandedIn, Joined, Left, Meeting
from tensorwire.result import Failure, Measurement, Network, RankFacts

_TICK_SECONDS = 0.05
_OPEN = "open"
_SETTING_UP_SECONDS = 60.0  # to open the channel, connect, get and fill memory, and check every payload
_SLACK_SECONDS = 5.0
_LAST_WORDS_SECONDS = 5.0
_HEARING_OUT_SECONDS = 0.5


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """The ranks have begun a stage of a point: prepare, check, warm-up, ready or measure."""

    point: int
    name: str


class Fatal(msgspec.Struct, frozen=True, kw_only=True):
    """A rank could not open its channel."""

    rank: int
    type: str
    message: str

    def error(self) -> ChannelError:
        """The exception that the rank meant."""
        kind = getattr(errors, self.type, ChannelError)
        known = isinstance(kind, type) and issubclass(kind, ChannelError)
        return (kind if known else ChannelError)(f"rank {self.rank}: {self.message}")


Told = Stage | Network | RankFacts | Measurement | Failure


class _Words(msgspec.Struct, frozen=True, kw_only=True):
    """What a rank hands in: an object with one key."""

    stage: Stage | None = None
    facts: RankFacts | None = None
    measurement: Measurement | None = None
    failure: Failure | None = None
    fatal: Fatal | None = None


class Launch:
    """The ranks of one plan, from start to end."""

    def __init__(self, commands: tuple[Command, ...], plan: Callable[[str], Plan], join_timeout_ns: int) -> None:
        """`plan` makes the plan once the rendezvous has an address."""
        self._commands = commands
        self._make_plan = plan
        self._join_seconds = join_timeout_ns / 1e9

    def run(self, hosts: Hosts, directory: Path) -> Generator[Told, None, None]:
        """What the hosts turned out to be, and what the ranks tell, as they tell it. Raises LaunchError (RankFailed)
        when one is lost, ChannelError when one cannot open its channel. However it ends, no rank is left."""
        if hosts.network is not None:
            yield hosts.network
        with Meeting(len(self._commands), hosts.meeting_address(directory)) as meeting:
            plan = self._make_plan(meeting.address)
            (directory / "plan.json").write_bytes(msgspec.json.encode(plan))
            commands = [self._complete(command, directory, meeting.token) for command in self._commands]
            with hosts.start(commands, directory) as job:
                yield from self._hear(_Watch(hosts, commands, meeting, job), meeting, plan)

    def _complete(self, command: Command, directory: Path, token: str) -> Command:
        return msgspec.structs.replace(
            command,
            argv=(*command.argv, str(directory / "plan.json"), str(command.rank)),
            environment={**command.environment, "TENSORWIRE_TOKEN": token},
        )

    def _hear(self, watch: "_Watch", meeting: Meeting, plan: Plan) -> Iterator[Told]:
        watch.expect_within(self._join_seconds)
        while not watch.done:
            for event in meeting.pump(_TICK_SECONDS):
                match event:
                    case Joined():
                        if not meeting.absent:
                            watch.expect_within(_longest(plan, _OPEN))
                    case Left(rank):
                        watch.left(rank)
                    case HandedIn(rank, blob):
                        told = _understand(rank, blob)
                        if isinstance(told, Stage):
                            watch.expect_within(_longest(plan, told.name))
                        yield told
            watch.look()


class _Watch:
    """Knows how long to wait, and whom to blame."""

    def __init__(self, hosts: Hosts, commands: Sequence[Command], meeting: Meeting, job: Job) -> None:
        self._hosts = hosts
        self._commands = commands
        self._meeting = meeting
        self._job = job
        self._ended: dict[int, tuple[Exit, float]] = {}
        self._left: dict[int, float] = {}
        self._seconds = 0.0
        self._deadline = 0.0

    @property
    def done(self) -> bool:
        """Whether every rank ended and everything that it had sent was heard."""
        return len(self._ended) == len(self._left) == len(self._commands)

    def expect_within(self, seconds: float) -> None:
        """Something must come within `seconds` from now."""
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds

    def left(self, rank: int) -> None:
        self._left[rank] = time.monotonic()

    def look(self) -> None:
        """Raises LaunchError for a rank that failed, vanished, never came or is late."""
        now = time.monotonic()
        self._ended.update((each.rank, (each, now)) for each in self._job.exits())
        heard_out = [each for each, since in self._ended.values() if self._is_heard_out(each, now - since)]
        failed = sorted((each for each in heard_out if each.status != 0), key=blame)
        if failed:
            raise self._failure(failed[0])
        if silent := [each.rank for each in heard_out if each.rank in self._meeting.absent]:
            raise LaunchError(f"{self._names(silent)} ended without joining the others")
        for rank, since in self._left.items():
            if rank not in self._ended and now - since > _LAST_WORDS_SECONDS:
                raise LaunchError(f"{self._name(rank)} left the rendezvous and did not end")
        if now > self._deadline and not self.done:
            raise LaunchError(self._overdue())

    def _is_heard_out(self, ended: Exit, since: float) -> bool:
        """Whether nothing more can come of a rank that ended: what it had sent tells more than its exit status.

        One that aborted, or failed without a word, may have done so for another's sake, whose end is heard meanwhile.
        """
        speaks_for_itself = ended.status != -signal.SIGABRT and (ended.status <= 0 or bool(ended.stderr.strip()))
        return (ended.rank in self._left and speaks_for_itself) or since > _HEARING_OUT_SECONDS

    def _failure(self, ended: Exit) -> RankFailed:
        role, host = self._commands[ended.rank].role, self._hosts.places[ended.rank].host
        return RankFailed(ended.rank, role, host, ended.status, ended.stderr)

    def _overdue(self) -> str:
        absent = self._meeting.absent
        if absent:
            return f"{self._names(absent)} did not join within {self._seconds:g} s"
        late = self._meeting.late or [rank for rank in range(len(self._commands)) if rank not in self._ended]
        return f"{self._names(late)} did not finish a stage of the run within {self._seconds:g} s"

    def _name(self, rank: int) -> str:
        where = f" on {self._hosts.places[rank].host}" if self._hosts.network else ""
        return f"rank {rank} ({self._commands[rank].role}{where})"

    def _names(self, ranks: list[int]) -> str:
        shown = ", ".join(self._name(rank) for rank in ranks[:4])
        return shown + (f" and {len(ranks) - 4} more" if len(ranks) > 4 else "")


def blame(ended: Exit) -> tuple[bool, bool, bool, int]:
    """Whom to name first: who was killed, before who ended itself, perhaps for want of the other; and who says why."""
    return ended.status > 0, ended.status == -signal.SIGABRT, not ended.stderr.strip(), ended.rank


def _longest(plan: Plan, stage: str) -> float:
    """The most seconds that a stage may take: its set time, one call's timeout, and slack."""
    set_ns = {"warm-up": plan.warmup_ns, "measure": plan.duration_ns}.get(stage, 0)
    if any(point.collective for point in plan.points):
        set_ns *= 2  # the calls were counted before: a host that became slower meanwhile is waited for
    slack = _SETTING_UP_SECONDS if stage in (_OPEN, "answer", "prepare", "check") else _SLACK_SECONDS
    if set_ns and (scripts := [script for point in plan.points for script in point.scripts]):
        set_ns += max(script.period_ns for script in scripts)  # a step that straddles the end is finished
        slack += _SETTING_UP_SECONDS
    return (set_ns + plan.timeout_ns) / 1e9 + slack


def _understand(rank: int, blob: bytes) -> Told:
    try:
        words = msgspec.json.decode(blob, type=_Words)
    except msgspec.DecodeError as wrong:
        raise LaunchError(f"rank {rank} handed in something that is not of this version: {wrong}") from wrong
    if words.fatal:
        raise words.fatal.error()
    told = words.stage or words.facts or words.measurement or words.failure
    if told is None:
        raise LaunchError(f"rank {rank} handed in something that this version does not know")
    return told
