"""Bencher Metric Format: for each case its measures, named with their units. https://bencher.dev/bmf.json"""

from collections.abc import Sequence

import msgspec

from tensorwire.case import Case, cases
from tensorwire.compare import chosen_metrics
from tensorwire.errors import SpecError
from tensorwire.exports import by_name, estimates
from tensorwire.report.data import csv_name
from tensorwire.result import Result

_LONGEST = 64  # characters of a measure's name; ours are shorter


def export(results: Sequence[Result], names: Sequence[str]) -> bytes:
    """Median, and the bounds of its interval where there are several repetitions; what was not measured is left out."""
    found = {name: measures for name, case in by_name(cases(results)).items() if (measures := _measures(case, names))}
    if not found:
        raise SpecError("results", "", "results with a measurement", "there is nothing to export: nothing was measured")
    return msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"


def _measures(case: Case, names: Sequence[str]) -> dict[str, dict[str, float]]:
    measures = {}
    for each in estimates(case, [metric.name for metric in chosen_metrics(case, names)]):
        interval = each.interval
        value = {"value": interval.median}
        if interval.confidence:
            value |= {"lower_value": interval.low, "upper_value": interval.high}
        measures[csv_name(each.metric)[:_LONGEST]] = value
    return measures
