"""Distances are exact: against cases that can be computed by hand, and against their definitions."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorwire.distance import distance, mean

sizes = st.lists(st.integers(0, 10**7), min_size=1, max_size=30)


def test_the_same_distribution_has_no_distance() -> None:
    found = distance({5: 1, 7: 2}, {5: 2, 7: 4})
    assert (found.ks, found.wasserstein, found.relative) == (0, 0, 0)
    assert found.words("messages") == "the sizes of messages have the same distribution"


def test_two_points_are_as_far_apart_as_they_are() -> None:
    found = distance({10: 3}, {110: 1})
    assert (found.ks, found.wasserstein, found.mean, found.relative) == (1, 100, 10, 10)


def test_half_of_the_values_move() -> None:
    """F is 1 from 0 on; G is 1/2 from 0 on and 1 from 8 on."""
    found = distance({0: 2}, {0: 1, 8: 1})
    assert (found.ks, found.wasserstein) == (Fraction(1, 2), 4)


def test_uniform_against_its_middle() -> None:
    """Of 0..4 against all at 2, the values move by 2, 1, 0, 1, 2."""
    found = distance(dict.fromkeys(range(5), 1), {2: 7})
    assert (found.ks, found.wasserstein) == (Fraction(2, 5), Fraction(6, 5))


def test_the_words_have_the_numbers() -> None:
    words = distance({1000: 1}, {1500: 1}).words("messages")
    assert "by 500 B on average, 50.00% of the first's mean" in words
    assert "at most 100.00%" in words


@given(sizes, st.integers(0, 10**6))
def test_a_shift_is_its_own_wasserstein_distance(values: list[int], shift: int) -> None:
    assert distance(Counter(values), Counter(value + shift for value in values)).wasserstein == shift


@given(sizes, st.integers(0, 10**4))
def test_a_scale_changes_by_the_mean(values: list[int], scale: int) -> None:
    found = distance(Counter(values), Counter(value * (scale + 1) for value in values))
    assert found.wasserstein == scale * mean(Counter(values))


@given(sizes)
def test_equally_many_values_move_in_their_order(values: list[int]) -> None:
    """With equal counts, Wasserstein-1 is the mean difference of the sorted values."""
    others = [value**2 % 9973 for value in values]
    moved = [abs(one - other) for one, other in zip(sorted(values), sorted(others), strict=True)]
    assert distance(Counter(values), Counter(others)).wasserstein == Fraction(sum(moved), len(moved))


@given(sizes, sizes)
def test_ks_is_the_largest_difference_between_the_shares(one: list[int], other: list[int]) -> None:
    def share(values: list[int], size: int) -> Fraction:
        return Fraction(sum(value <= size for value in values), len(values))

    expected = max(abs(share(one, size) - share(other, size)) for size in one + other)
    assert distance(Counter(one), Counter(other)).ks == expected


@given(sizes, sizes, sizes)
def test_it_is_a_metric(one: list[int], two: list[int], three: list[int]) -> None:
    def apart(first: list[int], second: list[int]) -> Fraction:
        return distance(Counter(first), Counter(second)).wasserstein

    assert apart(one, two) == apart(two, one)
    assert apart(one, three) <= apart(one, two) + apart(two, three)
    assert (apart(one, two) == 0) == (distance(Counter(one), Counter(two)).ks == 0)


def test_nothing_has_no_distance() -> None:
    with pytest.raises(ValueError, match="without values"):
        distance({}, {1: 1})
