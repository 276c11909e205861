"""A column of numbers: one unit, one number of decimals, nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorwire.metrics import Estimate, get
from tensorwire.report.columns import column, time_unit, written
from tensorwire.stats import median_interval


def estimate(name: str, *values: float) -> Estimate:
    return Estimate(metric=get(name), values=values, interval=median_interval(values))


@given(st.lists(st.floats(1e-3, 1e7), min_size=1, max_size=6))
def test_every_number_of_a_column_has_the_same_decimals(values: list[float]) -> None:
    found = [estimate("rtt_p50", value) for value in values]
    time = time_unit(found)
    cells = column(get("rtt_p50"), found, ["-"] * len(found), time).cells
    assert len({len(cell.partition(".")[2]) for cell in cells}) == 1
    assert len(set(map(len, cells))) == 1
    for cell, value in zip(cells, values, strict=True):
        assert float(cell) == pytest.approx(value / time.us, abs=0.501 * 10 ** -len(cell.partition(".")[2]))


@pytest.mark.parametrize(
    ("us", "unit"),
    [(0.04, "ns"), (0.9, "ns"), (1, "us"), (52.1, "us"), (9_999, "us"), (10_000, "ms"), (2e7, "s")],
)
def test_the_unit_of_times_keeps_their_digits(us: float, unit: str) -> None:
    assert time_unit([estimate("rtt_p50", us)]).name == unit


def test_one_slow_call_does_not_change_the_unit() -> None:
    assert time_unit([estimate("rtt_min", 50), estimate("rtt_p50", 52), estimate("rtt_max", 2e6)]).name == "us"


def test_an_estimate_by_itself() -> None:
    assert written(estimate("rtt_p50", 52.14)) == "52.1 us"
    assert written(estimate("rtt_p50", 52.14, 51.8, 52.9)) == "52.1 us [51.8, 52.9]"
    assert written(estimate("fairness", 0.998)) == "0.998"
    assert written(estimate("stalls", 3)) == "3 slices"
