"""github-action-benchmark's own JSON, for its tool customSmallerIsBetter: the metrics of which less is better."""

from collections.abc import Sequence

import msgspec

from tensorwire import metrics
from tensorwire.case import Case, cases
from tensorwire.compare import chosen_metrics
from tensorwire.errors import SpecError
from tensorwire.exports import by_name, estimates
from tensorwire.metrics import Better, Estimate
from tensorwire.result import Result

_TOOLS: dict[Better, tuple[str, str]] = {
    "lower": ("github-action", "customSmallerIsBetter"),
    "higher": ("github-action-bigger", "customBiggerIsBetter"),
}


def export(results: Sequence[Result], names: Sequence[str]) -> bytes:
    """An entry for each metric of each case that is better when lower."""
    return entries(results, names, "lower")


def entries(results: Sequence[Result], names: Sequence[str], better: Better) -> bytes:
    """Median, half the width of its interval, and how many repetitions; of the metrics with one direction.

    Raises SpecError when there are none, or one that was asked for has the other direction.
    """
    form, tool = _TOOLS[better]
    for name in names:
        if (other := metrics.get(name).better) != better:
            sentence = f"{name} has no place in {tool}: of it, {other} is better"
            raise SpecError("metric", name, f"a metric of which {better} is better", sentence)
    found = [
        _entry(f"{name} {each.metric.name}", each, case)
        for name, case in by_name(cases(results)).items()
        for each in estimates(case, [metric.name for metric in chosen_metrics(case, names) if metric.better == better])
    ]
    if not found:
        others = " or ".join(other for other, _ in _TOOLS.values() if other != form)
        sentence = f"no result has a value of which {better} is better; choose one with --metric, or --to {others}"
        raise SpecError("metric", ", ".join(names), f"one of which {better} is better", sentence)
    return msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"


def _entry(name: str, each: Estimate, case: Case) -> dict[str, object]:
    interval = each.interval
    known = sum(value is not None for value in each.values)
    entry: dict[str, object] = {"name": name, "unit": each.metric.unit or "ratio", "value": interval.median}
    if interval.confidence:
        entry["range"] = f"± {(interval.high - interval.low) / 2:.6f}"
    about = f"{each.metric.meaning}; median of {known} repetition{'' if known == 1 else 's'}"
    here = case.result.environment
    entry["extra"] = f"{about}\n{case.result.payload}\n{here.host}: {here.cpu}, tensorwire {case.result.tensorwire}"
    return entry
