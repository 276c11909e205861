"""Runs one spec from start to result file. A run that is cut short leaves a valid partial result."""

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import msgspec

from tensorwire import environment, metrics, plan, registry, scratch, stats, version
from tensorwire.benchmarks import Benchmark, Pattern
from tensorwire.channels import Channel
from tensorwire.errors import RankFailed
from tensorwire.launch import Launch, Stage
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
                for told in self._launch(tuple(left)):
                    match told:
                        case Stage():
                            at = told.point
                            progress(Progress(repetition=repetition, point=at, stage=told.name))
                        case _:
                            gathered.take(told)
                            self._keep(repetition, gathered.repetition)
                return
            except RankFailed as lost:
                if not gathered.repetition.ranks:
                    raise  # none ever came so far as to measure: there is nothing to go on with
                gathered.take(Failure(point=at, rank=lost.rank, stage="lost", type="RankFailed", message=str(lost)))
                self._keep(repetition, gathered.repetition)
                left = left[left.index(at) + 1 :]

    def _launch(self, points: tuple[int, ...]) -> Iterator[Stage | RankFacts | Measurement | Failure]:
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
        headline = metrics.get(self.benchmark.shows[0])
        for point in range(len(self.result.points)):
            estimate = metrics.estimate(headline, samples(self.result, point))
            if estimate is None or estimate.interval.confidence < _ENOUGH_CONFIDENCE:
                return False
            if stats.relative_half_width(estimate.interval) > precision:
                return False
        return True

    def _save(self) -> None:
        """Writes the file anew, whole or not at all."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.file.with_name(f".{self.file.name}.{os.getpid()}")
        try:
            unfinished.write_bytes(encode(self.result))
            unfinished.replace(self.file)
            self.saved = True
        finally:
            unfinished.unlink(missing_ok=True)


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
                self.repetition = msgspec.structs.replace(so_far, measurements=(*so_far.measurements, told))
            case Failure():
                self.repetition = msgspec.structs.replace(so_far, failures=(*so_far.failures, told))


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
