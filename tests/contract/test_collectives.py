"""What every channel with collective operations promises, found through the registry and run for real."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tensorwire import channels, registry
from tensorwire.collective import OPERATIONS, Operation
from tensorwire.errors import SpecError
from tensorwire.metrics import CATALOGUE
from tensorwire.payload import Uniform
from tensorwire.result import Result
from tensorwire.sample import Sample, samples
from tensorwire.session import Session, failures
from tensorwire.spec import Closed, Placement, Poisson, Spec
from tensorwire.units import Bytes, Nanoseconds
from tests.contract.channel_runs import CALLS, available, buffers, calling, short

HAVE = [
    (name, operation)
    for name in registry.names("channel")
    for operation in channels.collectives(registry.channel(name))
]
WITHOUT = [name for name in registry.names("channel") if not channels.collectives(registry.channel(name))]
ALONE = [name for name in registry.names("channel") if not channels.calls(registry.channel(name))]


def together(channel: str, operation: str, ranks: int, **fields: Any) -> Spec:
    """A run that ends after so many calls."""
    fields.setdefault("payload", buffers(1000))
    return short(channel, benchmark=operation, pattern={"ranks": ranks}, **fields)


def measured(directory: Path, spec: Spec) -> Result:
    """The result of a run in which nothing failed: all ranks made the same calls, over bytes that were all right."""
    result = Session(spec, directory / "result.json").run()
    assert failures(result) == []
    assert result.status == "complete"
    for each in calling(result):
        assert each.latency.count == each.calls == sum(each.series.calls)
        assert each.peers == ()
        assert each.checked is not None
        assert each.received == each.calls * each.checked * 4
    return result


def of(result: Result, point: int = 0) -> Sample:
    (sample,) = samples(result, point)
    assert sample is not None
    return sample


def moved(operation: Operation, ranks: int, total: int) -> list[tuple[int, int]]:
    """The bytes that each rank brings to an operation, and finds."""
    whole, part = total, total // ranks
    alike = {
        "all-reduce": (whole, whole),
        "all-gather": (part, whole),
        "reduce-scatter": (whole, part),
        "all-to-all": (whole, whole),
        "all-to-all-v": (whole, whole),
        "broadcast": (0, whole),
    }
    return [(whole, 0) if operation == "broadcast" and rank == 0 else alike[operation] for rank in range(ranks)]


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize(("channel", "operation"), HAVE)
def test_every_rank_finds_what_it_must(channel: str, operation: Operation, ranks: int, tmp_path: Path) -> None:
    available(channel)
    result = measured(tmp_path, together(channel, operation, ranks, payload=buffers(100_003)))
    total = result.points[0].totals[0]
    assert 100_003 - 16 * ranks < total <= 100_003
    assert [each.calls for each in calling(result)] == [CALLS] * ranks
    assert [(each.bytes, each.received) for each in calling(result)] == [
        (CALLS * brings, CALLS * finds) for brings, finds in moved(operation, ranks, total)
    ]
    assert result.traffic.collective == operation
    told = {facts.settings["collective"].partition(" ")[0] for facts in result.repetitions[0].ranks}
    assert told <= {"native", "emulated", "none"}
    assert len(told) == 1


@pytest.mark.parametrize(("channel", "operation"), HAVE)
def test_it_measures_after_a_warm_up_for_each_size_and_polls(channel: str, operation: str, tmp_path: Path) -> None:
    available(channel)
    sizes = (Bytes(48), Bytes(4096), Bytes(51))
    spec = together(
        channel,
        operation,
        3,
        warmup_ns=Nanoseconds(20_000_000),
        payload=Uniform(),
        sizes=sizes,
        placement=Placement(wait="spin"),
    )
    result = measured(tmp_path, spec)
    assert result.points[0] == result.points[2]
    assert result.points[0].totals == (48,)
    for point in range(3):
        found = {name: metric.value(of(result, point)) for name, metric in CATALOGUE.items()}
        assert found["wrong"] == 0
        assert found["coll_time"] > 0
        assert found["coll_slowest"] >= found["coll_time"]
        assert found["rpcs"] is found["rtt_p50"] is found["bandwidth"] is found["fairness"] is None


@pytest.mark.parametrize("channel", sorted({name for name, _ in HAVE}))
def test_without_a_limit_the_ranks_agree_on_how_often_they_call(channel: str, tmp_path: Path) -> None:
    available(channel)
    spec = together(channel, "all-reduce", 2, calls=0, duration_ns=Nanoseconds(100_000_000))
    counts = {each.calls for each in calling(measured(tmp_path, spec))}
    assert len(counts) == 1
    assert counts.pop() >= 1


@pytest.mark.parametrize("channel", WITHOUT)
def test_a_channel_without_them_refuses_at_the_door(channel: str, tmp_path: Path) -> None:
    available(channel)
    with pytest.raises(SpecError, match=rf"channel {channel} has no all-reduce; tensorwire list channels tells"):
        Session(together(channel, "all-reduce", 2), tmp_path / "result.json")


@pytest.mark.parametrize("channel", ALONE)
@pytest.mark.parametrize("benchmark", ["p2p-latency", "ps-throughput", "fully-connected"])
def test_a_channel_with_nothing_else_refuses_calls_at_the_door(channel: str, benchmark: str, tmp_path: Path) -> None:
    available(channel)
    spec = msgspec.structs.replace(short(channel), benchmark=benchmark)
    with pytest.raises(SpecError, match=rf"channel {channel} has collective operations only, and {benchmark} is none"):
        Session(spec, tmp_path / "result.json")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"load": Closed(outstanding=2)}, "one call in flight"),
        ({"load": Poisson(rate=10)}, "one call in flight"),
        ({"threads": 2}, "threads is 2"),
        ({"payload": buffers(3)}, "sizes is 3, but must be 4 B or more"),
        ({"mode": "serialized"}, "no serialized mode"),
    ],
)
def test_what_has_no_meaning_for_them_is_refused(fields: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=said):
        Session(together("null", "all-reduce", 2, **fields), tmp_path / "result.json")


def test_all_operations_are_benchmarks() -> None:
    assert set(OPERATIONS) <= set(registry.names("benchmark"))


@pytest.mark.parametrize("operation", ["all-gather", "all-to-all-v"])
def test_sixty_four_ranks_take_part(operation: str, tmp_path: Path) -> None:
    result = measured(tmp_path, together("null", operation, 64, payload=buffers(64 * 16)))
    assert [each.calls for each in calling(result)] == [CALLS] * 64
