"""The course of a run: calls per second over time, with the stretches marked in which a rank waited in vain."""

from collections.abc import Sequence

from tensorwire.page import Figure, Section, Table, words
from tensorwire.page.axes import from_zero
from tensorwire.page.charts import Curve, Dot, course, styles
from tensorwire.page.entries import Entry, groups, labels
from tensorwire.sample import Sample, rate_of_slice, stalled
from tensorwire.units import format_duration

_MOST_FIGURES = 6
_MOST_SERIES = 4
_POINTS = 50  # slices are put together until there are no more


_LEAD = (
    "The first repetition of each run, all calling ranks together. A red mark is a slice of time, a hundredth of the "
    "run, in which a rank waited for a reply all through and got none."
)


def section(entries: Sequence[Entry]) -> Section | None:
    """One picture for each payload of each benchmark; the largest ones of sweeps."""
    known = sorted({each.channel for each in entries})
    found = [each for each in entries if each.measured and len(_rates(each.measured[0])) > 1 and not each.swept]
    found = found or [each for each in entries if each.measured and len(_rates(each.measured[0])) > 1]
    grouped = groups(found, lambda one, other: _key(one) == _key(other))
    grouped.sort(key=lambda group: -len(group))
    figures = tuple(_figure(group[:_MOST_SERIES], known) for group in grouped[:_MOST_FIGURES])
    if not figures:
        return None
    return Section(
        name="course",
        title="Over time",
        lead=_LEAD,
        figures=figures,
    )


def _key(entry: Entry) -> tuple[str, object]:
    return entry.benchmark, entry.case.conditions["payload"]


def _figure(group: Sequence[Entry], known: Sequence[str]) -> Figure:
    names = labels(group, without=("payload", "bytes"))
    style = styles(names, [each.channel for each in group], known)
    made, stalls, rows = [], [], []
    for each, name in zip(group, names, strict=True):
        sample = each.measured[0]
        width = sample.calling[0].series.interval_ns
        dots = _dots(_rates(sample), width, name)
        made.append(Curve(name=name, style=style[name], dots=tuple(dots)))
        slices = sorted({place for calling in sample.calling for place in stalled(calling)}) if _tells(sample) else []
        stalls += [Dot(x=(place + 0.5) * width / 1e9, y=0, text=f"{name}: a stall") for place in slices]
        found = (each.estimates.get("variation"), each.estimates.get("rtt_max"))
        rows.append(
            (name, *(words.median(one) for one in found), str(len(slices)) if _tells(sample) else words.NOTHING)
        )
    first = group[0]
    what = "steps/s" if first.stepped else "RPC/s"
    title = f"{first.benchmark}, {first.payload}"
    told = "; ".join(f"{row[0]}: variation {row[1]}, stalled slices {row[3]}" for row in rows)
    interval = format_duration(float(first.measured[0].calling[0].series.interval_ns))
    return Figure(
        name=f"course-{first.benchmark}-{first.case.scheme}-{first.case.total_bytes}",
        title=title,
        words=f"Calls per second over time, {title}, in slices of {interval}. {told}.",
        chart=course(made, stalls, from_zero("seconds since the first call", ""), from_zero(what, "")),
        table=Table(header=("run", "variation", "longest round trip", "stalled slices"), rows=tuple(rows)),
    )


def _rates(sample: Sample) -> list[float]:
    """Of all calling ranks together, by slice, as long as all were at it."""
    if not sample.calling or not any(each.calls for each in sample.calling):
        return []
    ends = [-(-each.elapsed_ns // each.series.interval_ns) for each in sample.calling if each.calls]
    slices = min([*ends, *(len(each.series.calls) for each in sample.calling)])
    return [sum(rate_of_slice(each, place) for each in sample.calling) for place in range(slices)]


def _dots(rates: Sequence[float], width_ns: int, name: str) -> list[Dot]:
    stride = -(-len(rates) // _POINTS)
    dots = []
    for begin in range(0, len(rates), stride):
        part = rates[begin : begin + stride]
        middle = (begin + len(part) / 2) * width_ns / 1e9
        dots.append(Dot(x=middle, y=sum(part) / len(part), text=name))
    return dots


def _tells(sample: Sample) -> bool:
    """Whether stalls can be told: a round trip must be shorter than a slice (as in the metric `stalls`)."""
    short = sample.calls and sample.latency.percentile(50) < sample.calling[0].series.interval_ns
    return bool(short) and not sample.stepped
