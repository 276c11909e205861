"""google/benchmark's JSON, for its tools/compare.py and all that reads it.

`real_time` is the headline of the benchmark where that is a time, else the time that passes per call, one over the
rate of all calling ranks; `cpu_time` is the CPU time of all ranks per call. The label says which. What google/benchmark
knows and we do not (clock rates, caches) is left out, and so is a repetition that failed.
"""

import contextlib
import statistics
from collections.abc import Callable, Iterator, Sequence

import msgspec

from tensorwire import metrics
from tensorwire.case import Case, cases
from tensorwire.compare import chosen_metrics
from tensorwire.errors import SpecError
from tensorwire.exports import by_name, refuse_choice
from tensorwire.report.data import csv_name
from tensorwire.result import Result
from tensorwire.sample import Sample

_Values = Sequence[float]
_AGGREGATES: dict[str, tuple[str, Callable[[_Values], float]]] = {
    "mean": ("time", statistics.fmean),
    "median": ("time", statistics.median),
    "stddev": ("time", statistics.stdev),
    "cv": ("percentage", lambda values: statistics.stdev(values) / statistics.fmean(values)),
}


def export(results: Sequence[Result], names: Sequence[str]) -> bytes:
    """An entry for each repetition, and from two on the mean, median, deviation and its share of the mean."""
    refuse_choice("google-benchmark", names)
    found = by_name(cases(results))
    runs = [run for index, (name, case) in enumerate(found.items()) for run in _runs(index, name, case)]
    if not runs:
        raise SpecError("results", "", "results with a measurement", "there is nothing to export: nothing was measured")
    document = {"context": _context(results[0], found), "benchmarks": runs}
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _context(result: Result, found: dict[str, Case]) -> dict[str, object]:
    """Of the first result; a number of failures in place of entries that have no time."""
    here = result.environment
    failures = sum(words is not None for case in found.values() for words in case.failures)
    context: dict[str, object] = {
        "date": result.created,
        "host_name": here.host,
        "executable": "tensorwire",
        "num_cpus": len(here.cores),
        "tensorwire_version": result.tensorwire,
        "failed_repetitions": str(failures),
    }
    load = here.facts.get("load_average", "").split()
    with contextlib.suppress(ValueError):  # where it is not known
        context["load_avg"] = [float(each) for each in load]
    return context


def _runs(index: int, name: str, case: Case) -> Iterator[dict[str, object]]:
    timed = _time_of(case)
    measured = [sample for sample in case.samples if sample is not None and sample.calls]
    family = {
        "run_name": name,
        "family_index": index,
        "per_family_instance_index": 0,
        "repetitions": len(measured),
        "threads": case.result.spec.threads,
        "time_unit": "us",
        "label": f"real_time: {timed}",
    }
    times = [(_real_time(sample, timed), metrics.get("cpu_per_call").value(sample) or 0.0) for sample in measured]
    for number, (sample, (real, cpu)) in enumerate(zip(measured, times, strict=True)):
        run = {"name": name, **family, "run_type": "iteration", "repetition_index": number}
        yield {**run, "iterations": sample.calls, "real_time": real, "cpu_time": cpu, **_counters(sample)}
    if len(measured) > 1:
        for aggregate, (unit, of) in _AGGREGATES.items():
            run = {"name": f"{name}_{aggregate}", **family, "run_type": "aggregate", "aggregate_name": aggregate}
            real, cpu = (_aggregate(of, side) for side in zip(*times, strict=True))
            yield {**run, "aggregate_unit": unit, "iterations": len(measured), "real_time": real, "cpu_time": cpu}


def _aggregate(of: Callable[[_Values], float], values: _Values) -> float:
    return of(values) if any(values) else 0.0


def _time_of(case: Case) -> str:
    """The name of the metric that is the time of a call, or what stands for it."""
    headline = chosen_metrics(case)[0]
    return headline.name if headline.unit == "us" else "time per call"


def _real_time(sample: Sample, timed: str) -> float:
    if timed in metrics.CATALOGUE:
        return metrics.get(timed).value(sample) or 0.0
    rate = metrics.get("rpcs").value(sample)
    return 1e6 / rate if rate else 0.0


def _counters(sample: Sample) -> dict[str, float]:
    """All metrics, under names with their units, and google/benchmark's own two in its units."""
    found = {csv_name(each): value for each in metrics.CATALOGUE.values() if (value := each.value(sample)) is not None}
    rates = {"items_per_second": ("rpcs", 1.0), "bytes_per_second": ("bandwidth", 1e6)}
    for name, (metric, factor) in rates.items():
        value = metrics.get(metric).value(sample)
        if value is not None:
            found[name] = value * factor
    return found
