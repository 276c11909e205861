"""Latency and bandwidth against the size of the payload, over sweeps."""

from collections.abc import Sequence

from tensorwire.metrics import CATALOGUE
from tensorwire.page import Figure, Section, words
from tensorwire.page.axes import from_zero, log_axis, size_axis
from tensorwire.page.charts import Curve, Dot, curves, styles
from tensorwire.page.entries import Entry, by_benchmark, labels

_METRICS = ("rtt_p50", "rtt_p99", "bandwidth")


def section(entries: Sequence[Entry]) -> Section | None:
    known = sorted({each.channel for each in entries})
    found = [each for each in entries if each.measured and each.swept]
    figures = [
        figure
        for benchmark, group in by_benchmark(found).items()
        for metric in _METRICS
        if (figure := _figure(benchmark, group, metric, known))
    ]
    if not figures:
        return None
    return Section(
        name="sizes",
        title="Against the size of the payload",
        lead="One buffer of each size. Small payloads show what a call costs, large ones what a byte costs.",
        figures=tuple(figures),
        notes=(words.certainty(found),),
    )


def _figure(benchmark: str, group: Sequence[Entry], metric: str, known: Sequence[str]) -> Figure | None:
    found = sorted((each for each in group if metric in each.estimates), key=lambda each: each.case.total_bytes)
    sizes = sorted({each.case.total_bytes for each in found})
    if len(sizes) < 2:
        return None
    names = labels(found, without=("bytes",))
    style = styles(names, [each.channel for each in found], known)
    unit = CATALOGUE[metric].unit
    drawn = [Curve(name=name, style=style[name], dots=tuple(_dots(found, names, name, metric))) for name in style]
    title = f"{benchmark}: {words.plain(metric)}"
    values = [each for curve in drawn for dot in curve.dots for each in (dot.y, dot.low, dot.high) if each is not None]
    title_y = CATALOGUE[metric].title
    y = log_axis(title_y, unit, values) if unit == "us" else from_zero(title_y, unit)
    return Figure(
        name=f"sizes-{benchmark}-{metric}".replace("_", "-"),
        title=title,
        words=f"{title} against the size of the payload. {' '.join(_ends(found, names, metric))}",
        chart=curves(drawn, size_axis(sizes), y),
        table=words.table(found, names, _METRICS),
    )


def _dots(found: Sequence[Entry], names: Sequence[str], name: str, metric: str) -> list[Dot]:
    dots = []
    for each in (each for each, own in zip(found, names, strict=True) if own == name):
        estimate = each.estimates[metric]
        low, high = words.bounds(estimate.interval)
        dots.append(
            Dot(
                x=each.case.total_bytes,
                y=estimate.interval.median,
                low=low,
                high=high,
                text=f"{name}, {each.size}: {words.spread(estimate)}",
            )
        )
    return dots


def _ends(found: Sequence[Entry], names: Sequence[str], metric: str) -> list[str]:
    """Of each series the first and the last size."""
    said = []
    for name in dict.fromkeys(names):
        own = [each for each, other in zip(found, names, strict=True) if other == name]
        ends = list(
            dict.fromkeys(f"{words.median(each.estimates[metric])} at {each.size}" for each in (own[0], own[-1]))
        )
        said.append(f"{name}: {', '.join(ends)}.")
    return said
