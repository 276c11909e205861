"""Results for tests, made of what a few ranks are supposed to have seen."""

from collections.abc import Iterable, Sequence
from itertools import accumulate

import msgspec

from tensorwire.histogram import Histogram
from tensorwire.payload import Custom
from tensorwire.result import (
    Calling,
    Environment,
    Failure,
    Measurement,
    PeerCount,
    Point,
    RankFacts,
    Repetition,
    Result,
    Serialization,
    Series,
    Serving,
    Traffic,
    Usage,
    Wire,
)
from tensorwire.spec import Spec
from tensorwire.units import Bytes, Nanoseconds

SECOND = Nanoseconds(1_000_000_000)
NO_SERIALIZATION = Serialization(serialize_ns=0, deserialize_ns=0)
HOST = Environment(host="here", cpu="CPU", cores=(0, 1), memory_bytes=2**34, kernel="Linux 6.1", facts={}, versions={})
P2P_ROLES, P2P_CALLS = ("ps", "worker"), ((), (0,))


def series(replies: Iterable[tuple[int, int]], size: int, interval_ns: int, slices: int = 100) -> Series:
    """Of (when a reply came, how long it took), in nanoseconds since the first call."""
    calls, longest = [0] * slices, [0] * slices
    for at, latency in replies:
        index = min(at // interval_ns, slices - 1)
        calls[index] += 1
        longest[index] = max(longest[index], latency)
    return Series(
        interval_ns=interval_ns,
        calls=tuple(calls),
        bytes=tuple(size * count for count in calls),
        max_ns=tuple(longest),
    )


def calling(
    latencies: Sequence[int],
    size: int = 32,
    elapsed_ns: int | None = None,
    missed: int = 0,
    duration_ns: int = SECOND,
) -> Calling:
    """One call after the other, each begun when the reply to the last one was in."""
    replies = list(zip(accumulate(latencies), latencies, strict=True))
    return Calling(
        calls=len(latencies),
        missed=missed,
        bytes=size * len(latencies),
        begin_ns=0,
        elapsed_ns=sum(latencies) if elapsed_ns is None else elapsed_ns,
        latency=Histogram.of(latencies),
        series=series(replies, size, duration_ns // 100),
        peers=(PeerCount(rank=0, calls=len(latencies), latency_ns=sum(latencies)),),
        serialization=NO_SERIALIZATION,
    )


def serving(calls: int, size: int = 32) -> Serving:
    return Serving(calls=calls, bytes=size * calls, serialization=NO_SERIALIZATION)


def usage(user_ns: int = 0, system_ns: int = 0, window_ns: int = SECOND, switches: int = 0) -> Usage:
    return Usage(
        window_ns=window_ns,
        user_ns=user_ns,
        system_ns=system_ns,
        peak_memory_bytes=10_000_000,
        voluntary_switches=switches,
        involuntary_switches=0,
    )


def wire(tx_bytes: int, interface: str = "lo") -> Wire:
    return Wire(interface=interface, tx_bytes=tx_bytes, rx_bytes=tx_bytes, tx_packets=1, rx_packets=1)


def measurement(
    rank: int, role: Calling | Serving, point: int = 0, used: Usage | None = None, moved: Wire | None = None
) -> Measurement:
    return Measurement(
        point=point,
        rank=rank,
        calling=role if isinstance(role, Calling) else None,
        serving=role if isinstance(role, Serving) else None,
        usage=used or usage(),
        wire=moved,
    )


def facts(rank: int, host: str = "here", loop_cost_ns: float = 40.0) -> RankFacts:
    return RankFacts(
        rank=rank,
        host=host,
        pid=1000 + rank,
        cores=(rank % 2,),
        loop_cost_ns=loop_cost_ns,
        settings={"transport": "tcp", "tcp_congestion": "cubic"},
    )


def failure(point: int = 0, message: str = "rank 0 went away") -> Failure:
    return Failure(point=point, rank=1, stage="measure", type="PeerLost", message=message)


def repetition(*measurements: Measurement, failures: tuple[Failure, ...] = ()) -> Repetition:
    ranks = sorted({each.rank for each in measurements} | {0, 1})
    return Repetition(ranks=tuple(facts(rank) for rank in ranks), measurements=measurements, failures=failures)


def result(
    *repetitions: Repetition,
    spec: Spec | None = None,
    traffic: Traffic | None = None,
    status: str = "complete",
) -> Result:
    """A point-to-point result unless `traffic` is given."""
    spec = spec or Spec(duration_ns=SECOND)
    points = tuple(
        Point(
            payloads=tuple(payload.sizes for payload in payloads),
            totals=tuple(payload.total for payload in payloads),
        )
        for payloads in spec.points()
    )
    return Result(
        tensorwire="0.1.0",
        created="2026-01-02T03:04:05Z",
        status=status,
        spec=spec,
        payload=spec.describe_payload(),
        traffic=traffic or Traffic(roles=P2P_ROLES, calls=P2P_CALLS, reply="echo", outstanding=1),
        points=points,
        environment=HOST,
        repetitions=repetitions,
    )


def p2p_run(latencies: Sequence[int], size: int = 32, point: int = 0) -> tuple[Measurement, Measurement]:
    """What server and worker saw of a point: 1 ms of CPU each, twice the payload on the wire."""
    used = usage(user_ns=600_000, system_ns=400_000, switches=len(latencies))
    moved = wire(4 * size * len(latencies))
    return (
        measurement(0, serving(len(latencies), size), point, used, moved),
        measurement(1, calling(latencies, size), point, used, moved),
    )


def workers(*rates: int, reply: str = "acknowledge", size: int = 1000) -> Result:
    """One server, and workers that complete so many calls in a second each."""
    measurements = [measurement(0, serving(sum(rates), size))]
    measurements += [
        measurement(rank, calling([SECOND // rate] * rate, size, elapsed_ns=SECOND))
        for rank, rate in enumerate(rates, start=1)
    ]
    traffic = Traffic(
        roles=("ps", *["worker"] * len(rates)),
        calls=((), *[(0,)] * len(rates)),
        reply=reply,
        outstanding=1,
    )
    spec = Spec(benchmark="ps-throughput", duration_ns=SECOND)
    return result(repetition(*measurements), spec=spec, traffic=traffic)


def repeated(*latencies_ns: int, spec: Spec | None = None, size: int = 32, calls: int = 10) -> Result:
    """A point-to-point result: a repetition for each latency, which all its calls have; CPU time is always alike."""
    spec = spec or Spec(payload=Custom(buffers=(Bytes(size),)), duration_ns=SECOND)
    runs = [repetition(*p2p_run([latency] * calls, size)) for latency in latencies_ns]
    return result(*runs, spec=spec)


def failing(*messages: str | None, latency_ns: int = 100_000) -> Result:
    """The same, where a repetition with a message failed."""
    measured = repeated(*(latency_ns for _ in messages))
    runs = [
        repetition(failures=(failure(message=message),)) if message else run
        for message, run in zip(messages, measured.repetitions, strict=True)
    ]
    return msgspec.structs.replace(measured, repetitions=tuple(runs))
