"""What every benchmark promises: a pattern that can be run; and what each of the paper's is."""

import msgspec
import pytest

from tensorwire import metrics, registry
from tensorwire.benchmarks import Benchmark, Pattern
from tensorwire.collective import OPERATIONS
from tensorwire.errors import SpecError
from tensorwire.spec import options


@pytest.fixture(params=registry.names("benchmark"))
def benchmark(request: pytest.FixtureRequest) -> Benchmark:
    return registry.benchmark(request.param)


def pattern_of(benchmark: Benchmark, **words: object) -> Pattern:
    return benchmark.pattern(options(benchmark.options, benchmark.name, words))


def test_its_name_is_that_of_its_entry_point(benchmark: Benchmark) -> None:
    assert registry.benchmark(benchmark.name) is benchmark
    assert benchmark.summary


def test_its_columns_are_metrics(benchmark: Benchmark) -> None:
    assert benchmark.shows
    assert set(benchmark.shows) <= set(metrics.CATALOGUE)


def test_every_rank_that_is_called_serves_and_none_calls_itself(benchmark: Benchmark) -> None:
    pattern = pattern_of(benchmark)
    assert pattern.size == len(pattern.roles) >= 2
    assert pattern.outstanding >= 1
    assert pattern.reply in ("echo", "acknowledge")
    if pattern.collective:
        assert not any(role.serves or role.calls for role in pattern.roles)
        return
    for rank, role in enumerate(pattern.roles):
        assert rank not in role.calls
        assert len(set(role.calls)) == len(role.calls)
        assert all(pattern.roles[peer].serves for peer in role.calls)
        assert role.serves or role.calls, f"rank {rank} does nothing"
    called = {peer for role in pattern.roles for peer in role.calls}
    assert called == {rank for rank, role in enumerate(pattern.roles) if role.serves}


def test_the_same_options_give_the_same_pattern(benchmark: Benchmark) -> None:
    assert pattern_of(benchmark) == pattern_of(benchmark)


def test_an_option_that_it_does_not_have_is_refused(benchmark: Benchmark) -> None:
    with pytest.raises(SpecError) as refused:
        pattern_of(benchmark, no_such_option=1)
    for field in msgspec.structs.fields(benchmark.options):
        assert field.name in str(refused.value)


@pytest.mark.parametrize(
    ("name", "reply", "outstanding"), [("p2p-latency", "echo", 1), ("p2p-bandwidth", "acknowledge", 4)]
)
def test_point_to_point_is_one_worker_and_one_server(name: str, reply: str, outstanding: int) -> None:
    pattern = pattern_of(registry.benchmark(name))
    assert [(role.name, role.serves, role.calls) for role in pattern.roles] == [
        ("ps", True, ()),
        ("worker", False, (0,)),
    ]
    assert (pattern.reply, pattern.outstanding) == (reply, outstanding)


@pytest.mark.parametrize("field", ["ps", "workers"])
def test_point_to_point_takes_no_more_than_one_of_each(field: str) -> None:
    with pytest.raises(SpecError, match=f"{field} is 2.*ps-throughput"):
        pattern_of(registry.benchmark("p2p-latency"), **{field: 2})


def test_every_worker_calls_every_parameter_server() -> None:
    pattern = pattern_of(registry.benchmark("ps-throughput"), ps="2", workers="3", reply="echo")
    assert [role.name for role in pattern.roles] == ["ps", "ps", "worker", "worker", "worker"]
    assert [role.calls for role in pattern.roles] == [(), (), (0, 1), (0, 1), (0, 1)]
    assert pattern.reply == "echo"


def test_fully_connected_nodes_call_all_others() -> None:
    pattern = pattern_of(registry.benchmark("fully-connected"), nodes="3")
    assert [role.calls for role in pattern.roles] == [(1, 2), (0, 2), (0, 1)]


@pytest.mark.parametrize("name", OPERATIONS)
def test_of_a_collective_operation_all_ranks_have_the_same_role(name: str) -> None:
    pattern = pattern_of(registry.benchmark(name), ranks="3")
    assert pattern.collective == name
    assert [role.name for role in pattern.roles] == ["rank"] * 3


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("ps-throughput", "ps", 0),
        ("ps-throughput", "workers", 4097),
        ("fully-connected", "nodes", 1),
        ("fully-connected", "nodes", 1025),
        ("all-reduce", "ranks", 1),
        ("broadcast", "ranks", 1025),
        ("p2p-latency", "ps", 0),
    ],
)
def test_counts_out_of_range_are_refused(name: str, field: str, value: int) -> None:
    with pytest.raises(SpecError, match=f"{field} is {value}"):
        pattern_of(registry.benchmark(name), **{field: value})
