"""A sample: what all ranks saw of one point in one repetition; metrics.py makes numbers of it."""

from functools import cached_property, reduce

from msgspec import Struct

from tensorwire.collective import Collective
from tensorwire.histogram import Histogram, merge
from tensorwire.recorded import Replay, Steps
from tensorwire.result import Calling, Measurement, RankFacts, Repetition, Result, Serving
from tensorwire.spec import Spec
from tensorwire.units import Bytes


class Sample(Struct, frozen=True, kw_only=True, dict=True):
    """The measurements of the ranks, and what it takes to read them; `dict` has the cached sums."""

    spec: Spec
    reply: str
    ranks: dict[int, RankFacts]
    measurements: tuple[Measurement, ...]
    collective: Collective | None = None
    """What all ranks did together, where they did not call each other."""

    @cached_property
    def calling(self) -> tuple[Calling, ...]:
        return tuple(each.calling for each in self.measurements if each.calling is not None)

    @cached_property
    def serving(self) -> tuple[Serving, ...]:
        return tuple(each.serving for each in self.measurements if each.serving is not None)

    @property
    def stepped(self) -> bool:
        """Whether the latencies are those of steps, not of calls."""
        return isinstance(self.spec.payload, Steps)

    @property
    def trips(self) -> bool:
        """Whether the latencies are round trips."""
        return bool(self.calls) and not self.stepped and self.collective is None

    @cached_property
    def latency(self) -> Histogram:
        """The round trips of all calling ranks together, or the steps."""
        return reduce(merge, (calling.latency for calling in self.calling), Histogram.of(()))

    @cached_property
    def calls(self) -> int:
        return sum(map(self.calls_of, self.calling))

    def calls_of(self, calling: Calling) -> int:
        """The calls of one rank, also where it counted steps."""
        return sum(peer.calls for peer in calling.peers) if self.stepped else calling.calls

    def received_by(self, calling: Calling) -> int:
        """The payload bytes that came back to one rank; files from before they were counted have echoes alone."""
        return calling.received or (calling.bytes if self.reply == "echo" and not self._answered else 0)

    @cached_property
    def moved(self) -> int:
        """The payload bytes that had to cross, both ways; an acknowledgement has none. What a collective operation must
        move is told by its algorithm alone: 0."""
        return 0 if self.collective else sum(each.bytes + self.received_by(each) for each in self.calling)

    @property
    def _answered(self) -> bool:
        return isinstance(self.spec.payload, Replay | Steps) and bool(self.spec.payload.answers)

    @property
    def user_ns(self) -> int:
        return sum(each.usage.user_ns for each in self.measurements)

    @property
    def system_ns(self) -> int:
        return sum(each.usage.system_ns for each in self.measurements)

    @property
    def serialization_ns(self) -> int:
        """Both directions, at both ends."""
        ends: tuple[Calling | Serving, ...] = self.calling + self.serving
        return sum(end.serialization.serialize_ns + end.serialization.deserialize_ns for end in ends)

    def of_rank(self, rank: int) -> "Sample":
        """The same, of one rank alone."""
        return Sample(
            spec=self.spec,
            reply=self.reply,
            collective=self.collective,
            ranks={number: facts for number, facts in self.ranks.items() if number == rank},
            measurements=tuple(each for each in self.measurements if each.rank == rank),
        )


def collective(result: Result, point: int) -> Collective | None:
    """What all ranks did together at a point; None where they called each other."""
    operation, ranks = result.traffic.collective, len(result.traffic.roles)
    total = Bytes(result.points[point].totals[0])
    return Collective(operation=operation, ranks=ranks, total=total) if operation else None


def samples(result: Result, point: int) -> tuple[Sample | None, ...]:
    """One for each repetition; None where the point failed or a rank handed in no measurement."""
    return tuple(_sample(result, repetition, point) for repetition in result.repetitions)


def rate_of_slice(calling: Calling, i: int) -> float:
    """Replies per second in slice `i`. The last slice is longer: it runs to the last reply."""
    series = calling.series
    longer = calling.elapsed_ns - i * series.interval_ns if i == len(series.calls) - 1 else 0
    return series.calls[i] * 1e9 / max(series.interval_ns, longer)


def stalled(calling: Calling) -> tuple[int, ...]:
    """The slices without a reply all through which one was awaited, as a later latency tells; the last first."""
    series, found = calling.series, []
    last = len(series.calls) - 1
    oldest = float("inf")  # when the oldest of the later replies had been called for, at the latest
    for i in range(last, -1, -1):
        if series.calls[i] > 0:
            end = calling.elapsed_ns if i == last else (i + 1) * series.interval_ns
            oldest = min(oldest, end - series.max_ns[i])
        elif oldest <= i * series.interval_ns:
            found.append(i)
    return tuple(found)


def _sample(result: Result, repetition: Repetition, point: int) -> Sample | None:
    seen = {each.rank: each for each in repetition.measurements if each.point == point}
    failed = any(failure.point == point for failure in repetition.failures)
    if failed or len(seen) < len(result.traffic.roles):
        return None
    return Sample(
        spec=result.spec,
        reply=result.traffic.reply,
        collective=collective(result, point),
        ranks={facts.rank: facts for facts in repetition.ranks},
        measurements=tuple(seen[rank] for rank in sorted(seen)),
    )
