"""One launch, with ranks that are small scripts: what they tell is heard, and whoever fails is blamed."""

import signal
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from msgspec import json

from tensorwire import launch, plan
from tensorwire.benchmarks import Pattern, Role
from tensorwire.errors import AddressInUse, ChannelError, LaunchError, RankFailed
from tensorwire.launch import Launch, Stage, Told, blame
from tensorwire.launchers import Command, Exit
from tensorwire.launchers.local import ThisHost
from tensorwire.result import Failure
from tensorwire.spec import Spec
from tensorwire.units import Nanoseconds
from tests import results

PATTERN = Pattern(roles=(Role(name="ps", serves=True), Role(name="worker", serves=False, calls=(0,))), reply="echo")
PATIENT_NS = 30_000_000_000

# The rank's end of the rendezvous; its last line is the script that a test gives it.
RANK = """
import hmac, json, os, signal, socket, struct, sys
plan, rank = json.load(open(sys.argv[-2])), int(sys.argv[-1])
host, port = plan["rendezvous"].rsplit(":", 1)

def join():
    global meeting, answers
    meeting = socket.create_connection((host, int(port)))
    answers = meeting.makefile("rb")
    challenge = hear()[1:]
    proof = hmac.new(os.environ["TENSORWIRE_TOKEN"].encode(), challenge + b"%d" % rank, "sha256").hexdigest()
    frame(json.dumps({"rank": rank, "proof": proof}).encode())
    hear()

def hear():
    return answers.read(struct.unpack("<I", answers.read(4))[0])

def frame(body):
    meeting.sendall(struct.pack("<I", len(body)) + body)

def hand_in(**words):
    frame(b"H" + json.dumps(words).encode())

def fail(message):
    hand_in(failure={"point": 0, "rank": rank, "stage": "check", "type": "PeerLost", "message": message})

def gather():
    frame(b"G")
    hear()

exec(sys.argv[1])
"""


def begin(directory: Path, *scripts: str, join_timeout_ns: int = PATIENT_NS) -> Generator[Told, None, None]:
    """What ranks tell that run these scripts."""
    commands = tuple(
        Command(rank=rank, role=role.name, argv=(sys.executable, "-S", "-c", RANK, script), environment={})
        for rank, (role, script) in enumerate(zip(PATTERN.roles, scripts, strict=True))
    )

    def make_plan(address: str) -> plan.Plan:
        spec = Spec(warmup_ns=Nanoseconds(0), duration_ns=Nanoseconds(1_000_000), timeout_ns=Nanoseconds(1_000_000))
        return plan.make(spec, PATTERN, {}, (0,), plan.Site(rendezvous=address, hosts=("127.0.0.1",) * 2, cores=(0,)))

    return Launch(commands, make_plan, join_timeout_ns).run(ThisHost(PATTERN.size), directory)


def hear(directory: Path, *scripts: str, join_timeout_ns: int = PATIENT_NS) -> list[Told]:
    """All that they tell."""
    return list(begin(directory, *scripts, join_timeout_ns=join_timeout_ns))


def runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_what_ranks_tell_is_heard_until_all_have_ended(tmp_path: Path) -> None:
    seen = results.measurement(1, results.calling([10]))
    server = 'join(); hand_in(stage={"point": 0, "name": "check"}); gather()'
    worker = f"join(); gather(); hand_in(measurement=json.loads({json.encode(seen).decode()!r}))"
    assert hear(tmp_path, server, worker) == [Stage(point=0, name="check"), seen]


def test_facts_and_failures_are_heard(tmp_path: Path) -> None:
    facts = results.facts(0)
    server = f"join(); hand_in(facts=json.loads({json.encode(facts).decode()!r})); gather()"
    told = hear(tmp_path, server, "join(); gather(); fail('gone')")
    assert told == [facts, Failure(point=0, rank=1, stage="check", type="PeerLost", message="gone")]


def test_the_plan_lies_in_the_directory_of_the_launch(tmp_path: Path) -> None:
    hear(tmp_path, "join()", "join()")
    assert json.decode((tmp_path / "plan.json").read_bytes(), type=plan.Plan).ranks[1].calls == (0,)


def test_a_rank_that_fails_is_blamed_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(RankFailed) as blamed:
        hear(tmp_path, "join(); gather()", "join(); print('no such device', file=sys.stderr); sys.exit(4)")
    assert (blamed.value.rank, blamed.value.role, blamed.value.status) == (1, "worker", 4)
    assert blamed.value.stderr == "no such device"


def test_a_rank_that_is_killed_is_blamed_with_the_signal(tmp_path: Path) -> None:
    with pytest.raises(RankFailed, match=r"rank 0 \(ps on .*\) was killed by SIGKILL") as blamed:
        hear(tmp_path, "join(); os.kill(os.getpid(), signal.SIGKILL)", "join(); gather()")
    assert blamed.value.status == -9


def test_who_was_killed_is_blamed_before_who_aborted_and_those_before_who_failed() -> None:
    statuses = {0: 1, 1: -signal.SIGABRT, 2: -signal.SIGKILL, 3: -signal.SIGKILL}
    ended = [Exit(rank=rank, status=status, stderr="") for rank, status in statuses.items()]
    assert [each.rank for each in sorted(ended, key=blame)] == [2, 3, 1, 0]


def test_who_says_why_it_failed_is_blamed_before_who_says_nothing() -> None:
    ended = [Exit(rank=0, status=1, stderr="\n"), Exit(rank=1, status=1, stderr="no way to rank 0")]
    assert [each.rank for each in sorted(ended, key=blame)] == [1, 0]


def test_a_rank_that_fails_before_it_joins_is_blamed_as_well(tmp_path: Path) -> None:
    with pytest.raises(RankFailed, match="rank 1"):
        hear(tmp_path, "join(); gather()", "sys.exit(127)")


def test_what_a_rank_said_before_it_failed_is_heard(tmp_path: Path) -> None:
    heard: list[Told] = []
    worker = "join()\nfor _ in range(2000): fail('x' * 1000)\nsys.exit(1)"
    with pytest.raises(RankFailed):
        heard.extend(begin(tmp_path, "join(); gather()", worker))
    assert len(heard) == 2000


def test_a_rank_that_ends_without_joining_is_named(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"^rank 1 \(worker\) ended without joining the others$"):
        hear(tmp_path, "join(); gather()", "pass")


def test_a_rank_that_does_not_join_in_time_is_named(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"^rank 1 \(worker\) did not join within 3 s$"):
        hear(tmp_path, "join(); gather()", "signal.pause()", join_timeout_ns=3_000_000_000)


def test_a_rank_that_the_others_wait_for_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_SETTING_UP_SECONDS", 2.0)
    with pytest.raises(LaunchError, match=r"^rank 1 \(worker\) did not finish a stage of the run within"):
        hear(tmp_path, "join(); gather()", "join(); signal.pause()")


def test_a_rank_that_leaves_and_does_not_end_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_LAST_WORDS_SECONDS", 0.0)
    leaves = "join(); answers.close(); meeting.close(); signal.pause()"
    with pytest.raises(LaunchError, match=r"^rank 0 \(ps\) left the rendezvous and did not end$"):
        hear(tmp_path, leaves, "join(); gather()")


def test_a_channel_that_cannot_be_opened_is_the_error_that_the_rank_meant(tmp_path: Path) -> None:
    fatal = 'join(); hand_in(fatal={"rank": 0, "type": "AddressInUse", "message": "port 5 is taken"}); sys.exit(1)'
    with pytest.raises(AddressInUse, match=r"^rank 0: port 5 is taken$"):
        hear(tmp_path, fatal, "join(); gather()")


@pytest.mark.parametrize("kind", ["SomethingNew", "SpecError", "signal"])
def test_an_error_of_an_unknown_type_is_one_of_the_channel(tmp_path: Path, kind: str) -> None:
    fatal = f'join(); hand_in(fatal={{"rank": 1, "type": "{kind}", "message": "oh"}}); sys.exit(1)'
    with pytest.raises(ChannelError, match=r"^rank 1: oh$") as raised:
        hear(tmp_path, "join(); gather()", fatal)
    assert type(raised.value) is ChannelError


@pytest.mark.parametrize("blob", ['b"Hgarbage"', """b'H{"stage": 3}'""", 'b"H{}"', """b'H{"later": 1}'"""])
def test_words_that_nobody_understands_end_the_launch(tmp_path: Path, blob: str) -> None:
    with pytest.raises(LaunchError, match="rank 1 handed in something"):
        hear(tmp_path, "join(); gather()", f"join(); frame({blob}); gather()")


def test_a_launch_that_is_left_leaves_no_rank(tmp_path: Path) -> None:
    says_who = "join(); fail(os.getpid().__str__()); gather(); gather()"
    told = begin(tmp_path, says_who, says_who)
    pids = [int(next(told).message), int(next(told).message)]  # type: ignore[union-attr]
    told.close()
    assert not any(map(runs, pids))
