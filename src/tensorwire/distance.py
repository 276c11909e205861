"""How far apart two distributions of sizes are: exact, and in words."""

from collections.abc import Iterator, Mapping
from fractions import Fraction

from msgspec import Struct


class Distance(Struct, frozen=True, kw_only=True):
    """Between two distributions of sizes; both parts are 0 only when the distributions are the same.

    `ks` (Kolmogorov-Smirnov, two samples): the largest difference between the shares of values up to any size.
    `wasserstein` (Wasserstein-1, earth mover's): the bytes by which a value must change, on average, to turn one
    distribution into the other. `mean` is that of the first one.
    """

    ks: Fraction
    wasserstein: Fraction
    mean: Fraction

    @property
    def relative(self) -> Fraction:
        """The Wasserstein distance as a share of the first distribution's mean; of 1 byte where that is 0."""
        return self.wasserstein / (self.mean or 1)

    def words(self, what: str) -> str:
        """In one sentence, about two profiles' `what`, such as messages."""
        if not self.wasserstein:
            return f"the sizes of {what} have the same distribution"
        return (
            f"to turn the first distribution into the second, the sizes of {what} change by "
            f"{float(self.wasserstein):,.0f} B on average, {float(self.relative):.2%} of the first's mean; "
            f"the shares of {what} up to any given size differ by at most {float(self.ks):.2%}"
        )


def distance(first: Mapping[int, int], second: Mapping[int, int]) -> Distance:
    """Of two distributions, each given as how often every size came. Raises ValueError when one is empty."""
    counts = sum(first.values()), sum(second.values())
    if not all(counts):
        raise ValueError("a distribution without values has no distance to another")
    ks = wasserstein = 0
    for gap, below_first, below_second in _steps(first, second):
        apart = abs(below_first * counts[1] - below_second * counts[0])
        ks = max(ks, apart)
        wasserstein += apart * gap
    both = counts[0] * counts[1]
    return Distance(ks=Fraction(ks, both), wasserstein=Fraction(wasserstein, both), mean=mean(first))


def mean(sizes: Mapping[int, int]) -> Fraction:
    """The exact mean of sizes that are given as how often each came."""
    return Fraction(sum(size * times for size, times in sizes.items()), sum(sizes.values()))


def _steps(first: Mapping[int, int], second: Mapping[int, int]) -> Iterator[tuple[int, int, int]]:
    """From each size to the next one: how far that is, and how many values of either are no larger than the size."""
    sizes = sorted(first.keys() | second.keys())
    below_first = below_second = 0
    for size, following in zip(sizes, [*sizes[1:], sizes[-1]], strict=True):
        below_first += first.get(size, 0)
        below_second += second.get(size, 0)
        yield following - size, below_first, below_second
