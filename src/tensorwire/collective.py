"""Collective operations: how much each moves, and what of it the busiest link must carry, as nccl-tests defines both.

Sizes are those of nccl-tests (src/*.cu, GetCollByteCount), factors those of its doc/PERFORMANCE.md.
"""

from fractions import Fraction
from typing import Literal, get_args

from msgspec import Struct

from tensorwire.errors import SpecError
from tensorwire.units import Bytes, format_size

Operation = Literal["all-reduce", "all-gather", "reduce-scatter", "all-to-all", "all-to-all-v", "broadcast"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)

ELEMENT = Bytes(4)
"""A float32."""
MOST_RANKS = 1024
"""Sums over more would not be exact in every order (cpp/core/collective.cc)."""
ROOT = 0

_ALIGNED = Bytes(16)
"""What nccl-tests rounds the part of each rank down to a multiple of."""
_WHOLE: frozenset[Operation] = frozenset({"all-reduce", "broadcast"})
"""Every rank has the whole array; of the others each has a part."""
_REDUCES: frozenset[Operation] = frozenset({"all-reduce", "reduce-scatter"})


class Collective(Struct, frozen=True, kw_only=True):
    """One operation of so many ranks over an array of `total` bytes: that which is reduced, gathered, scattered, dealt
    out or broadcast."""

    operation: Operation
    ranks: int
    total: Bytes

    @property
    def elements(self) -> int:
        return self.total // ELEMENT

    @property
    def count(self) -> int:
        """The elements of the argument that NCCL calls count: of the whole array, or of the part of one rank."""
        return self.elements if self.operation in _WHOLE else self.elements // self.ranks

    @property
    def reduction(self) -> str:
        """As nccl-tests' column redop."""
        return "sum" if self.operation in _REDUCES else "none"

    @property
    def root(self) -> int:
        """As nccl-tests' column root: -1 where there is none."""
        return ROOT if self.operation == "broadcast" else -1

    @property
    def bus_factor(self) -> Fraction:
        """Bus bandwidth over algorithm bandwidth."""
        if self.operation == "broadcast":
            return Fraction(1)
        return Fraction((2 if self.operation == "all-reduce" else 1) * (self.ranks - 1), self.ranks)


def rounded(operation: Operation, ranks: int, size: Bytes) -> Collective:
    """The operation over `size` bytes, rounded down as nccl-tests does: to whole elements, and where every rank has a
    part, to parts of a multiple of 16 bytes. Raises SpecError when nothing is left."""
    if operation in _WHOLE:
        least, total = ELEMENT, size // ELEMENT * ELEMENT
    else:
        least, total = Bytes(ranks * _ALIGNED), size // ranks // _ALIGNED * _ALIGNED * ranks
    if total < least:
        what = f"{format_size(least)} or more: {operation} of {ranks} ranks moves float32"
        part = "" if operation in _WHOLE else f", {_ALIGNED} B or a multiple for each rank, as in nccl-tests"
        raise SpecError("sizes", size, what + part)
    return Collective(operation=operation, ranks=ranks, total=Bytes(total))
