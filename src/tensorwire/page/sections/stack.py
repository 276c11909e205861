"""Serialization against communication: the two parts of a round trip with one call in flight."""

from collections.abc import Sequence

from tensorwire.page import Figure, Section, ink, words
from tensorwire.page.charts import Bar, stacked
from tensorwire.page.entries import Entry, by_benchmark, labels
from tensorwire.spec import Closed

_PARTS = {"serialization": "serialization", "communication": "communication"}
_COLORS = {"serialization": ink.series(1), "communication": ink.series(0)}
_MOST = 16


_LEAD = (
    "Where a round trip goes: serializing and deserializing at both ends, and everything else. With one call in flight "
    "the two add up to the mean round trip."
)


def section(entries: Sequence[Entry]) -> Section | None:
    found = [each for each in entries if all(name in each.estimates for name in _PARTS) and _alone(each)]
    if not found:
        return None
    return Section(
        name="stack",
        title="Serialization and communication",
        lead=_LEAD,
        figures=tuple(_figure(benchmark, group) for benchmark, group in by_benchmark(found).items()),
    )


def _alone(entry: Entry) -> bool:
    result = entry.case.result
    return isinstance(result.spec.load, Closed) and result.traffic.outstanding == 1 and result.spec.threads == 1


def _figure(benchmark: str, group: Sequence[Entry]) -> Figure:
    names = labels(group, without=("payload", "bytes"))
    whole = [
        f"{name}, {each.payload}" if len(set(names)) > 1 else each.payload
        for each, name in zip(group, names, strict=True)
    ]
    made, told = [], []
    for each, name in list(zip(group, whole, strict=True))[:_MOST]:
        parts = [each.estimates[part].interval.median for part in _PARTS]
        for part, value in zip(_PARTS, parts, strict=True):
            made.append(Bar(group=name, series=part, value=value, shown=words.say("us", value)))
        told.append(f"{name}: {100 * parts[0] / sum(parts):.3g} % of the mean round trip is serialization")
    return Figure(
        name=f"stack-{benchmark}",
        title=f"{benchmark}: parts of the mean round trip",
        words=f"{benchmark}. {'; '.join(told)}.",
        chart=stacked(made, _COLORS, "mean round trip", "us"),
        table=words.table(group, names, ("serialization", "communication", "rtt_mean")),
    )
