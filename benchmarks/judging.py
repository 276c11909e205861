"""From runs to verdicts: sides in turns, the ratio of their medians, a limit."""

import itertools
from collections.abc import Callable, Iterator
from statistics import median
from typing import Protocol

from msgspec import Struct

from benchmarks.seen import CannotMeasure, Metric, Seen
from benchmarks.sides import Side
from benchmarks.traffic import Site


class Limit(Struct, frozen=True):
    """The values that are good enough, both ends included."""

    least: float | None = None
    most: float | None = None

    def allows(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def text(self, unit: str = "") -> str:
        unit = f" {unit}" if unit else ""
        if self.least == self.most:
            return f"{self.least:g}{unit}"
        if self.least is None:
            return f"<= {self.most:g}{unit}"
        return f">= {self.least:g}{unit}" if self.most is None else f"{self.least:g} to {self.most:g}{unit}"


def at_most(most: float) -> Limit:
    return Limit(most=most)


def at_least(least: float) -> Limit:
    return Limit(least=least)


def exactly(value: float) -> Limit:
    return Limit(least=value, most=value)


class Verdict(Struct, frozen=True, kw_only=True):
    """One row: what was claimed, what was seen; `holds` is None when it could not be measured."""

    claim: str
    limit: str
    seen: str
    spread: str
    holds: bool | None


class Comparison(Struct, frozen=True, kw_only=True):
    """`a` and `b` in turns; each of `claims` is that the ratio a / b of a metric is within a limit."""

    name: str
    title: str
    a: Side
    b: Side
    claims: tuple[tuple[Metric, Limit], ...]

    def judge(self, site: Site, rounds: int) -> list[Verdict]:
        try:
            pairs = [(self.a.run(site), self.b.run(site)) for _ in range(rounds)]
        except CannotMeasure as reason:
            return [_unknown(f"{self.title}: {metric.title}", limit.text(), reason) for metric, limit in self.claims]
        return [self._verdict(metric, limit, pairs) for metric, limit in self.claims]

    def _verdict(self, metric: Metric, limit: Limit, pairs: list[tuple[Seen, Seen]]) -> Verdict:
        a, b = ([metric.value(side) for side in sides] for sides in zip(*pairs, strict=True))
        ratio = median(a) / median(b)
        ratios = [one / other for one, other in zip(a, b, strict=True)]
        return Verdict(
            claim=f"{self.title}: {metric.title}",
            limit=limit.text(),
            seen=f"{digits(ratio)} ({digits(median(a))} / {digits(median(b))} {metric.unit})",
            spread=f"{digits(min(ratios))} to {digits(max(ratios))}",
            holds=limit.allows(ratio),
        )


class Absolute(Struct, frozen=True, kw_only=True):
    """The claim that the median of a number is within a limit; `once`: it is counted, not measured, and only once."""

    name: str
    title: str
    unit: str
    value: Callable[[Site], float]
    limit: Limit
    once: bool = False

    def judge(self, site: Site, rounds: int) -> list[Verdict]:
        try:
            values = [self.value(site) for _ in range(1 if self.once else rounds)]
        except CannotMeasure as reason:
            return [_unknown(self.title, self.limit.text(self.unit), reason)]
        return [
            Verdict(
                claim=self.title,
                limit=self.limit.text(self.unit),
                seen=f"{values[0]:g} {self.unit}" if self.once else f"{digits(median(values))} {self.unit}",
                spread="" if self.once else f"{digits(min(values))} to {digits(max(values))}",
                holds=self.limit.allows(median(values)),
            )
        ]


class Claim(Protocol):
    """Something that is judged, in one row or several."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    def judge(self, site: Site, rounds: int) -> list[Verdict]: ...


def chosen(claims: tuple[Claim, ...], names: tuple[str, ...]) -> list[Claim]:
    """Those whose name begins with one of `names`; all when none is given. Raises ValueError for a name of none."""
    for name in names:
        if not any(claim.name.startswith(name) for claim in claims):
            known = ", ".join(claim.name for claim in claims)
            raise ValueError(f"no claim is called {name!r}; known: {known}")
    return [claim for claim in claims if not names or claim.name.startswith(names)]


def judge_all(claims: list[Claim], site: Site, rounds: int) -> Iterator[Verdict]:
    """The verdicts, as they are reached."""
    return itertools.chain.from_iterable(claim.judge(site, rounds) for claim in claims)


def digits(value: float) -> str:
    """Three significant digits, all of those in front of the point."""
    decimals = next((n for n, below in ((3, 0.9995), (2, 9.995), (1, 99.95)) if abs(value) < below), 0)
    return f"{value:.{decimals}f}"


def _unknown(claim: str, limit: str, reason: CannotMeasure) -> Verdict:
    return Verdict(claim=claim, limit=limit, seen=str(reason), spread="", holds=None)
