"""Statistics against what can be worked out by hand or another way."""

import math
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorwire.stats import Interval, bandwidth, jain_fairness, median_interval, rate, relative_half_width
from tensorwire.units import Bytes, Nanoseconds

numbers = st.floats(-1e9, 1e9)
shares = st.lists(st.floats(0, 1e9), min_size=1, max_size=50)


# k and the coverage in percent, from tables of the sign test: n values, k-th from either end, at least 95 %.
@pytest.mark.parametrize(
    ("n", "k", "coverage"),
    [
        (1, 1, 0.0),
        (2, 1, 50.0),
        (3, 1, 75.0),
        (5, 1, 93.75),
        (6, 1, 96.875),
        (8, 1, 99.21875),
        (9, 2, 96.09375),
        (10, 2, 97.8515625),
        (12, 3, 96.142578125),
        (15, 4, 96.484375),
        (20, 6, 95.8610534667968750),
        (25, 8, 95.67147493362427),
    ],
)
def test_the_interval_of_the_median_has_its_binomial_coverage(n: int, k: int, coverage: float) -> None:
    values = [float(value) for value in range(n, 0, -1)]
    expected = Interval(median=(n + 1) / 2, low=k, high=n + 1 - k, confidence=coverage / 100)
    assert median_interval(values) == expected


def _coverage(n: int, k: int) -> float:
    """P(k <= Binomial(n, 1/2) <= n - k), the sum over the middle rather than the tails."""
    return sum(math.comb(n, i) for i in range(k, n - k + 1)) / (1 << n)


@given(st.integers(1, 300), st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]))
def test_the_interval_is_the_tightest_that_is_confident_enough(n: int, confidence: float) -> None:
    interval = median_interval(range(1, n + 1), confidence)
    k = int(interval.low)
    assert interval.high == n + 1 - k
    assert interval.confidence == pytest.approx(_coverage(n, k), abs=1e-12)
    assert interval.confidence >= confidence or k == 1
    assert k == (n + 1) // 2 or _coverage(n, k + 1) < confidence


@given(st.lists(numbers, min_size=1, max_size=60))
def test_the_interval_holds_the_median_of_the_values(values: list[float]) -> None:
    interval = median_interval(values)
    assert interval.median == median(values)
    assert min(values) <= interval.low <= interval.median <= interval.high <= max(values)


def test_one_value_is_its_own_interval_with_no_confidence() -> None:
    assert median_interval([7.0]) == Interval(median=7.0, low=7.0, high=7.0, confidence=0.0)


def test_many_values_are_no_trouble() -> None:
    interval = median_interval(range(1, 5001))
    assert interval.confidence >= 0.95
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * math.sqrt(5000) / 2, abs=3)


def test_no_values_have_no_median() -> None:
    with pytest.raises(ValueError, match="no median"):
        median_interval([])


def test_the_relative_half_width_is_a_fraction_of_the_median() -> None:
    interval = Interval(median=-100.0, low=-102.0, high=-98.0, confidence=0.96)
    assert relative_half_width(interval) == 0.02


@pytest.mark.parametrize(
    "interval",
    [median_interval([7.0]), Interval(median=0.0, low=-1.0, high=1.0, confidence=0.96)],
)
def test_an_interval_that_tells_nothing_is_never_tight(interval: Interval) -> None:
    assert relative_half_width(interval) == math.inf


def test_fairness_of_known_shares() -> None:
    assert jain_fairness([5, 5, 5]) == 1
    assert jain_fairness([1, 0, 0, 0]) == 0.25
    assert jain_fairness([1, 3]) == pytest.approx(0.8)
    assert jain_fairness([0, 0]) == 1


@given(shares)
def test_fairness_lies_between_one_of_n_and_one(values: list[float]) -> None:
    assert 1 / len(values) - 1e-9 <= jain_fairness(values) <= 1 + 1e-9


@given(st.lists(st.floats(1, 1e6), min_size=1), st.floats(1e-3, 1e3))
def test_fairness_does_not_depend_on_the_unit(values: list[float], unit: float) -> None:
    assert jain_fairness([value * unit for value in values]) == pytest.approx(jain_fairness(values))


def test_no_shares_have_no_fairness() -> None:
    with pytest.raises(ValueError, match="no fairness"):
        jain_fairness([])


def test_rates_are_per_second() -> None:
    assert bandwidth(Bytes(4_030_030), Nanoseconds(500_000_000)) == 8_060_060
    assert rate(3, Nanoseconds(1_500_000_000)) == 2


@pytest.mark.parametrize("elapsed", [0, -1])
def test_there_is_no_rate_over_no_time(elapsed: int) -> None:
    with pytest.raises(ValueError, match=f"no rate over {elapsed} ns"):
        rate(1, Nanoseconds(elapsed))
    with pytest.raises(ValueError, match=f"no rate over {elapsed} ns"):
        bandwidth(Bytes(1), Nanoseconds(elapsed))
