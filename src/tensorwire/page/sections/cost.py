"""What moving costs: CPU seconds per GB, of all ranks."""

from collections.abc import Sequence

from tensorwire.page import Figure, Section, words
from tensorwire.page.axes import log_axis, size_axis
from tensorwire.page.bars import channel_bars, channel_colors
from tensorwire.page.charts import Curve, Dot, bars, curves, styles
from tensorwire.page.entries import Entry, by_benchmark, labels

_MOST_BARS = 24
_METRIC = "cpu_per_gb"
_TABLE = (
    _METRIC,
    "cpu_per_call",
    "cpu_user_per_call",
    "cpu_system_per_call",
    "cores_busy",
    "peak_memory",
    "wire_ratio",
)


_LEAD = (
    "CPU seconds of all ranks per 1e9 payload bytes moved, both ways: what a transport takes from the job. It varies "
    "far less from run to run than time does. Shorter is better."
)


def section(entries: Sequence[Entry]) -> Section | None:
    known = sorted({each.channel for each in entries})
    found = [each for each in entries if _METRIC in each.estimates]
    figures = []
    for benchmark, group in by_benchmark(found).items():
        swept, other = [each for each in group if each.swept], [each for each in group if not each.swept]
        figures += [_against_size(benchmark, swept, known)] if len({e.case.total_bytes for e in swept}) > 1 else []
        figures += [_bars(benchmark, other, known)] if other else []
    if not figures:
        return None
    return Section(
        name="cost",
        title="What a gigabyte costs",
        lead=_LEAD,
        figures=tuple(figures),
        notes=(words.certainty(found),),
    )


def _bars(benchmark: str, group: Sequence[Entry], known: Sequence[str]) -> Figure:
    shown = group[:_MOST_BARS]
    names = labels(shown, without=("payload", "bytes"))
    return Figure(
        name=f"cost-{benchmark}",
        title=f"{benchmark}: CPU seconds per GB",
        words=_words(benchmark, shown, names),
        chart=bars(channel_bars(shown, _METRIC), channel_colors(known), "CPU time per GB", "s"),
        table=words.table(group, labels(group, without=("payload", "bytes")), _TABLE),
    )


def _against_size(benchmark: str, group: Sequence[Entry], known: Sequence[str]) -> Figure:
    found = sorted(group, key=lambda each: each.case.total_bytes)
    names = labels(found, without=("bytes",))
    style = styles(names, [each.channel for each in found], known)
    dots: dict[str, list[Dot]] = {}
    for each, name in zip(found, names, strict=True):
        low, high = words.bounds(each.estimates[_METRIC].interval)
        value, told = each.estimates[_METRIC].interval.median, words.spread(each.estimates[_METRIC])
        dots.setdefault(name, []).append(
            Dot(x=each.case.total_bytes, y=value, low=low, high=high, text=f"{name}, {each.size}: {told}")
        )
    made = [Curve(name=name, style=style[name], dots=tuple(each)) for name, each in dots.items()]
    values = [each for curve in made for dot in curve.dots for each in (dot.y, dot.low, dot.high) if each is not None]
    return Figure(
        name=f"cost-sizes-{benchmark}",
        title=f"{benchmark}: CPU seconds per GB",
        words=_words(benchmark, found, names),
        chart=curves(
            made, size_axis([each.case.total_bytes for each in found]), log_axis("CPU time per GB", "s", values)
        ),
        table=words.table(found, names, _TABLE),
    )


def _words(benchmark: str, found: Sequence[Entry], names: Sequence[str]) -> str:
    told = "; ".join(
        f"{name}, {each.payload} {words.median(each.estimates[_METRIC])}"
        for each, name in zip(found, names, strict=True)
    )
    return f"CPU seconds per GB, {benchmark}: {told}."
