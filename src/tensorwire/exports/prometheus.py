"""Prometheus' text exposition format 0.0.4, such as node_exporter's textfile collector reads: in base units.

https://prometheus.io/docs/instrumenting/exposition_formats and its rules for names.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import reduce

from tensorwire.case import Case, cases
from tensorwire.exports import by_name, estimates
from tensorwire.histogram import Histogram, bucket_bounds, merge
from tensorwire.metrics import CATALOGUE, Estimate, Metric
from tensorwire.result import Result

# By our unit: the base unit that ends the name, and how many of it one of ours is.
_BASE = {
    "us": ("seconds", 1e-6),
    "ns": ("seconds", 1e-9),
    "s": ("seconds", 1.0),
    "MB/s": ("bytes_per_second", 1e6),
    "RPC/s": ("calls_per_second", 1.0),
    "MB": ("bytes", 1e6),
    "%": ("ratio", 0.01),
    "cores": ("cores", 1.0),
    "slices": ("slices", 1.0),
    "": ("", 1.0),
}
_FAMILY = "tensorwire_round_trip_seconds"


def export(results: Sequence[Result], names: Sequence[str]) -> bytes:
    """A gauge for each metric, with the bounds of its interval, and a histogram of all round trips."""
    found = by_name(cases(results))
    lines = [line for name in (names or CATALOGUE) for line in _metric(CATALOGUE[name], found)]
    if not names:
        lines += _histograms(found)
        lines += _facts(found)
    return "".join(f"{line}\n" for line in lines).encode()


def _metric(metric: Metric, found: dict[str, Case]) -> Iterator[str]:
    known = {name: each[0] for name, case in found.items() if (each := estimates(case, [metric.name]))}
    sure = {name: each for name, each in known.items() if each.interval.confidence}
    meaning = f"{metric.meaning}; median over repetitions, {metric.better} is better"
    yield from _gauge(metric, "", meaning.replace("neither is", "no direction is"), known, found)
    yield from _gauge(metric, "_low", f"Lower bound of the median of {metric.name}", sure, found)
    yield from _gauge(metric, "_high", f"Upper bound of the median of {metric.name}", sure, found)


def _gauge(
    metric: Metric, bound: str, meaning: str, known: dict[str, Estimate], found: dict[str, Case]
) -> Iterator[str]:
    if not known:
        return
    unit, factor = _BASE[metric.unit]
    ending = "" if not unit or metric.name.endswith(unit) else f"_{unit}"
    family = f"tensorwire_{metric.name.replace('_gb', '_gigabyte')}{bound}{ending}"
    yield from _head(family, "gauge", meaning)
    for name, each in known.items():
        interval = each.interval
        value = {"": interval.median, "_low": interval.low, "_high": interval.high}[bound]
        yield f"{family}{_labels(name, found[name])} {value * factor!r}"


def _histograms(found: dict[str, Case]) -> Iterator[str]:
    """At the powers of two, where the buckets of our histograms end as well: the counts are exact."""
    yield from _head(_FAMILY, "histogram", "Round trips of all calls of all repetitions")
    for name, case in found.items():
        seen = reduce(merge, (each.latency for each in case.samples if each is not None), Histogram.of(()))
        if not seen.count:
            continue
        for end in _ends(seen):
            within = sum(count for index, count in seen.buckets if bucket_bounds(index)[1] <= end)
            yield f"{_FAMILY}_bucket{_labels(name, case, le=repr((end - 1) / 1e9))} {within}"
        yield f"{_FAMILY}_bucket{_labels(name, case, le='+Inf')} {seen.count}"
        yield f"{_FAMILY}_sum{_labels(name, case)} {seen.sum_ns / 1e9!r}"
        yield f"{_FAMILY}_count{_labels(name, case)} {seen.count}"


def _ends(seen: Histogram) -> list[int]:
    """Powers of two from below the shortest round trip to above the longest."""
    first, last = (seen.min_ns.bit_length() - 1, min(seen.max_ns.bit_length(), 39))
    return [1 << power for power in range(max(first, 0), last + 1)]


def _facts(found: dict[str, Case]) -> Iterator[str]:
    counts = {name: sum(sample is not None for sample in case.samples) for name, case in found.items()}
    lost = {name: sum(words is not None for words in case.failures) for name, case in found.items()}
    begun = {name: datetime.fromisoformat(case.result.created).timestamp() for name, case in found.items()}
    for family, meaning, values in (
        ("tensorwire_repetitions", "Repetitions that have a measurement", counts),
        ("tensorwire_failures", "Repetitions that failed", lost),
        ("tensorwire_created_timestamp_seconds", "When the first run began", begun),
    ):
        yield from _head(family, "gauge", meaning)
        yield from (f"{family}{_labels(name, found[name])} {value}" for name, value in values.items())


def _head(family: str, kind: str, meaning: str) -> Iterator[str]:
    told = meaning.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {family} {told}."
    yield f"# TYPE {family} {kind}"


def _labels(name: str, case: Case, **more: str) -> str:
    labels = {"case": name, **case.traits(), "host": case.result.environment.host, **more}
    return "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
