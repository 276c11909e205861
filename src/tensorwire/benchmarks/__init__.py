"""A benchmark is a traffic pattern: which ranks there are, who calls whom, and what they reply.

Law: a benchmark never names a channel and never touches a clock; the one timing loop of the core runs them all.
"""

from typing import Literal, Protocol

import msgspec

from tensorwire.collective import Operation

Reply = Literal["echo", "acknowledge"]


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """The part one rank plays: `calls` are the ranks it calls."""

    name: str
    serves: bool
    calls: tuple[int, ...] = ()


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """The traffic of one run, rank by rank; `outstanding` calls in flight to each peer unless the spec has another.

    Of a `collective` operation nobody calls or serves: all ranks act together.
    """

    roles: tuple[Role, ...]
    reply: Reply = "acknowledge"
    outstanding: int = 1
    collective: Operation | None = None

    @property
    def size(self) -> int:
        return len(self.roles)


class Benchmark(Protocol):
    """What every module of this folder offers under the name in its entry point."""

    name: str
    summary: str
    options: type[msgspec.Struct]
    shows: tuple[str, ...]
    """The columns of its table: names of metrics (docs/metrics.md)."""
    headline: str
    """The metric that sums it up: `--precision` narrows its interval."""

    def pattern(self, options: msgspec.Struct, /) -> Pattern: ...
