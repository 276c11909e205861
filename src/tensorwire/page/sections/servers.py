"""Parameter servers: what all workers get done together, and how fairly they share it."""

from collections.abc import Sequence

from tensorwire.metrics import CATALOGUE, estimate
from tensorwire.page import Figure, Section, Table, words
from tensorwire.page.axes import count_axis, from_zero
from tensorwire.page.bars import channel_colors
from tensorwire.page.charts import Bar, Curve, Dot, bars, curves, styles
from tensorwire.page.entries import Entry, labels

_MOST_RANKS = 16
_MOST_SHARED = 3
_TABLE = ("rpcs", "bandwidth", "fairness", "slowest_rank", "fastest_rank", "rtt_p50", "rtt_p99", "cpu_per_gb")


_LEAD = (
    "Fairness is Jain's index of the workers' rates: 1 is all alike, 1/n is one has everything. The shares are those "
    "of the least fair runs."
)


def section(entries: Sequence[Entry]) -> Section | None:
    known = sorted({each.channel for each in entries})
    found = [each for each in entries if _roles(each, "ps") and _calling(each) and "rpcs" in each.estimates]
    found = [each for each in found if each.benchmark == "ps-throughput" and not each.stepped]
    figures = [figure for metric in ("rpcs", "fairness") if (figure := _by_workers(found, metric, known))]
    several = sorted((each for each in found if _calling(each) > 1), key=lambda each: each.median("fairness") or 0)
    figures += [_shares(each, found, known) for each in several[:_MOST_SHARED]]
    if not figures:
        return None
    return Section(
        name="servers",
        title="Parameter servers and workers",
        lead=_LEAD,
        figures=tuple(figures),
        notes=(words.certainty(found),),
    )


def _by_workers(entries: Sequence[Entry], metric: str, known: Sequence[str]) -> Figure | None:
    found = sorted((each for each in entries if metric in each.estimates), key=_calling)
    counts = [_calling(each) for each in found]
    if len(set(counts)) < 2:
        return None
    keys = [_name(each, found) for each in found]
    style = styles(keys, [each.channel for each in found], known)
    made = [
        Curve(
            name=name,
            style=style[name],
            dots=tuple(_dot(each, metric) for each, own in zip(found, keys, strict=True) if own == name),
        )
        for name in style
    ]
    title = f"ps-throughput: {words.plain(metric)} by workers"
    ends = [
        f"{own} with {words.count(_calling(each), 'worker')} {words.median(each.estimates[metric])}"
        for each, own in zip(found, keys, strict=True)
    ]
    y = from_zero(
        f"{CATALOGUE[metric].title}, {CATALOGUE[metric].unit}".rstrip(", "), "", 1.02 if metric == "fairness" else None
    )
    return Figure(
        name=f"servers-{metric}",
        title=title,
        words=f"{title}: {'; '.join(ends)}.",
        chart=curves(made, count_axis("workers", counts), y),
        table=words.table(
            found,
            [f"{own}, {words.count(_calling(each), 'worker')}" for each, own in zip(found, keys, strict=True)],
            _TABLE,
        ),
    )


def _dot(entry: Entry, metric: str) -> Dot:
    found = entry.estimates[metric]
    low, high = words.bounds(found.interval)
    text = f"{words.count(_calling(entry), 'worker')}: {words.spread(found)}"
    return Dot(x=_calling(entry), y=found.interval.median, low=low, high=high, text=text)


def _shares(entry: Entry, found: Sequence[Entry], known_channels: Sequence[str]) -> Figure:
    """The rate of each calling rank of one run, by its role and number."""
    roles = entry.case.result.traffic.roles
    rates = {
        rank: estimate(CATALOGUE["rpcs"], tuple(sample and sample.of_rank(rank) for sample in entry.case.samples))
        for rank, calls in enumerate(entry.case.result.traffic.calls)
        if calls
    }
    known = {rank: each for rank, each in rates.items() if each is not None}
    label = labels(found)[list(found).index(entry)]
    title = f"Rate of each worker: {label}"
    names = {rank: f"{roles[rank]} {rank}" for rank in known}
    made = []
    for rank, each in list(known.items())[:_MOST_RANKS]:
        low, high = words.bounds(each.interval)
        made.append(
            Bar(
                group=names[rank],
                series=entry.channel,
                value=each.interval.median,
                low=low,
                high=high,
                shown=words.median(each),
            )
        )
    fair = entry.estimates.get("fairness")
    told = ", ".join(f"{names[rank]} {words.median(each)}" for rank, each in known.items())
    return Figure(
        name=f"servers-shares-{label}",
        title=title,
        words=f"{title}, {entry.payload}: {told}. Fairness {words.median(fair)}.",
        chart=bars(made, {entry.channel: channel_colors(known_channels)[entry.channel]}, "rate, RPC/s", ""),
        table=Table(
            header=("rank", "role", "rate"),
            rows=tuple((str(rank), roles[rank], words.spread(each)) for rank, each in known.items()),
        ),
    )


def _name(entry: Entry, found: Sequence[Entry]) -> str:
    """Channel, servers and what else differs, without the number of workers, which is the axis."""
    own = labels(found, without=("ranks",))[list(found).index(entry)]
    servers = {_roles(each, "ps") for each in found}
    return own if len(servers) == 1 else f"{own}, {_roles(entry, 'ps')} ps"


def _roles(entry: Entry, role: str) -> int:
    return entry.case.result.traffic.roles.count(role)


def _calling(entry: Entry) -> int:
    return sum(bool(calls) for calls in entry.case.result.traffic.calls)
