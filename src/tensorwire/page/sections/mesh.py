"""Ranks that all call each other: which pair takes how long, and which pairs stand out."""

import statistics
from collections.abc import Sequence

from msgspec import Struct

from tensorwire.page import Figure, Section, Table, words
from tensorwire.page.charts import heat
from tensorwire.page.entries import Entry, labels
from tensorwire.units import format_duration

_MOST_FIGURES = 4
_MOST_RANKS = 32
_FEWEST = 6  # pairs below which none stands out
_FAR = 1.5  # interquartile ranges from the quartiles (Tukey, Exploratory Data Analysis, 1977)


class Pair(Struct, frozen=True, kw_only=True):
    """The calls of one rank to another, over all repetitions."""

    caller: int
    peer: int
    calls: int
    latency_ns: int

    @property
    def mean_ns(self) -> float:
        return self.latency_ns / self.calls


_LEAD = (
    "Mean round trip of each rank to each other rank: the stronger the colour, the longer. Pairs stand out that are "
    "further than 1.5 interquartile ranges from the quartiles of all pairs."
)


def section(entries: Sequence[Entry]) -> Section | None:
    found = [each for each in entries if len({pair.caller for pair in pairs(each)}) > 1 and _crossed(each)]
    figures = tuple(_figure(each, name) for each, name in zip(found, labels(found), strict=True))[:_MOST_FIGURES]
    if not figures:
        return None
    return Section(
        name="mesh",
        title="Pair by pair",
        lead=_LEAD,
        figures=figures,
        notes=tuple(_outliers(each, name) for each, name in zip(found, labels(found), strict=True)),
    )


def pairs(entry: Entry) -> list[Pair]:
    """Those that made calls, in the order of their ranks."""
    sums: dict[tuple[int, int], tuple[int, int]] = {}
    for sample in entry.measured:
        for each in sample.measurements:
            for peer in each.calling.peers if each.calling else ():
                calls, latency = sums.get((each.rank, peer.rank), (0, 0))
                sums[each.rank, peer.rank] = calls + peer.calls, latency + peer.latency_ns
    return [
        Pair(caller=caller, peer=peer, calls=calls, latency_ns=latency)
        for (caller, peer), (calls, latency) in sorted(sums.items())
        if calls
    ]


def outliers(found: Sequence[Pair]) -> list[Pair]:
    """Pairs whose mean is far above or below that of the others; none where there are too few to tell."""
    if len(found) < _FEWEST:
        return []
    low, _, high = statistics.quantiles((pair.mean_ns for pair in found), n=4, method="inclusive")
    reach = _FAR * (high - low)
    return [pair for pair in found if not low - reach <= pair.mean_ns <= high + reach]


def _crossed(entry: Entry) -> bool:
    """Whether ranks that call are called as well."""
    return entry.benchmark == "fully-connected" and len(entry.case.result.traffic.roles) <= _MOST_RANKS


def _figure(entry: Entry, label: str) -> Figure:
    found = pairs(entry)
    unit, scale = ("ms", 1e6) if max(pair.mean_ns for pair in found) >= 1e6 else ("us", 1e3)
    cells = [(f"{pair.caller}", f"{pair.peer}", pair.mean_ns, f"{pair.mean_ns / scale:.3g} {unit}") for pair in found]
    title = f"{entry.benchmark}: {label}"
    least, most = min(found, key=lambda pair: pair.mean_ns), max(found, key=lambda pair: pair.mean_ns)
    return Figure(
        name=f"mesh-{label}",
        title=f"{title}, {unit}",
        words=f"Mean round trip by pair, {title}, {entry.payload}: from {_told(least)} to {_told(most)}.",
        chart=heat(cells, ("calling rank", "called rank")),
        table=Table(
            header=("calling rank", "called rank", "calls", "mean round trip"),
            rows=tuple((str(p.caller), str(p.peer), f"{p.calls:,}", format_duration(p.mean_ns)) for p in found),
        ),
    )


def _outliers(entry: Entry, label: str) -> str:
    if len(pairs(entry)) < _FEWEST:
        return f"{label}: too few pairs to tell which stand out."
    far = outliers(pairs(entry))
    which = words.listed([_told(pair) for pair in far]) if far else "no pair"
    return f"{label}: {which} {'stand' if len(far) > 1 else 'stands'} out."


def _told(pair: Pair) -> str:
    return f"{pair.caller} to {pair.peer} ({format_duration(pair.mean_ns)})"
