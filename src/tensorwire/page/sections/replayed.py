"""Replays of what a job sent: the recorded distribution of sizes beside the one that was sent."""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from tensorwire.page import Figure, Section, Table, ink, words
from tensorwire.page.axes import from_zero, size_axis
from tensorwire.page.charts import Curve, Dot, Style, curves
from tensorwire.page.entries import Entry, groups
from tensorwire.recorded import Replay
from tensorwire.result import Fidelity
from tensorwire.units import format_size

_SHARES = (10, 25, 50, 75, 90, 99, 100)
_MOST_POINTS = 200


_LEAD = (
    "Sizes of the messages of the recorded job and of those that a run sends in turn; below, how far the sizes that a "
    "tap saw are from those asked for (distances of Wasserstein, and of Kolmogorov and Smirnov, KS)."
)


def section(entries: Sequence[Entry]) -> Section | None:
    replays = [each for each in entries if isinstance(each.case.result.spec.payload, Replay)]
    distinct = groups(replays, lambda one, other: one.case.conditions["payload"] == other.case.conditions["payload"])
    figures = tuple(figure for group in distinct if (figure := _figure(group[0])))
    watched = [(each, each.case.result.fidelity) for each in entries if each.case.result.fidelity is not None]
    notes = dict.fromkeys(line for each, found in watched if (line := _seen(each, found)))
    notes |= dict.fromkeys(f"{note[0].upper()}{note[1:]}." for _, found in watched for note in found.notes)
    if not figures and not notes:
        return None
    return Section(
        name="replayed",
        title="What was recorded and what was sent",
        lead=_LEAD,
        figures=figures,
        notes=tuple(notes),
    )


def _figure(entry: Entry) -> Figure | None:
    replay = entry.case.result.spec.payload
    if not isinstance(replay, Replay):
        return None
    totals = [sum(sizes) for sizes in replay.sizes]
    times = Counter(replay.messages) if replay.messages else dict(enumerate(replay.counts))
    recorded: Counter[int] = Counter()
    for place, count in times.items():
        recorded[totals[place]] += count
    sent = Counter(entry.case.result.points[entry.case.point].totals)
    sides = {"recorded": recorded, "sent in turn": sent}
    sizes = sorted({*recorded, *sent})
    if len(sizes) < 2:
        return None
    looks = {
        "recorded": Style(ink.series(0), "circle", tuple(ink.DASHES[0])),
        "sent in turn": Style(ink.series(1), "square", tuple(ink.DASHES[1])),
    }
    drawn = [Curve(name=name, style=looks[name], dots=_dots(name, counts)) for name, counts in sides.items()]
    rows = [
        (name, f"{counts.total():,}", *(format_size(_quantile(counts, share)) for share in _SHARES))
        for name, counts in sides.items()
    ]
    title = f"Messages of {entry.case.scheme}"
    middle = ", ".join(f"{name} {format_size(_quantile(counts, 50))}" for name, counts in sides.items())
    return Figure(
        name=f"replayed-{entry.case.scheme}",
        title=title,
        words=f"{title} by size. Half of the messages are no larger than: {middle}.",
        chart=curves(drawn, size_axis(sizes), from_zero("share of messages no larger, %", "", 100), points=False),
        table=Table(
            header=("messages", "number", *(f"{share} % up to" for share in _SHARES)),
            rows=tuple(rows),
        ),
    )


def _dots(name: str, counts: Counter[int]) -> tuple[Dot, ...]:
    """The cumulated shares as steps; of very many sizes only some."""
    ordered = sorted(counts)
    ends = [100 * seen / counts.total() for seen in accumulate(counts[size] for size in ordered)]
    dots = []
    for size, before, after in zip(ordered, [0.0, *ends], ends, strict=False):
        dots += [Dot(x=size, y=before, text=name), Dot(x=size, y=after, text=name)]
    stride = -(-len(dots) // (2 * _MOST_POINTS))
    return tuple(dot for place, dot in enumerate(dots) if (place // 2) % stride == 0 or place >= len(dots) - 2)


def _seen(entry: Entry, found: Fidelity) -> str:
    """What a tap saw of it, where it saw anything."""
    sides = [("requests", found.requests), ("replies", found.replies)]
    told = [
        f"{what} by {apart.wasserstein_bytes:.3g} B, {apart.wasserstein_bytes / (apart.mean_bytes or 1):.2%} of their "
        f"mean (KS {apart.ks:.3g}, {apart.seen:,} seen)"
        for what, apart in sides
        if apart is not None
    ]
    about = f"{entry.benchmark} over {entry.channel}, {entry.case.scheme}"
    return (
        f"{about}: in an extra run, what a tap saw differs from what was asked for in {words.listed(told)}."
        if told
        else ""
    )


def _quantile(counts: Counter[int], share: float) -> int:
    """The smallest size that so many per cent of the messages do not exceed."""
    needed = share * counts.total() / 100
    ordered = sorted(counts)
    seen = accumulate(counts[size] for size in ordered)
    return next(size for size, so_far in zip(ordered, seen, strict=True) if so_far >= needed)
