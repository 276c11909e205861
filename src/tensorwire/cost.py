"""What watching a job costs: facts of blocks of time with and without it, and the opinions computed from them."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from tensorwire.stats import Interval, median_interval
from tensorwire.units import Bytes, Nanoseconds

FORMAT = "tensorwire.cost"
VERSION = 1

LIMIT = 0.02
"""Of the job's progress: what watching should cost at most."""

Verdict = Literal["below", "above", "cannot be told"]


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time, and the bytes that the job sent in it. Blocks of one `row` follow each other at once."""

    row: int
    on: bool
    ns: Nanoseconds
    sent: Bytes


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """What the tap itself took in one process, over all its threads, while it was timed for so long."""

    program: str
    ns: Nanoseconds
    calls: int
    over_ns: Nanoseconds


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """All that was measured. `least` is the number of blocks below which nothing is concluded."""

    format: str = FORMAT
    version: int = VERSION
    least: int
    blocks: tuple[Block, ...]
    own: tuple[Own, ...]
    notes: tuple[str, ...] = ()


def order(blocks_in_row: int = 8) -> Iterator[bool]:
    """Whether each block of a row is watched: on, off, off, on, so that a drift of the job's speed cancels."""
    return (at % 4 in (0, 3) for at in range(blocks_in_row))


def paired(blocks: Sequence[Block]) -> list[float]:
    """The job's progress watched over its progress unwatched, for each pair of a row's blocks (1st and 2nd, ...)."""
    pairs = [(a, b) if a.on else (b, a) for a, b in _neighbours(blocks) if a.on != b.on]
    return [_rate(on) / _rate(off) for on, off in pairs if on.sent and off.sent]


def control(blocks: Sequence[Block]) -> list[float]:
    """The same for neighbours that are alike, the later over the earlier: what it says is noise."""
    return [_rate(b) / _rate(a) for a, b in _neighbours(blocks) if a.on == b.on and a.sent and b.sent]


def busiest(cost: Cost) -> Own | None:
    """The process in which the tap took the largest share of the time."""
    return max((own for own in cost.own if own.over_ns), key=share, default=None)


def share(own: Own) -> float:
    """Of the wall time, over all threads of the process."""
    return own.ns / own.over_ns


def interval(ratios: Sequence[float]) -> Interval | None:
    """The median of ratios and what holds it with 95 %; None without ratios."""
    return median_interval(ratios) if ratios else None


def verdict(cost: Cost) -> tuple[Verdict, str]:
    """Whether the job is slowed by less than LIMIT or more, and why that can or cannot be told."""
    seen, alike = interval(paired(cost.blocks)), interval(control(cost.blocks))
    used = sum(block.sent > 0 for block in cost.blocks)
    if seen is None or used < cost.least or alike is None:
        return "cannot be told", f"{used} blocks in which the job sent anything are too few: {cost.least} are wanted"
    noise = max(alike.high - 1, 1 - alike.low)
    if not alike.low <= 1 <= alike.high:
        return "cannot be told", f"blocks that were watched alike differ by {abs(alike.median - 1):.1%}"
    if seen.low > 1 - LIMIT:
        return "below", f"below {LIMIT:.0%}"
    if seen.high < 1 - LIMIT:
        return "above", f"above {LIMIT:.0%}"
    return "cannot be told", f"the noise is {max(noise, (seen.high - seen.low) / 2):.1%}"


def _neighbours(blocks: Sequence[Block]) -> Iterator[tuple[Block, Block]]:
    return ((a, b) for a, b in pairwise(blocks) if a.row == b.row)


def _rate(block: Block) -> float:
    return block.sent / block.ns
