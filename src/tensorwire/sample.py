"""A sample: what all ranks saw of one point in one repetition; metrics.py makes numbers of it."""

from functools import cached_property, reduce

from msgspec import Struct

from tensorwire.histogram import Histogram, merge
from tensorwire.result import Calling, Measurement, RankFacts, Repetition, Result, Serving
from tensorwire.spec import Spec


class Sample(Struct, frozen=True, kw_only=True, dict=True):
    """The measurements of the ranks, and what it takes to read them; `dict` has the cached sums."""

    spec: Spec
    reply: str
    ranks: dict[int, RankFacts]
    measurements: tuple[Measurement, ...]

    @cached_property
    def calling(self) -> tuple[Calling, ...]:
        return tuple(each.calling for each in self.measurements if each.calling is not None)

    @cached_property
    def serving(self) -> tuple[Serving, ...]:
        return tuple(each.serving for each in self.measurements if each.serving is not None)

    @cached_property
    def latency(self) -> Histogram:
        """The round trips of all calling ranks together."""
        return reduce(merge, (calling.latency for calling in self.calling), Histogram.of(()))

    @cached_property
    def calls(self) -> int:
        return sum(calling.calls for calling in self.calling)

    @cached_property
    def moved(self) -> int:
        """The payload bytes that had to cross: those of the requests, twice when they are echoed."""
        return sum(calling.bytes for calling in self.calling) * (2 if self.reply == "echo" else 1)

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
            ranks={number: facts for number, facts in self.ranks.items() if number == rank},
            measurements=tuple(each for each in self.measurements if each.rank == rank),
        )


def samples(result: Result, point: int) -> tuple[Sample | None, ...]:
    """One for each repetition; None where the point failed or a rank handed in no measurement."""
    return tuple(_sample(result, repetition, point) for repetition in result.repetitions)


def _sample(result: Result, repetition: Repetition, point: int) -> Sample | None:
    seen = {each.rank: each for each in repetition.measurements if each.point == point}
    failed = any(failure.point == point for failure in repetition.failures)
    if failed or len(seen) < len(result.traffic.roles):
        return None
    return Sample(
        spec=result.spec,
        reply=result.traffic.reply,
        ranks={facts.rank: facts for facts in repetition.ranks},
        measurements=tuple(seen[rank] for rank in sorted(seen)),
    )
