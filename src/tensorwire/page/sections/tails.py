"""How round trips are distributed: percentile curves on which each step is a tenth of what is left."""

from collections.abc import Iterator, Sequence
from functools import reduce

from tensorwire.histogram import Histogram, merge
from tensorwire.page import Figure, Section, Table, words
from tensorwire.page.axes import log_axis, tail_axis
from tensorwire.page.charts import Curve, Dot, curves, styles
from tensorwire.page.entries import Entry, groups, labels
from tensorwire.units import format_duration

_MOST_FIGURES = 6
_MOST_SERIES = 6
_STEPS = 12  # points to each power of ten of the tail
_TABLE = (50, 90, 99, 99.9, 99.99, 100)
_FEWEST = 20  # calls below which there is no tail to speak of


def section(entries: Sequence[Entry]) -> Section | None:
    """One picture for each payload of each benchmark; those with most runs, then the largest payloads, where there are
    too many."""
    known = sorted({each.channel for each in entries})
    found = [each for each in entries if "rtt_p50" in each.estimates and latency(each).count >= _FEWEST]
    grouped = groups(found, lambda one, other: _key(one) == _key(other))
    chosen = sorted(grouped, key=lambda group: (-len(group), -group[0].case.total_bytes))[:_MOST_FIGURES]
    figures = tuple(_figure(group[:_MOST_SERIES], known) for group in grouped if group in chosen)
    if not figures:
        return None
    left_out = len(grouped) - len(chosen)
    more = f"; {words.count(left_out, 'more payload')} not drawn" if left_out else ""
    return Section(
        name="tails",
        title="The slow calls",
        lead=f"All round trips of all repetitions together, up to the slowest{more}. A step that waits for a hundred "
        "calls sees their 99th percentile as its usual case.",
        figures=figures,
    )


def latency(entry: Entry) -> Histogram:
    """The round trips of all repetitions."""
    return reduce(merge, (sample.latency for sample in entry.measured), Histogram.of(()))


def _key(entry: Entry) -> tuple[str, object]:
    return entry.benchmark, entry.case.conditions["payload"]


def _figure(group: Sequence[Entry], known: Sequence[str]) -> Figure:
    names = labels(group, without=("payload", "bytes"))
    style = styles(names, [each.channel for each in group], known)
    merged = {name: latency(each) for each, name in zip(group, names, strict=True)}
    drawn = [Curve(name=name, style=style[name], dots=tuple(_dots(name, each))) for name, each in merged.items()]
    highest = max(dot.x for curve in drawn for dot in curve.dots)
    first = group[0]
    title = f"{first.benchmark}, {first.payload}"
    tail = ", ".join(f"{name} {_at(each, 99)}" for name, each in merged.items())
    header = ("run", "calls", *(f"p{q:g}" if q < 100 else "max" for q in _TABLE))
    rows = [(name, f"{each.count:,}", *(_at(each, q) for q in _TABLE)) for name, each in merged.items()]
    return Figure(
        name=f"tails-{first.benchmark}-{first.case.scheme}-{first.case.total_bytes}".replace(" ", "-").replace(",", ""),
        title=title,
        words=f"Round trips by percentile, {title}. 99 % take no longer than: {tail}.",
        chart=curves(
            drawn,
            tail_axis(highest),
            log_axis("round trip", "us", [dot.y for curve in drawn for dot in curve.dots]),
            points=False,
        ),
        table=Table(header=header, rows=tuple(rows)),
    )


def _dots(name: str, found: Histogram) -> Iterator[Dot]:
    """From the shortest on, as far as calls of their own stand behind a percentile."""
    place = 0
    while (left := 10 ** (place / _STEPS)) < found.count:
        share = 100 * (1 - 1 / left)
        yield Dot(x=left, y=max(found.percentile(round(share, 8)), 1) / 1e3, text=name)
        place += 1
    yield Dot(x=found.count, y=max(found.max_ns, 1) / 1e3, text=name)


def _at(found: Histogram, q: float) -> str:
    """A percentile; nothing where fewer calls were made than it takes to have one of its own."""
    known = q == 100 or found.count * (100 - q) >= 100
    return format_duration(float(found.percentile(q))) if known else words.NOTHING
