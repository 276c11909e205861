"""Sizes and factors of collective operations are those of nccl-tests."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorwire.collective import MOST_RANKS, OPERATIONS, Collective, Operation, rounded
from tensorwire.errors import SpecError
from tensorwire.units import Bytes

operations = st.sampled_from(OPERATIONS)
ranks = st.integers(2, MOST_RANKS)
IN_PARTS = ("all-gather", "reduce-scatter", "all-to-all", "all-to-all-v")


@given(operations, ranks, st.integers(16 * MOST_RANKS, 2**31))
def test_a_size_is_rounded_down_to_equal_parts_and_no_further(operation: Operation, ranks: int, size: int) -> None:
    found = rounded(operation, ranks, Bytes(size))
    unit = 16 * ranks if operation in IN_PARTS else 4
    assert found.total % unit == 0
    assert size - unit < found.total <= size
    assert rounded(operation, ranks, found.total) == found
    assert found.count * (ranks if operation in IN_PARTS else 1) == found.elements == found.total // 4


@given(operations, ranks)
def test_what_the_busiest_link_carries_grows_with_the_ranks_up_to_a_bound(operation: Operation, ranks: int) -> None:
    factor = Collective(operation=operation, ranks=ranks, total=Bytes(64)).bus_factor
    more = Collective(operation=operation, ranks=ranks + 1, total=Bytes(64)).bus_factor
    assert factor <= more <= (2 if operation == "all-reduce" else 1)
    assert factor >= Fraction(1, 2)


@pytest.mark.parametrize(
    ("operation", "ranks", "factor"),
    [
        ("all-reduce", 2, 1),
        ("all-reduce", 4, 1.5),
        ("all-reduce", 8, 1.75),
        ("all-gather", 4, 0.75),
        ("reduce-scatter", 4, 0.75),
        ("all-to-all", 8, 0.875),
        ("all-to-all-v", 8, 0.875),
        ("broadcast", 8, 1),
    ],
)
def test_factors_are_those_of_the_document(operation: Operation, ranks: int, factor: float) -> None:
    assert Collective(operation=operation, ranks=ranks, total=Bytes(64)).bus_factor == factor


@pytest.mark.parametrize(
    ("operation", "size", "total", "count"),
    [
        ("all-reduce", 1001, 1000, 250),
        ("broadcast", 7, 4, 1),
        ("all-gather", 1000, 960, 80),  # 333 B a rank, of which 320 are whole 16s
        ("reduce-scatter", 1000, 960, 80),
        ("all-to-all", 95, 48, 4),
    ],
)
def test_three_ranks_share_what_is_not_divisible(operation: Operation, size: int, total: int, count: int) -> None:
    found = rounded(operation, 3, Bytes(size))
    assert (found.total, found.count) == (total, count)


@pytest.mark.parametrize(("operation", "least"), [("all-reduce", 4), ("broadcast", 4), ("all-gather", 64)])
def test_less_than_every_rank_can_have_is_refused(operation: Operation, least: int) -> None:
    assert rounded(operation, 4, Bytes(least)).total == least
    with pytest.raises(SpecError, match=rf"sizes is {least - 1}, but must be {least} B or more"):
        rounded(operation, 4, Bytes(least - 1))


def test_only_what_reduces_has_a_sum_and_only_a_broadcast_a_root() -> None:
    found = [Collective(operation=each, ranks=2, total=Bytes(32)) for each in OPERATIONS]
    assert [each.operation for each in found if each.reduction == "sum"] == ["all-reduce", "reduce-scatter"]
    assert [each.operation for each in found if each.root == 0] == ["broadcast"]
