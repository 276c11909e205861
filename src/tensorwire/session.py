"""Runs one spec from start to result file. A run that is cut short leaves a valid partial result."""

import contextlib
import os
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import msgspec

from tensorwire import environment, metrics, plan, registry, scratch, stats, version
from tensorwire.benchmarks import Benchmark, Pattern
from tensorwire.channels import Channel
from tensorwire.errors import LaunchError, RankFailed, SpecError
from tensorwire.launch import Launch, Stage, Told
from tensorwire.launchers import Command, Launcher
from tensorwire.preflight import is_unix, preflight, resolve
from tensorwire.result import (
    Failure,
    Measurement,
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
        self._command = channel.command()
        self._options = options(channel.options, f"channel {spec.channel}", spec.options)
        self._pattern = self.benchmark.pattern(options(self.benchmark.options, spec.benchmark, spec.pattern))
        preflight(spec, self._pattern, channel)
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
                            self._keep(repetition, gathered.repetition)
                return
            except LaunchError as lost:
                if not gathered.repetition.ranks:
                    raise  # none ever came so far as to measure: there is nothing to go on with
                gathered.take(_loss(at, lost))
                self._keep(repetition, gathered.repetition)
                left = left[left.index(at) + 1 :]

    def _launch(self, points: tuple[int, ...]) -> Generator[Told, None, None]:
        spec = self.result.spec
        cores = tuple(sorted(os.sched_getaffinity(0)))
        commands = tuple(
            Command(rank=rank, role=role.name, argv=self._command, environment={})
            for rank, role in enumerate(self._pattern.roles)
        )
        with scratch.directory() as directory, self._serving_host() as host:
            chosen = cast(dict[str, object], msgspec.to_builtins(self._options))

            def make_plan(address: str) -> plan.Plan:
                site = plan.Site(rendezvous=address, host=host, cores=cores)
                return plan.make(spec, self._pattern, chosen, points, site)

            yield from Launch(commands, make_plan, spec.join_timeout_ns).run(self._launcher, directory)

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

    def take(self, told: RankFacts | Measurement | Failure) -> None:
        so_far = self.repetition
        match told:
            case RankFacts():
                known = {facts.rank: facts for facts in (*so_far.ranks, told)}
                ranks = tuple(known[rank] for rank in sorted(known))
                self.repetition = msgspec.structs.replace(so_far, ranks=ranks)
            case Measurement():
                seen = sorted((*so_far.measurements, told), key=lambda each: (each.point, each.rank))
                self.repetition = msgspec.structs.replace(so_far, measurements=tuple(seen))
            case Failure():
                self.repetition = msgspec.structs.replace(so_far, failures=(*so_far.failures, told))


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
    points = spec.points()
    return Result(
        tensorwire=version(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        spec=spec,
        payload=spec.describe_payload(),
        traffic=Traffic(
            roles=tuple(role.name for role in pattern.roles),
            calls=tuple(role.calls for role in pattern.roles),
            reply=pattern.reply,
            outstanding=plan.outstanding(spec, pattern),
        ),
        points=tuple(
            Point(payloads=tuple(p.sizes for p in point), totals=tuple(p.total for p in point)) for point in points
        ),
        environment=environment.record(),
    )
