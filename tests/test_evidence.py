"""The statistics of comparisons, against SciPy and against counting all possibilities."""

import math
from itertools import combinations, product
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from tensorwire.stats import holm, least_p, mann_whitney, ratio_interval

positive = st.floats(1e-3, 1e6)
sides = st.lists(positive, min_size=1, max_size=12)
few = st.lists(st.integers(1, 4).map(float), min_size=1, max_size=5)  # with many ties


@settings(deadline=None)
@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=30, unique=True), st.data())
def test_the_exact_p_value_is_scipys(values: list[int], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(values) - 1))
    shuffled = [float(value) for value in data.draw(st.permutations(values))]
    a, b = shuffled[:cut], shuffled[cut:]
    assert mann_whitney(a, b) == pytest.approx(mannwhitneyu(a, b, method="exact").pvalue)


@settings(deadline=None)
@given(few, few)
def test_with_ties_the_p_value_is_that_of_all_ways_to_share_the_values_out(a: list[float], b: list[float]) -> None:
    assert mann_whitney(a, b) == pytest.approx(_p_by_counting(a, b))


def _p_by_counting(a: list[float], b: list[float]) -> float:
    pooled = a + b

    def wins(chosen: tuple[int, ...]) -> float:
        others = [i for i in range(len(pooled)) if i not in chosen]
        pairs = [(pooled[i], pooled[j]) for i in chosen for j in others]
        return sum((one > other) + (one == other) / 2 for one, other in pairs)

    every = [wins(chosen) for chosen in combinations(range(len(pooled)), len(a))]
    seen = wins(tuple(range(len(a))))
    tails = sum(each <= seen for each in every), sum(each >= seen for each in every)
    return min(1.0, 2 * min(tails) / len(every))


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 20).map(float), min_size=31, max_size=60),
    st.lists(st.integers(1, 25).map(float), min_size=30, max_size=60),
)
def test_with_many_values_the_p_value_is_scipys_approximation(a: list[float], b: list[float]) -> None:
    expected = mannwhitneyu(a, b, method="asymptotic", use_continuity=True).pvalue
    assert mann_whitney(a, b) == pytest.approx(1.0 if math.isnan(expected) else expected, abs=1e-12)


@settings(deadline=None)
@given(sides, sides)
def test_the_sides_of_the_u_test_may_be_swapped(a: list[float], b: list[float]) -> None:
    assert mann_whitney(a, b) == pytest.approx(mann_whitney(b, a))


@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 5), (3, 3), (4, 4), (5, 5), (10, 12)])
def test_no_p_value_is_smaller_than_the_least(m: int, n: int) -> None:
    apart = mann_whitney([float(i) for i in range(m)], [100.0 + i for i in range(n)])
    assert apart == pytest.approx(least_p(m, n))


def test_four_values_on_either_side_can_be_told_apart_and_three_cannot() -> None:
    assert least_p(3, 3) == pytest.approx(0.1)
    assert least_p(4, 4) == pytest.approx(2 / 70)


def test_many_equal_values_are_alike() -> None:
    assert mann_whitney([5.0] * 40, [5.0] * 40) == 1


def test_nothing_is_not_compared() -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        mann_whitney([], [1.0])


# Worked out by hand.
@pytest.mark.parametrize(
    ("given_", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.6, 0.9], [1.0, 1.0]),
        ([0.02], [0.02]),
        ([], []),
    ],
)
def test_holms_adjusted_p_values(given_: list[float], adjusted: list[float]) -> None:
    assert holm(given_) == pytest.approx(adjusted)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_keeps_the_order_and_lies_between_the_p_value_and_bonferronis(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for one, before in zip(adjusted, p_values, strict=True):
        assert before <= one <= min(1.0, before * len(p_values))
    by_p = [one for _, one in sorted(zip(p_values, adjusted, strict=True))]
    assert by_p == sorted(by_p)


@settings(max_examples=25, deadline=None)
@given(sides, sides)
def test_the_interval_of_a_ratio_lies_between_the_extremes(base: list[float], new: list[float]) -> None:
    interval = ratio_interval(base, new)
    assert interval.median == median(new) / median(base)
    assert min(new) / max(base) <= interval.low <= interval.high <= max(new) / min(base)
    assert ratio_interval(base[::-1], new) == interval


@settings(max_examples=25, deadline=None)
@given(sides, sides, st.sampled_from([0.25, 2.0, 1024.0]))
def test_the_interval_of_a_ratio_scales(base: list[float], new: list[float], factor: float) -> None:
    interval, scaled = ratio_interval(base, new), ratio_interval(base, [factor * value for value in new])
    assert (scaled.low, scaled.high) == (factor * interval.low, factor * interval.high)


@pytest.mark.parametrize(
    ("base", "new"), [([1.0, 2.0, 4.0], [3.0, 5.0, 9.0]), ([1.0, 1.5, 2.0, 4.0], [3.0, 5.0, 5.5, 9.0])]
)
def test_the_interval_is_that_of_all_resamples(base: list[float], new: list[float]) -> None:
    """Counted exactly; 10,000 random ones come within half a percent, twice their standard error."""
    below, above = ([median(each) for each in product(side, repeat=len(side))] for side in (base, new))
    ratios = sorted(one / other for one in above for other in below)
    interval = ratio_interval(base, new, confidence=0.9)
    for bound, share in ((interval.low, 0.05), (interval.high, 0.95)):
        at_most = sum(ratio <= bound for ratio in ratios) / len(ratios)
        less = sum(ratio < bound for ratio in ratios) / len(ratios)
        assert less - 0.005 <= share <= at_most + 0.005


def test_one_value_on_each_side_is_an_interval_without_width() -> None:
    interval = ratio_interval([2.0], [3.0])
    assert (interval.median, interval.low, interval.high) == (1.5, 1.5, 1.5)


@pytest.mark.parametrize(("base", "new"), [([], [1.0]), ([1.0], []), ([0.0, 1.0], [1.0]), ([1.0], [-1.0])])
def test_what_is_not_above_0_has_no_ratio(base: list[float], new: list[float]) -> None:
    with pytest.raises(ValueError, match="values above 0"):
        ratio_interval(base, new)
