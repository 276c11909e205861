"""The collective operations: all ranks call together, and each has its part of what the others bring."""

import msgspec

from tensorwire.benchmarks import Pattern, Role
from tensorwire.collective import MOST_RANKS, Operation
from tensorwire.errors import SpecError


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many ranks take part."""

    ranks: int = 4

    def __post_init__(self) -> None:
        if not 2 <= self.ranks <= MOST_RANKS:
            raise SpecError("ranks", self.ranks, f"from 2 to {MOST_RANKS}")


class Together:
    """Every rank makes the same number of calls, one after the other; who is first waits for the others."""

    options = Options
    shows = ("coll_time", "algbw", "busbw", "wrong", "coll_p50", "coll_p99", "coll_slowest", "cpu_per_call")
    headline = "coll_time"

    def __init__(self, operation: Operation, summary: str) -> None:
        self.name: str = operation
        self.summary = summary
        self._operation: Operation = operation

    def pattern(self, options: Options, /) -> Pattern:
        return Pattern(roles=(Role(name="rank", serves=False),) * options.ranks, collective=self._operation)


all_reduce = Together("all-reduce", "every rank gets the sum of the arrays of all ranks")
all_gather = Together("all-gather", "every rank gets the parts of all ranks, end to end")
reduce_scatter = Together("reduce-scatter", "every rank gets its part of the sum of the arrays of all ranks")
all_to_all = Together("all-to-all", "every rank sends every rank a part of its array, all alike")
all_to_all_v = Together("all-to-all-v", "the same with parts of different sizes")
broadcast = Together("broadcast", "every rank gets the array of rank 0")
