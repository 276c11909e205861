"""What each payload costs on each channel: bars of what sums a benchmark up, and of how many bytes that makes."""

from collections.abc import Sequence

from tensorwire.metrics import CATALOGUE
from tensorwire.page import Figure, Section, words
from tensorwire.page.bars import channel_bars, channel_colors
from tensorwire.page.charts import bars
from tensorwire.page.entries import Entry, by_benchmark, labels

_MOST_BARS = 24


def section(entries: Sequence[Entry]) -> Section | None:
    """Of payloads that are no sweep and no steps."""
    known = sorted({each.channel for each in entries})
    found = [each for each in entries if each.measured and not each.swept and not each.stepped]
    figures = [
        figure
        for benchmark, group in by_benchmark(found).items()
        for metric in dict.fromkeys((group[0].headline, "bandwidth"))
        if (figure := _figure(benchmark, group, metric, known))
    ]
    if not figures:
        return None
    return Section(
        name="schemes",
        title="By payload",
        lead="The same benchmark with payloads of different make-up. For times shorter is better, for rates longer.",
        figures=tuple(figures),
        notes=(words.certainty(found),),
    )


def _figure(benchmark: str, group: Sequence[Entry], metric: str, known: Sequence[str]) -> Figure | None:
    found = [each for each in group if metric in each.estimates]
    if not found:
        return None
    left_out = max(0, len(found) - _MOST_BARS)
    shown = found[:_MOST_BARS]
    made = channel_bars(shown, metric)
    title = f"{benchmark}: {words.plain(metric)}"
    more = f" {words.count(left_out, 'more run')} stand in the table alone." if left_out else ""
    return Figure(
        name=f"schemes-{benchmark}-{metric}".replace("_", "-"),
        title=title,
        words=f"{title}, by payload. {_extremes(shown, metric)}{more}",
        chart=bars(made, channel_colors(known), CATALOGUE[metric].title, CATALOGUE[metric].unit),
        table=words.table(found, labels(found, without=("payload", "bytes")), _TABLE),
    )


_TABLE = ("rtt_p50", "rtt_p99", "rtt_mean", "rpcs", "bandwidth", "cpu_per_call", "cpu_per_gb")


def _extremes(found: Sequence[Entry], metric: str) -> str:
    told = sorted(found, key=lambda each: each.estimates[metric].interval.median)
    said = [f"{words.median(each.estimates[metric])} ({each.channel}, {each.payload})" for each in (told[0], told[-1])]
    return f"{said[0]}." if len(told) == 1 else f"From {said[0]} to {said[1]}."
