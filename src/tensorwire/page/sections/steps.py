"""Training steps sent again: how long their traffic takes here, against the time that the job took for a step."""

from collections.abc import Sequence

from tensorwire.page import Figure, Section, words
from tensorwire.page.bars import channel_colors
from tensorwire.page.charts import Bar, bars, rule
from tensorwire.page.entries import Entry, groups, labels

_TABLE = (
    "step_p50",
    "step_p99",
    "recorded_step",
    "network_share",
    "steps",
    "bandwidth",
    "bandwidth_back",
    "cpu_per_gb",
)


_LEAD = (
    "The traffic of a recorded step, alone, over each channel. The broken line is the time that the whole step took in "
    "the recorded job, which also computed: what is left is not what it computed, because the two overlap."
)


def section(entries: Sequence[Entry]) -> Section | None:
    found = [each for each in entries if each.stepped and "step_p50" in each.estimates]
    if not found:
        return None
    known = sorted({each.channel for each in entries})
    jobs = groups(found, lambda one, other: one.case.result.spec.payload == other.case.result.spec.payload)
    return Section(
        name="steps",
        title="The network's share of a training step",
        lead=_LEAD,
        figures=tuple(_figure(sorted(group, key=lambda each: each.channel), known) for group in jobs),
        notes=(words.certainty(found),),
    )


def _figure(group: Sequence[Entry], known: Sequence[str]) -> Figure:
    names = labels(group, without=("payload", "bytes"))
    recorded = group[0].estimates["recorded_step"]
    made = []
    for each, name in zip(group, names, strict=True):
        estimate = each.estimates["step_p50"]
        low, high = words.bounds(estimate.interval)
        share = words.median(each.estimates.get("network_share"))
        shown = f"{words.median(estimate)}, {share}"
        made.append(
            Bar(group=name, series=each.channel, value=estimate.interval.median, low=low, high=high, shown=shown)
        )
    title = f"Traffic of a step: {group[0].case.scheme}"
    took = f"the recorded step took {words.median(recorded)}"
    told = "; ".join(f"{bar.group} {bar.shown} of it" for bar in made)
    axis = f"median traffic of a step; broken line: recorded step, {words.median(recorded)}"
    chart = bars(made, channel_colors(known), axis, "us")
    return Figure(
        name=f"steps-{group[0].case.scheme}",
        title=title,
        words=f"{title}: {told}; {took}.",
        chart=rule(chart, recorded.interval.median, took),
        table=words.table(group, names, _TABLE),
    )
