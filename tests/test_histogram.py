"""The histogram against exact percentiles, and its buckets against those of the C++ core."""

import math
from fractions import Fraction
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorwire.histogram import BUCKETS, Histogram, bucket, bucket_bounds, merge
from tensorwire.units import Nanoseconds

# Spread evenly over the decades from 100 ns to 100 s, as latencies are, rather than over the nanoseconds.
latencies = st.floats(2, 11).map(lambda exponent: min(max(round(10**exponent), 100), 10**11))
samples = st.lists(latencies, min_size=1, max_size=200)
histograms = st.lists(st.integers(0, 2**42), max_size=50).map(Histogram.of)
percents = st.sampled_from([0, 1, 10, 50, 90, 99, 99.9, 99.99, 100]) | st.floats(0, 100)


def _nearest_rank(values: list[int], q: float) -> int:
    return sorted(values)[max(math.ceil(Fraction(str(q)) * len(values) / 100), 1) - 1]


@given(samples, percents)
def test_percentiles_are_within_one_percent(values: list[int], q: float) -> None:
    exact = _nearest_rank(values, q)
    assert abs(Histogram.of(values).percentile(q) - exact) <= exact / 100


@given(samples)
def test_the_ends_and_the_mean_are_exact(values: list[int]) -> None:
    histogram = Histogram.of(values)
    assert histogram.percentile(0) == histogram.min_ns == min(values)
    assert histogram.percentile(100) == histogram.max_ns == max(values)
    assert histogram.mean == sum(values) / len(values)


@given(samples, percents, percents)
def test_percentiles_never_fall(values: list[int], q: float, r: float) -> None:
    histogram = Histogram.of(values)
    assert histogram.percentile(min(q, r)) <= histogram.percentile(max(q, r))


def test_a_percentile_is_the_nearest_rank() -> None:
    histogram = Histogram.of(range(1, 101))
    assert [histogram.percentile(q) for q in (0.5, 1, 1.5, 50, 99, 99.5)] == [1, 1, 2, 50, 99, 100]


def test_p99_9_of_a_thousand_is_the_999th() -> None:
    assert Histogram.of([1] * 998 + [2, 3]).percentile(99.9) == 2


@given(st.lists(st.integers(0, 2**42)), st.lists(st.integers(0, 2**42)))
def test_merging_equals_recording_together(a: list[int], b: list[int]) -> None:
    assert merge(Histogram.of(a), Histogram.of(b)) == Histogram.of(a + b)


@given(histograms, histograms, histograms)
def test_merging_is_commutative_and_associative(a: Histogram, b: Histogram, c: Histogram) -> None:
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(histograms)
def test_a_histogram_survives_a_file(histogram: Histogram) -> None:
    assert msgspec.json.decode(msgspec.json.encode(histogram), type=Histogram) == histogram


def test_the_buckets_adjoin() -> None:
    bounds = [bucket_bounds(index) for index in range(BUCKETS)]
    assert bounds[0][0] == 0
    assert all(before[1] == after[0] for before, after in pairwise(bounds))
    assert bounds[-1][1] == 2**40
    assert all((high - low) * 128 <= max(low, 128) for low, high in bounds)


@given(st.integers(0, 2**40 - 1))
def test_a_duration_lies_in_its_bucket(duration: int) -> None:
    low, high = bucket_bounds(bucket(duration))
    assert low <= duration < high


@pytest.mark.parametrize(
    ("duration", "index"),
    [
        (-1, 0),
        (0, 0),
        (127, 127),
        (128, 128),
        (1000, 506),
        (52_100, 1227),
        (10**6, 1780),
        (10**9, 3054),
        (10**11, 3898),
        (2**40 - 1, 4351),
        (2**50, 4351),
    ],
)
def test_the_buckets_are_those_of_the_core(duration: int, index: int) -> None:
    assert bucket(duration) == index


def test_what_is_too_long_for_the_buckets_keeps_its_maximum() -> None:
    histogram = Histogram.of([1000, 2**45])
    assert histogram.buckets[-1] == (BUCKETS - 1, 1)
    assert histogram.percentile(100) == 2**45


def test_nothing_recorded_has_no_percentile_and_no_mean() -> None:
    empty = Histogram.of([])
    assert (empty.count, empty.sum_ns, empty.min_ns, empty.max_ns, empty.buckets) == (0, 0, 0, 0, ())
    with pytest.raises(ValueError, match="no percentile 50 of 0 values"):
        empty.percentile(50)
    with pytest.raises(ValueError, match="empty histogram has no mean"):
        _ = empty.mean


@pytest.mark.parametrize("q", [-1, 100.5, math.nan])
def test_a_percentile_beyond_0_to_100_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="no percentile"):
        Histogram.of([1]).percentile(q)


@pytest.mark.parametrize("index", [-1, BUCKETS])
def test_a_bucket_beyond_the_last_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match="is not one of 0 to 4351"):
        bucket_bounds(index)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"count": 4}, "do not add up to its count of 4"),
        ({"buckets": ((5, 3), (7, 0))}, "do not add up"),
        ({"buckets": ((7, 1), (5, 2))}, "not in ascending order"),
        ({"buckets": ((5, 1), (5, 2))}, "not in ascending order"),
        ({"min_ns": Nanoseconds(6)}, "do not reach from 6 to 7 ns"),
        ({"max_ns": Nanoseconds(4000)}, "do not reach from 5 to 4000 ns"),
        ({"buckets": ((5, 2), (9999, 1))}, "do not reach"),
    ],
)
def test_parts_that_contradict_each_other_are_refused(change: dict[str, object], sentence: str) -> None:
    sound = msgspec.to_builtins(Histogram.of([5, 5, 7]))
    with pytest.raises(msgspec.ValidationError, match=sentence):
        msgspec.convert(sound | change, Histogram)
