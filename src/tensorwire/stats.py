"""Opinions computed from facts: one function for each rate and statistic that is shown."""

import math
import random
import statistics
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from msgspec import Struct

from tensorwire.units import Bytes, Nanoseconds

_RESAMPLES = 10_000
_MOST_DRAWN = 1_000_000  # values drawn for each side: with very many values there are fewer resamples
_SEEDS = (1, 2)  # of the two sides' resamples
_MOST_EXACT = 60  # values of both sides together


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


def ratio_interval(base: Sequence[float], new: Sequence[float], confidence: float = 0.95) -> Interval:
    """The ratio of the medians, new over base, between the percentiles of its bootstrap distribution.

    Each side is resampled for itself, with replacement, from a fixed seed: the same values have the same interval.
    Percentiles as they are, because the jackknife that BCa corrects them by fails for medians (Efron and Tibshirani,
    An Introduction to the Bootstrap, 1993, chapters 11 and 13). Raises ValueError for values that are not above 0.
    """
    if not base or not new or min(*base, *new) <= 0:
        raise ValueError("a ratio of medians is of values above 0")
    below, above = (_resampled_medians(side, seed) for side, seed in zip((base, new), _SEEDS, strict=True))
    ratios = sorted(one / other for one, other in zip(above, below, strict=False))
    outside = math.floor((1 - confidence) / 2 * len(ratios))
    return Interval(
        median=statistics.median(new) / statistics.median(base),
        low=ratios[outside],
        high=ratios[-1 - outside],
        confidence=confidence,
    )


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> float:
    """The two-sided p-value of Mann and Whitney's U test: how often values that are alike look so different.

    Exact for up to 60 values, also with ties (the distribution of the rank sum over all ways to share the values out),
    beyond that the normal approximation with corrections for ties and continuity. Raises ValueError without values.
    """
    if not a or not b:
        raise ValueError("there is nothing to compare")
    twice = _twice_midranks([*a, *b])
    seen = sum(twice[: len(a)])
    if len(twice) <= _MOST_EXACT:
        ways = _rank_sums(twice, len(a))
        fewer = sum(count for total, count in ways.items() if total <= seen)
        more = sum(count for total, count in ways.items() if total >= seen)
        return min(1.0, 2 * min(fewer, more) / math.comb(len(twice), len(a)))
    return _approximate_p(twice, len(a), seen)


def least_p(m: int, n: int) -> float:
    """The smallest p-value that `mann_whitney` can give for so many values on either side."""
    return min(1.0, 2 / math.comb(m + n, m))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values, adjusted so that those of a whole table can be held against one level (Holm 1979)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    stepped = accumulate((p_values[i] * (len(order) - rank) for rank, i in enumerate(order)), max)
    adjusted = dict(zip(order, stepped, strict=True))
    return [min(1.0, adjusted[i]) for i in range(len(order))]


def _resampled_medians(values: Sequence[float], seed: int) -> list[float]:
    draw = random.Random(seed)
    ordered, n = sorted(values), len(values)
    resamples = min(_RESAMPLES, max(_RESAMPLES // 10, _MOST_DRAWN // n))
    return [statistics.median(draw.choices(ordered, k=n)) for _ in range(resamples)]


def _twice_midranks(values: Sequence[float]) -> list[int]:
    """The rank of each value, from 1, ties sharing the mean of theirs; doubled, so that it is whole."""
    counts = Counter(values)
    ordered = sorted(counts)
    below = dict(zip(ordered, accumulate((counts[value] for value in ordered), initial=0), strict=False))
    return [2 * below[value] + counts[value] + 1 for value in values]


def _rank_sums(ranks: Sequence[int], chosen: int) -> dict[int, int]:
    """How many ways to choose so many of the ranks have which sum."""
    ways: list[Counter[int]] = [Counter({0: 1}), *(Counter[int]() for _ in range(chosen))]
    for rank in ranks:
        for size in range(chosen, 0, -1):
            for total, count in ways[size - 1].items():
                ways[size][total + rank] += count
    return ways[chosen]


def _approximate_p(twice: Sequence[int], m: int, seen: int) -> float:
    total, n = len(twice), len(twice) - m
    ties = sum(count**3 - count for count in Counter(twice).values())
    variance = m * n / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance == 0:
        return 1.0
    apart = max(0.0, abs(seen / 2 - m * (total + 1) / 2) - 0.5)
    return math.erfc(apart / math.sqrt(2 * variance))
