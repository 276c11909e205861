"""Opinions computed from facts: one function for each rate and statistic that is shown."""

import math
import statistics
from collections.abc import Sequence

from msgspec import Struct

from tensorwire.units import Bytes, Nanoseconds


class Interval(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A median, and bounds that hold the true median with the probability `confidence`."""

    median: float
    low: float
    high: float
    confidence: float


def median_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """The tightest k-th smallest and k-th largest value that hold the median with at least `confidence`.

    Distribution-free: around the true median of n independent values they lie with the probability
    1 - 2 P(Binomial(n, 1/2) < k), and that is what the interval says. Too few values for `confidence` (fewer
    than 6 for 95 %) give the smallest and the largest, with the smaller probability that they have. Raises
    ValueError without values.
    """
    if not values:
        raise ValueError("no values have no median")
    ordered = sorted(values)
    n = len(ordered)
    k, outside, coverage = 1, 1, 1 - 2 / 2**n  # outside: the sum of the binomial coefficients below k
    while k < (n + 1) // 2:
        outside += math.comb(n, k)
        narrower = (2**n - 2 * outside) / 2**n
        if narrower < confidence:
            break
        k, coverage = k + 1, narrower
    return Interval(median=statistics.median(ordered), low=ordered[k - 1], high=ordered[n - k], confidence=coverage)


def relative_half_width(interval: Interval) -> float:
    """Half the interval's width over its median; infinite where one value or a median of 0 tells nothing."""
    if interval.confidence == 0 or interval.median == 0:
        return math.inf
    return (interval.high - interval.low) / 2 / abs(interval.median)


def jain_fairness(values: Sequence[float]) -> float:
    """Jain's index of shares that are not negative: 1 when all are alike, 1/n when one has everything.

    (sum x)^2 / (n sum x^2), after Jain, Chiu and Hawe, DEC-TR-301 (1984). Shares that are all 0 are alike.
    Raises ValueError without values.
    """
    if not values:
        raise ValueError("no shares have no fairness")
    largest = max(values)
    if largest == 0:
        return 1.0
    shares = [value / largest for value in values]  # the squares of very small or large values would not fit
    return math.fsum(shares) ** 2 / (len(shares) * math.fsum(share * share for share in shares))


def bandwidth(moved: Bytes, elapsed: Nanoseconds) -> float:
    """Bytes per second. Raises ValueError when no time has passed."""
    return rate(moved, elapsed)


def rate(calls: int, elapsed: Nanoseconds) -> float:
    """Calls per second. Raises ValueError when no time has passed."""
    if elapsed <= 0:
        raise ValueError(f"there is no rate over {elapsed} ns")
    return calls * 1e9 / elapsed
