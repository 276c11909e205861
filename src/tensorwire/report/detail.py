"""Everything about a point: all its metrics, each rank by itself, and how the run went over time."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import fmean

from rich.console import Console

from tensorwire.metrics import estimate, get
from tensorwire.report import Row
from tensorwire.report.columns import Column, column, time_unit, written
from tensorwire.report.drawing import show_columns, show_line, show_words
from tensorwire.report.heading import cores
from tensorwire.result import Result
from tensorwire.sample import Sample, rate_of_slice, samples
from tensorwire.units import format_duration

_RANK_SHOWS = (
    "rpcs",
    "bandwidth",
    "rtt_p50",
    "rtt_p99",
    "served",
    "coll_time",
    "coll_p99",
    "cores_busy",
    "peak_memory",
)
_BARS, _ASCII_BARS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"


def show_detail(result: Result, rows: Sequence[Row], console: Console) -> None:
    """Prints the points that have values, one after the other."""
    for row in rows:
        if not row.measured:
            continue
        repetitions = samples(result, row.index)
        console.print()
        show_line(f"{row.size}: all metrics", console, "bold")
        metrics = [(name, written(each), each.metric.meaning) for name, each in row.estimates.items()]
        show_words(metrics, console, dim=2)
        show_line(f"{row.size}: each rank", console, "bold")
        _show_ranks(result, repetitions, console)
        for number, sample in enumerate(repetitions):
            if sample is not None:
                _show_series(f"{row.size}: over time, repetition {number + 1}", sample, console)


def sparkline(values: Sequence[float], bars: str = _BARS) -> str:
    """A bar for each value, from zero to the largest; only zero is blank."""
    most = max(values, default=0)
    heights = [max(value > 0, round(value * (len(bars) - 1) / (most or 1))) for value in values]
    return "".join(bars[height] for height in heights)


def _show_ranks(result: Result, repetitions: Sequence[Sample | None], console: Console) -> None:
    """The medians over the repetitions of what each rank saw."""
    roles = result.traffic.roles
    of_rank = [tuple(sample and sample.of_rank(rank) for sample in repetitions) for rank in range(len(roles))]
    first = [
        Column(header=("rank",), cells=tuple(str(rank) for rank in range(len(roles)))),
        Column(header=("role",), cells=roles, justify="left"),
        Column(header=("cores",), cells=tuple(_cores(one) for one in of_rank)),
    ]
    found = {name: [estimate(get(name), one) for one in of_rank] for name in _RANK_SHOWS}
    time = time_unit(each for estimates in found.values() for each in estimates if each is not None)
    blanks = ["-"] * len(roles)
    values = [column(get(name), each, blanks, time, bare=True) for name, each in found.items() if any(each)]
    show_columns(first, values, console)


def _cores(repetitions: Sequence[Sample | None]) -> str:
    known = {facts.cores for sample in repetitions if sample is not None for facts in sample.ranks.values()}
    return "/".join(sorted(cores(each) for each in known)) or "-"


def _show_series(title: str, sample: Sample, console: Console) -> None:
    """The replies of all calling ranks over time, and the longest round trip among them."""
    series = [each.series for each in sample.calling]
    ends = [-(-each.elapsed_ns // each.series.interval_ns) for each in sample.calling]
    slices = min([max(ends, default=0), *(len(each.calls) for each in series)])
    if slices < 2:
        return
    bars = _ASCII_BARS if console.options.ascii_only else _BARS
    edges = _edges(slices, console.width - len("longest RTT  || 100000 RPC/s"))
    many = len(sample.calling) if sample.collective else 1  # ranks that have their part in the same calls
    together = [sum(rate_of_slice(each, i) for each in sample.calling) / many for i in range(slices)]
    rates = _joined(together, edges, fmean)
    longest = _joined([max(each.max_ns[i] for each in series) for i in range(slices)], edges, max)
    every = format_duration(float(series[0].interval_ns * (edges[1] - edges[0])))
    show_line(f"{title}, one bar for {every}; right: the highest", console, "bold")
    each, unit, digits = ("step", "steps/s", ".3g") if sample.stepped else ("RTT", "RPC/s", ".0f")
    each, unit = ("call", "calls/s") if sample.collective else (each, unit)
    show_line(f"rate         |{sparkline(rates, bars)}| {max(rates):{digits}} {unit}", console, "")
    worst = format_duration(max(longest))
    show_line(f"longest {each:<4} |{sparkline(longest, bars)}| {worst}", console, "")


def _edges(slices: int, width: int) -> list[int]:
    """Where bars begin and end: as many slices in each as it takes for them to fit."""
    each = max(1, -(-slices // max(width, 1)))
    return [*range(0, slices, each), slices]


def _joined(values: Sequence[float], edges: Sequence[int], join: Callable[[Sequence[float]], float]) -> list[float]:
    return [join(values[begin:end]) for begin, end in pairwise(edges)]
