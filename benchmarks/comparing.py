"""What `tensorwire compare` says of repetitions that were really run, whose true answer is known.

The repetitions of one build are recorded once. Held against each other, they must not come out as faster or slower.
Held against the same repetitions with every duration stretched by a tenth (on paper: nothing is run more slowly), the
latency must come out as slower.
"""

import random
from collections import Counter
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from benchmarks.judging import Limit, Verdict, at_least, at_most
from benchmarks.seen import CannotMeasure
from benchmarks.sides import run_spec
from benchmarks.traffic import Site
from tensorwire.compare import Comparison, Finding, Question, compare
from tensorwire.histogram import Histogram, bucket, bucket_bounds
from tensorwire.result import Measurement, Repetition, Result
from tensorwire.spec import Repeat, Spec
from tensorwire.units import Nanoseconds

SLOWER = 1.10
_FEW, _MORE = 5, 10  # repetitions of each side
_DRAWS = 100
_RECORDED_PER_ROUND = 8
_LATENCY = "rtt_p50"
_NO_ALARM = ("same", "inconclusive")


class Gate(Struct, frozen=True, kw_only=True):
    """The claims about `compare`, on repetitions of one request."""

    name: str
    title: str
    spec: Spec

    def judge(self, site: Site, rounds: int) -> list[Verdict]:
        """Records eight repetitions for each round, each of a quarter of the time of a run."""
        count = max(rounds * _RECORDED_PER_ROUND, 2 * _MORE)
        quarter = Nanoseconds(int(site.seconds * 1e9 / 4))
        spec = msgspec.structs.replace(
            self.spec, warmup_ns=quarter, duration_ns=quarter, port=0, repeat=Repeat(count=count)
        )
        try:
            recorded = run_spec(spec)
        except CannotMeasure as reason:
            return [Verdict(claim=self.title, limit="", seen=str(reason), spread="", holds=None)]
        return [*self._windows(recorded), *self._shuffled(recorded, _FEW), *self._shuffled(recorded, _MORE)]

    def _windows(self, recorded: Result) -> list[Verdict]:
        """In the order in which they were run; windows overlap. What drifts in between counts as a change."""
        runs = recorded.repetitions
        windows = [runs[i : i + 2 * _FEW] for i in range(0, len(runs) - 2 * _FEW + 1, 2)]
        orders = {
            f"{_FEW} after {_FEW}": [(window[:_FEW], window[_FEW:]) for window in windows],
            f"{_FEW} and {_FEW} in turns": [(window[::2], window[1::2]) for window in windows],
        }
        return [
            self._verdict(
                f"A/A, {order}",
                [_compared(_part(recorded, one), _part(recorded, other)).outcome for one, other in sides],
                _NO_ALARM,
                at_least(95),
            )
            for order, sides in orders.items()
        ]

    def _shuffled(self, recorded: Result, count: int) -> list[Verdict]:
        """Repetitions drawn without replacement, so that no drift tells the sides apart."""
        draw = random.Random(count)
        alike, slowed = [], []
        for _ in range(_DRAWS):
            chosen = draw.sample(recorded.repetitions, 2 * count)
            base, new = _part(recorded, chosen[:count]), _part(recorded, chosen[count:])
            alike.append(_compared(base, new).outcome)
            slowed.append(_latency(_compared(base, stretched(new))).verdict)
        sides = f"{count} against {count} of them"
        found = [
            self._verdict(f"A/A, {sides}", alike, _NO_ALARM, at_least(95)),
            self._verdict(f"durations x {SLOWER:.2f}, {sides}", slowed, ("same", "faster"), at_most(1)),
        ]
        if count == _MORE:
            found.append(self._verdict(f"durations x {SLOWER:.2f}, {sides}", slowed, ("slower",), at_least(90)))
        return found

    def _verdict(self, what: str, verdicts: Sequence[str], wanted: tuple[str, ...], limit: Limit) -> Verdict:
        """The share of the comparisons that came out as one of `wanted`."""
        counted = ", ".join(f"{times} {verdict}" for verdict, times in Counter(verdicts).most_common())
        share = 100 * sum(verdict in wanted for verdict in verdicts) / len(verdicts)
        return Verdict(
            claim=f"{self.title}, {what}: comes out {' or '.join(wanted)}",
            limit=limit.text("%"),
            seen=f"{share:.1f} %",
            spread=counted,
            holds=limit.allows(share),
        )


def stretched(result: Result) -> Result:
    """The result, had everything but its CPU time taken a tenth longer."""
    return _part(result, [_stretched_run(each) for each in result.repetitions])


def _stretched_run(run: Repetition) -> Repetition:
    return msgspec.structs.replace(run, measurements=tuple(map(_stretched_measurement, run.measurements)))


def _stretched_measurement(seen: Measurement) -> Measurement:
    calling = seen.calling
    if calling is None:
        return seen
    series = msgspec.structs.replace(calling.series, interval_ns=round(calling.series.interval_ns * SLOWER))
    longer = msgspec.structs.replace(
        calling,
        elapsed_ns=round(calling.elapsed_ns * SLOWER),
        latency=_stretched_latency(calling.latency),
        series=series,
    )
    return msgspec.structs.replace(seen, calling=longer)


def _stretched_latency(seen: Histogram) -> Histogram:
    """Bucket by bucket, each moved as its middle; the shortest and the longest exactly."""
    least, most = round(seen.min_ns * SLOWER), round(seen.max_ns * SLOWER)
    moved: Counter[int] = Counter()
    for index, count in seen.buckets:
        middle = sum(bucket_bounds(index)) / 2 * SLOWER
        moved[bucket(round(min(max(middle, least), most)))] += count
    for end, value in ((min, least), (max, most)):
        outermost = moved.pop(end(moved))
        moved[bucket(value)] += outermost
    return Histogram(
        count=seen.count,
        sum_ns=Nanoseconds(round(seen.sum_ns * SLOWER)),
        min_ns=Nanoseconds(least),
        max_ns=Nanoseconds(most),
        buckets=tuple(sorted(moved.items())),
    )


def _part(recorded: Result, repetitions: Sequence[Repetition]) -> Result:
    return msgspec.structs.replace(recorded, repetitions=tuple(repetitions))


def _compared(base: Result, new: Result) -> Comparison:
    return compare([base], [new], Question())


def _latency(answer: Comparison) -> Finding:
    return next(finding for finding in answer.findings if finding.metric.name == _LATENCY)
