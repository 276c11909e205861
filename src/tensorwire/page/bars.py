"""Bars of entries: a group for each payload and setting, in it a bar for each channel."""

from collections.abc import Sequence

from tensorwire.page import ink, words
from tensorwire.page.charts import Bar
from tensorwire.page.entries import Entry, labels


def channel_bars(found: Sequence[Entry], metric: str) -> list[Bar]:
    """One for each entry that has the metric; those of a group stand together, by channel."""
    shown = [each for each in found if metric in each.estimates]
    settings = labels(shown, without=("channel", "payload", "bytes"))
    made = []
    for each, setting in zip(shown, settings, strict=True):
        low, high = words.bounds(each.estimates[metric].interval)
        made.append(
            Bar(
                group=", ".join(filter(None, (each.payload, setting))),
                series=each.channel,
                value=each.estimates[metric].interval.median,
                low=low,
                high=high,
                shown=words.median(each.estimates[metric]),
            )
        )
    groups = list(dict.fromkeys(bar.group for bar in made))
    return sorted(made, key=lambda bar: (groups.index(bar.group), bar.series))


def channel_colors(known: Sequence[str]) -> dict[str, str]:
    """The colour of each channel, the same all over a page."""
    return {channel: ink.series(place) for place, channel in enumerate(known)}
