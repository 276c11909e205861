"""Runs one spec from start to result file. A run that is cut short leaves a valid partial result."""

import contextlib
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import cast

import msgspec

from tensorwire import crossing, fidelity, metrics, plan, registry, scratch, stats, version
from tensorwire import environment as host_environment
from tensorwire.benchmarks import Benchmark, Pattern
from tensorwire.channels import Channel
from tensorwire.errors import LaunchError, RankFailed, SpecError
from tensorwire.launch import Launch, Stage, Told
from tensorwire.launchers import Command, Launcher
from tensorwire.payload import Payload
from tensorwire.preflight import check_replies, is_unix, preflight, resolve
from tensorwire.recorded import Replay, Steps
from tensorwire.result import (
    Failure,
    Measurement,
    Network,
    Point,
    RankFacts,
    Repetition,
    Result,
    Traffic,
    encode,
)
from tensorwire.sample import samples
from tensorwire.spec import Spec, options

_ENOUGH_CONFIDENCE = 0.95


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run stands: stage `stage` of point `point` of repetition `repetition`, all counted from 0."""

    repetition: int
    point: int
    stage: str


class Session:
    """One run. `result` is what is known so far, and stands in `file` after every step."""

    def __init__(self, spec: Spec, file: Path) -> None:
        """Checks the whole request; raises SpecError, ChannelUnavailable or AddressInUse before any process starts."""
        self.file = file
        self.saved = False
        self._launcher: Launcher = registry.launcher(spec.launcher)
        self.benchmark: Benchmark = registry.benchmark(spec.benchmark)
        channel: Channel = registry.channel(spec.channel)
        channel.command()  # first of all, whether it is here
        self._hosts = options(self._launcher.options, f"launcher {spec.launcher}", spec.hosts)
        self._options = options(channel.options, f"channel {spec.channel}", spec.options)
        self._command: tuple[str, ...] = getattr(self._options, "command", channel.command)()
        self._pattern = self.benchmark.pattern(options(self.benchmark.options, spec.benchmark, spec.pattern_words()))
        check_replies(spec, self._options)
        preflight(spec, self._pattern, channel, self._launcher)
        self._launcher.check(self._hosts)
        _check_writable(file)
        self._host = resolve(spec.host)
        self.result = _begin(spec, self._pattern)

    def run(self, progress: Callable[[Progress], None] = lambda _: None) -> Result:
        """Measures all repetitions; failures are facts in the result. Raises what keeps a run from beginning."""
        for repetition in range(self.result.spec.repeat.count):
            self._repeat(repetition, progress)
            if self._precise():
                break
        self.result = msgspec.structs.replace(self.result, status="complete")
        self._save()
        return self.result

    def measure_fidelity(self) -> None:
        """After a replay: whether its messages have the sizes asked for, as a tap sees them in a launch of its own."""
        if isinstance(self.result.spec.payload, Replay | Steps) and not failures(self.result):
            found = fidelity.measure(self.result.spec, partial(self._launch, (0,)))
            self.result = msgspec.structs.replace(self.result, fidelity=found)
            self._save()

    def _repeat(self, repetition: int, progress: Callable[[Progress], None]) -> None:
        """One launch; another for the points that are left when a rank was lost in one."""
        left = list(range(len(self.result.points)))
        gathered = _Gathering(Repetition())
        while left:
            at = left[0]
            try:
                with contextlib.closing(self._launch(tuple(left))) as launch:
                    for told in launch:
                        if isinstance(told, Stage):
                            at = told.point
                            progress(Progress(repetition=repetition, point=at, stage=told.name))
                        else:
                            gathered.take(told)
                            if isinstance(told, Measurement):
                                gathered.prove(told.point, self.result)
                            self._keep(repetition, gathered.repetition)
                return
            except LaunchError as lost:
                if not gathered.repetition.ranks:
                    raise  # none ever came so far as to measure: there is nothing to go on with
                gathered.take(_loss(at, lost))
                self._keep(repetition, gathered.repetition)
                left = left[left.index(at) + 1 :]

    def _launch(
        self,
        points: tuple[int, ...],
        environment: Mapping[str, str] | None = None,
        change: Callable[[plan.Plan], plan.Plan] = lambda plan: plan,
    ) -> Generator[Told, None, None]:
        spec = self.result.spec
        cores = tuple(sorted(os.sched_getaffinity(0)))
        names = [role.name for role in self._pattern.roles]
        commands = tuple(
            Command(
                rank=rank,
                role=name,
                argv=self._command,
                environment={"TENSORWIRE_ROLE": f"{name} {names[:rank].count(name)}", **(environment or {})},
            )
            for rank, name in enumerate(names)
        )
        with (
            scratch.directory() as directory,
            self._serving_host() as asked,
            self._launcher.hosts(self._hosts, len(commands)) as hosts,
        ):
            chosen = cast(dict[str, object], msgspec.to_builtins(self._options))

            def make_plan(address: str) -> plan.Plan:
                served_at = tuple(place.address or asked for place in hosts.places)
                site = plan.Site(rendezvous=address, hosts=served_at, cores=cores)
                return change(plan.make(spec, self._pattern, chosen, points, site))

            yield from Launch(commands, make_plan, spec.join_timeout_ns).run(hosts, directory)

    @contextlib.contextmanager
    def _serving_host(self) -> Iterator[str]:
        """The address that the ranks are given: Unix-domain sockets get a directory of this launch's own."""
        if not is_unix(self._host):
            yield self._host
            return
        parent = self._host.partition(":")[2]
        with scratch.directory(Path(parent) if parent else None) as sockets:
            yield f"unix:{sockets}"

    def _keep(self, repetition: int, so_far: Repetition) -> None:
        done = self.result.repetitions[:repetition]
        self.result = msgspec.structs.replace(self.result, repetitions=(*done, so_far))
        if self.result.repetitions[-1].measurements or self.result.repetitions[-1].failures:
            self._save()

    def _precise(self) -> bool:
        """Whether the interval of the median of every point's headline is as tight as was asked."""
        precision = self.result.spec.repeat.precision
        if precision is None:
            return False
        headline = metrics.get(self.benchmark.headline)
        for point in range(len(self.result.points)):
            estimate = metrics.estimate(headline, samples(self.result, point))
            if estimate is None or estimate.interval.confidence < _ENOUGH_CONFIDENCE:
                return False
            if stats.relative_half_width(estimate.interval) > precision:
                return False
        return True

    def _save(self) -> None:
        """Writes the file anew, whole or not at all."""
        unfinished = self.file.with_name(f".{self.file.name}.{os.getpid()}")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            try:
                unfinished.write_bytes(encode(self.result))
                unfinished.replace(self.file)
            finally:
                unfinished.unlink(missing_ok=True)
        except OSError as wrong:
            raise _unwritable(self.file, wrong.strerror) from wrong
        self.saved = True


class _Gathering:
    """What the ranks of one repetition have told so far."""

    def __init__(self, repetition: Repetition) -> None:
        self.repetition = repetition

    def take(self, told: Network | RankFacts | Measurement | Failure) -> None:
        so_far = self.repetition
        match told:
            case Network():
                self.repetition = msgspec.structs.replace(so_far, network=told)
            case RankFacts():
                known = {facts.rank: facts for facts in (*so_far.ranks, told)}
                ranks = tuple(known[rank] for rank in sorted(known))
                self.repetition = msgspec.structs.replace(so_far, ranks=ranks)
            case Measurement():
                seen = sorted((*so_far.measurements, told), key=lambda each: (each.point, each.rank))
                self.repetition = msgspec.structs.replace(so_far, measurements=tuple(seen))
            case Failure():
                self.repetition = msgspec.structs.replace(so_far, failures=(*so_far.failures, told))

    def prove(self, point: int, result: Result) -> None:
        """Once all ranks have measured a point that crossed hosts: whether it did."""
        seen = [each for each in self.repetition.measurements if each.point == point]
        network = self.repetition.network
        if network is None or not result.spec.prove_path or len(seen) < len(result.traffic.roles):
            return
        crossed = crossing.prove(network, result.points[point], seen, isinstance(result.spec.payload, Steps))
        if wrong := crossing.failure(point, crossed):
            self.take(wrong)


def _loss(point: int, lost: LaunchError) -> Failure:
    """Ranks that were lost, as a fact of the point that they were at."""
    rank = lost.rank if isinstance(lost, RankFailed) else None
    return Failure(point=point, rank=rank, stage="lost", type=type(lost).__name__, message=str(lost))


def _check_writable(file: Path) -> None:
    """Raises SpecError while nothing is lost yet, if this user could not write the file."""
    if file.is_dir():
        raise _unwritable(file, "it is a directory")
    existing = next(parent for parent in file.absolute().parents if parent.exists())
    if not existing.is_dir():
        raise _unwritable(file, f"{existing} is not a directory")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise _unwritable(file, f"this user may not write to {existing}")


def _unwritable(file: Path, why: str | None) -> SpecError:
    sentence = f"cannot write the result file {file}: {why}; choose another with --output FILE"
    return SpecError("output", str(file), "a file that can be written", sentence)


def failures(result: Result) -> list[Failure]:
    """All that went wrong, in order."""
    return [failure for repetition in result.repetitions for failure in repetition.failures]


def default_file(spec: Spec) -> Path:
    """results/TIME-BENCHMARK-CHANNEL.json, under the current directory."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return Path("results") / f"{now}-{spec.benchmark}-{spec.channel}.json"


def _begin(spec: Spec, pattern: Pattern) -> Result:
    together = [plan.collective(spec, pattern, index) for index in range(len(spec.points()))]
    points = [
        payloads if each is None else (Payload(sizes=(each.total,)),)
        for payloads, each in zip(spec.points(), together, strict=True)
    ]
    return Result(
        tensorwire=version(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        spec=spec,
        payload=spec.describe_payload(),
        traffic=Traffic(
            roles=tuple(role.name for role in pattern.roles),
            calls=tuple(role.calls for role in pattern.roles),
            reply="none" if pattern.collective else pattern.reply,
            collective=pattern.collective,
            outstanding=plan.outstanding(spec, pattern),
        ),
        points=tuple(
            Point(payloads=tuple(p.sizes for p in point), totals=tuple(p.total for p in point), answers=answers)
            for point, answers in zip(points, spec.replied(), strict=True)
        ),
        environment=host_environment.record(),
    )
