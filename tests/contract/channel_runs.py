"""Short runs over any channel: so many calls and no more, and what must be true of what was measured."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tensorwire import registry
from tensorwire.errors import ChannelUnavailable
from tensorwire.payload import Custom
from tensorwire.recorded import Steps
from tensorwire.result import Calling, Measurement, Result, Serving
from tensorwire.session import Session, failures
from tensorwire.spec import Scheme, Spec
from tensorwire.units import Bytes, Nanoseconds

CALLS = 12
_SECOND = 1_000_000_000


def available(name: str) -> str:
    """`name`, or a skipped test with the sentence that says why the channel is not here."""
    try:
        registry.channel(name).command()
    except ChannelUnavailable as wrong:
        pytest.skip(str(wrong))
    return name


def buffers(*sizes: int) -> Custom:
    return Custom(buffers=tuple(Bytes(size) for size in sizes))


def short(channel: str, **fields: Any) -> Spec:
    """A run that ends after so many calls, however long they take."""
    return msgspec.structs.replace(
        Spec(
            benchmark="ps-throughput",
            channel=channel,
            payload=buffers(1000),
            port=0,
            warmup_ns=Nanoseconds(0),
            duration_ns=Nanoseconds(600 * _SECOND),
            calls=CALLS,
        ),
        **fields,
    )


def measure(directory: Path, spec: Spec) -> Result:
    """The result of a run in which nothing failed, and whose facts agree with each other."""
    result = Session(spec, directory / "result.json").run()
    assert failures(result) == []
    check_facts(result)
    return result


def by_rank(result: Result) -> list[Measurement]:
    """Those of the first repetition."""
    return sorted(result.repetitions[0].measurements, key=lambda each: each.rank)


def calling(result: Result) -> list[Calling]:
    return [each.calling for each in by_rank(result) if each.calling]


def serving(result: Result) -> list[Serving]:
    return [each.serving for each in by_rank(result) if each.serving]


def transport(result: Result) -> str:
    (said,) = {facts.settings["transport"] for facts in result.repetitions[0].ranks}
    return said


def payloads(scheme: Scheme) -> list[int]:
    """The bytes of the payloads that are sent in turn."""
    return [payload.total for payload in scheme.payloads()]


def check_facts(result: Result) -> None:
    """What callers, servers and the wire say of one another."""
    (repetition,) = result.repetitions
    assert result.status == "complete"
    assert [facts.rank for facts in repetition.ranks] == list(range(len(result.traffic.roles)))
    assert sorted(each.rank for each in repetition.measurements) == list(range(len(result.traffic.roles)))
    for each in calling(result):
        check_calling(each, isinstance(result.spec.payload, Steps))
    check_served(result)
    check_wire(result)


def check_calling(seen: Calling, stepped: bool) -> None:
    assert seen.latency.count == seen.calls == sum(seen.series.calls)
    assert seen.bytes == sum(seen.series.bytes)
    if not stepped:
        assert seen.calls == sum(peer.calls for peer in seen.peers)
        assert seen.latency.sum_ns == sum(peer.latency_ns for peer in seen.peers)
    ladder = [seen.latency.min_ns, *map(seen.latency.percentile, (50, 90, 99, 99.9)), seen.latency.max_ns]
    assert ladder == sorted(ladder)
    assert seen.latency.max_ns == max(seen.series.max_ns)
    assert 0 < seen.latency.max_ns <= seen.elapsed_ns or seen.missed


def check_served(result: Result) -> None:
    """What was called was served, but for a channel that moves nothing."""
    called, served = calling(result), serving(result)
    moves = transport(result) != "none"
    calls = sum(peer.calls for each in called for peer in each.peers)
    assert sum(each.calls for each in served) == (calls if moves else 0)
    assert sum(each.bytes for each in served) == (sum(each.bytes for each in called) if moves else 0)


def check_wire(result: Result) -> None:
    """What crossed an interface is at least the payloads; what cannot cross one has no counters."""
    for each in result.repetitions[0].measurements:
        if transport(result) == "unix":
            assert each.wire is None
        elif transport(result) == "tcp" and each.calling:
            assert each.wire is not None
            if each.wire.interface == "lo":  # it sends both ways
                assert each.wire.tx_bytes >= each.calling.bytes + each.calling.received
            assert each.wire.tx_packets > 0
