"""The numbers of collective operations: one function each, its docstring the meaning; metrics.py has the catalogue.

Time, algorithm bandwidth and bus bandwidth are those of nccl-tests: doc/PERFORMANCE.md, and the average over ranks that
src/common.cu prints by default.
"""

import statistics
from collections.abc import Callable
from typing import Literal

from tensorwire.sample import Sample

_NS_PER_US = 1e3


def coll_time(sample: Sample) -> float | None:
    """Time of a call of a collective operation, on average over the calls and the ranks."""
    times = _times(sample)
    return statistics.fmean(times) / _NS_PER_US if times else None


def coll_slowest(sample: Sample) -> float | None:
    """Mean time of a call on the rank that took the longest."""
    times = _times(sample)
    return max(times) / _NS_PER_US if times else None


def coll_p50(sample: Sample) -> float | None:
    """Median time of a call of a collective operation, over all ranks."""
    return _percentile(sample, 50)


def coll_p99(sample: Sample) -> float | None:
    """Time that 99 % of the calls of a collective operation do not exceed, over all ranks."""
    return _percentile(sample, 99)


def algbw(sample: Sample) -> float | None:
    """Bytes of the whole array per time of a call."""
    times = _times(sample)
    return sample.collective.total / statistics.fmean(times) if sample.collective and times else None  # B/ns are GB/s


def busbw(sample: Sample) -> float | None:
    """Algorithm bandwidth, times what the busiest link must carry of the array: the speed of that link at least."""
    found = algbw(sample)
    return found * float(sample.collective.bus_factor) if sample.collective and found is not None else None


def wrong(sample: Sample) -> float | None:
    """Elements that were wrong in the untimed pass; one alone fails the point."""
    checked = all(each.checked is not None for each in sample.calling)
    return 0.0 if sample.collective and sample.calling and checked else None


Entry = tuple[str, str, Literal["higher", "lower", "neither"], Callable[[Sample], float | None]]

ENTRIES: tuple[Entry, ...] = (
    ("time", "us", "lower", coll_time),
    ("time slowest", "us", "lower", coll_slowest),
    ("time p50", "us", "lower", coll_p50),
    ("time p99", "us", "lower", coll_p99),
    ("algbw", "GB/s", "higher", algbw),
    ("busbw", "GB/s", "higher", busbw),
    ("#wrong", "", "lower", wrong),
)
"""Title, unit and better direction of each."""


def _times(sample: Sample) -> list[float]:
    """Nanoseconds of a call, of each rank: its elapsed time over its calls."""
    if sample.collective is None or not all(each.calls for each in sample.calling):
        return []
    return [each.elapsed_ns / each.calls for each in sample.calling]


def _percentile(sample: Sample, q: float) -> float | None:
    return sample.latency.percentile(q) / _NS_PER_US if sample.collective and sample.calls else None
