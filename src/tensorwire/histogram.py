"""Latency histograms as the core records them, computed with anew in Python.

The buckets are those of cpp/core/histogram.h, written a second time from their definition as a check of the
first: below 128 ns a bucket holds one value; above, every power of two is cut into 128 equal buckets, so that
a bucket is no wider than 1/128 of what it holds. Values from 2^40 ns (18 minutes) fall in the last one.
"""

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from itertools import accumulate, pairwise

from msgspec import Struct

from tensorwire.units import Nanoseconds

LINEAR = 128
BUCKETS = 34 * LINEAR  # 0 to 127, then the 33 powers of two from 2^7 to 2^39


class Histogram(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often durations fell in each bucket, with their exact count, sum, minimum and maximum.

    `buckets` holds (index, count) of the buckets that are not empty, ascending. All is 0 when nothing was
    recorded. Raises ValueError when its parts contradict each other.
    """

    count: int
    sum_ns: Nanoseconds
    min_ns: Nanoseconds
    max_ns: Nanoseconds
    buckets: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        counts = [times for _, times in self.buckets]
        if self.count != sum(counts) or min(counts, default=1) < 1:
            raise ValueError(f"the buckets of a histogram do not add up to its count of {self.count}")
        if any(before >= after for (before, _), (after, _) in pairwise(self.buckets)):
            raise ValueError("the buckets of a histogram are not in ascending order")
        ends = (self.buckets[0][0], self.buckets[-1][0]) if self.buckets else (0, 0)
        if (bucket(self.min_ns), bucket(self.max_ns)) != ends or self.min_ns > self.max_ns:
            raise ValueError(f"a histogram's buckets do not reach from {self.min_ns} to {self.max_ns} ns")

    @classmethod
    def of(cls, durations: Iterable[int]) -> "Histogram":
        """The histogram of these durations in nanoseconds."""
        values = list(durations)
        return cls(
            count=len(values),
            sum_ns=Nanoseconds(sum(values)),
            min_ns=Nanoseconds(min(values, default=0)),
            max_ns=Nanoseconds(max(values, default=0)),
            buckets=tuple(sorted(Counter(map(bucket, values)).items())),
        )

    @property
    def mean(self) -> float:
        """The exact mean in nanoseconds. Raises ValueError when nothing was recorded."""
        if self.count == 0:
            raise ValueError("an empty histogram has no mean")
        return self.sum_ns / self.count

    def percentile(self, q: float) -> Nanoseconds:
        """The nearest-rank percentile, 0 to 100: the middle of the bucket that holds it, within min and max.

        0 gives the exact minimum and 100 the exact maximum. Raises ValueError when nothing was recorded.
        """
        if self.count == 0 or not 0 <= q <= 100:
            raise ValueError(f"no percentile {q} of {self.count} values")
        if q in (0, 100):
            return self.min_ns if q == 0 else self.max_ns
        rank = Fraction(str(q)) / 100 * self.count  # exact: 99.9 % of 1000 values is always the 999th
        seen = accumulate(times for _, times in self.buckets)
        index = next(index for (index, _), so_far in zip(self.buckets, seen, strict=True) if so_far >= rank)
        low, high = bucket_bounds(index)
        return Nanoseconds(min(max((low + high - 1) // 2, self.min_ns), self.max_ns))


def merge(a: Histogram, b: Histogram) -> Histogram:
    """The histogram of all that either has recorded."""
    if a.count == 0 or b.count == 0:
        return a if b.count == 0 else b
    return Histogram(
        count=a.count + b.count,
        sum_ns=Nanoseconds(a.sum_ns + b.sum_ns),
        min_ns=min(a.min_ns, b.min_ns),
        max_ns=max(a.max_ns, b.max_ns),
        buckets=tuple(sorted((Counter(dict(a.buckets)) + Counter(dict(b.buckets))).items())),
    )


def bucket(value: int) -> int:
    """The index of the bucket that a duration in nanoseconds falls in."""
    power = value.bit_length() - 1
    if power < 7:
        return max(value, 0)
    within = (value - (1 << power)) * LINEAR >> power
    return min((power - 6) * LINEAR + within, BUCKETS - 1)


def bucket_bounds(index: int) -> tuple[Nanoseconds, Nanoseconds]:
    """The smallest duration that falls in a bucket, and the smallest that is too long for it."""
    if not 0 <= index < BUCKETS:
        raise ValueError(f"bucket {index} is not one of 0 to {BUCKETS - 1}")
    if index < LINEAR:
        return Nanoseconds(index), Nanoseconds(index + 1)
    power, within = divmod(index, LINEAR)
    width = 1 << (power - 1)
    low = (LINEAR + within) * width
    return Nanoseconds(low), Nanoseconds(low + width)
