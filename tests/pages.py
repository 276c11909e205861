"""Results for pages: a set in which every section has something to show, and names that mean harm."""

import msgspec

from tensorwire.payload import Custom, Skew
from tensorwire.recorded import Call, Replay, Step, Steps, Turn
from tensorwire.result import (
    Apart,
    Calling,
    Fidelity,
    PeerCount,
    Point,
    Result,
    Serialization,
    Traffic,
)
from tensorwire.spec import Spec
from tensorwire.units import Bytes
from tests.results import (
    P2P_CALLS,
    P2P_ROLES,
    SECOND,
    calling,
    failing,
    measurement,
    p2p_run,
    repetition,
    result,
    serving,
    usage,
    wire,
    workers,
)

SIZES = (Bytes(32), Bytes(1 << 10), Bytes(1 << 16), Bytes(1 << 20))
HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>&\"'{{7*7}}"


def latency(channel: str, *latencies_ns: int, spec: Spec | None = None) -> Result:
    """Point to point: a repetition for each latency, which 100 calls have; skewed payloads."""
    spec = msgspec.structs.replace(spec or Spec(payload=Skew(), duration_ns=SECOND), channel=channel)
    (payload,) = spec.points()[0]
    return result(*(repetition(*p2p_run([each] * 100, payload.total)) for each in latencies_ns), spec=spec)


def bandwidth(channel: str, *latencies_ns: int) -> Result:
    """The same, one way."""
    measured = latency(channel, *latencies_ns, spec=Spec(benchmark="p2p-bandwidth", payload=Skew(), duration_ns=SECOND))
    traffic = Traffic(roles=P2P_ROLES, calls=P2P_CALLS, reply="acknowledge", outstanding=4)
    return msgspec.structs.replace(measured, traffic=traffic)


def sweep(channel: str, *factors: float) -> Result:
    """A repetition for each factor; the first size takes 100 us times that, each next one twice as long."""
    runs = [
        repetition(
            *(
                each
                for point, size in enumerate(SIZES)
                for each in p2p_run([round(100_000 * factor) << point] * 100, size, point)
            )
        )
        for factor in factors
    ]
    return result(*runs, spec=Spec(channel=channel, sizes=SIZES, duration_ns=SECOND))


def serialized(channel: str) -> Result:
    """A round trip of 100 us, 30 of which are serialization at the caller."""
    spec = Spec(channel=channel, mode="serialized", duration_ns=SECOND, payload=Custom(buffers=(Bytes(32),)))
    measured = result(repetition(*p2p_run([100_000] * 100)), spec=spec)
    server, caller = measured.repetitions[0].measurements
    assert caller.calling is not None
    spent = Serialization(serialize_ns=2_000_000, deserialize_ns=1_000_000)
    changed = msgspec.structs.replace(caller, calling=msgspec.structs.replace(caller.calling, serialization=spent))
    return msgspec.structs.replace(measured, repetitions=(repetition(server, changed),))


def mesh(channel: str, slow: tuple[int, int] = (0, 1)) -> Result:
    """Four nodes that all call each other in 1 ms, one pair in 9."""
    ranks = range(4)

    def node(rank: int) -> Calling:
        peers = tuple(
            PeerCount(rank=peer, calls=10, latency_ns=10 * (9_000_000 if (rank, peer) == slow else 1_000_000))
            for peer in ranks
            if peer != rank
        )
        return msgspec.structs.replace(calling([1_000_000] * 30), peers=peers)

    measurements = [measurement(rank, node(rank)) for rank in ranks]
    calls = tuple(tuple(peer for peer in ranks if peer != rank) for rank in ranks)
    traffic = Traffic(roles=("node",) * 4, calls=calls, reply="echo", outstanding=1)
    spec = Spec(benchmark="fully-connected", channel=channel, duration_ns=SECOND)
    return result(repetition(*measurements), spec=spec, traffic=traffic)


def replay(name: str = "resnet50") -> Result:
    """Three recorded sizes, the tap's word on them, and a payload that took another way."""
    sizes = ((Bytes(100),), (Bytes(2_000),), (Bytes(30_000),))
    spec = Spec(payload=Replay(name=name, sizes=sizes, counts=(5, 3, 2), draws=10), duration_ns=SECOND)
    moved = wire(100)
    run = repetition(
        measurement(0, serving(100, 1000), 0, usage(1, 1), moved),
        measurement(1, calling([100_000] * 100, 1000), 0, usage(1, 1), moved),
    )
    apart = Apart(asked=10, sent=10, seen=10, ks=0.25, wasserstein_bytes=12.0, mean_bytes=1200.0)
    found = Fidelity(requests=apart, notes=("sizes of whole messages are compared",))
    return msgspec.structs.replace(result(run, spec=spec), fidelity=found)


def steps(channel: str, latency_ns: int) -> Result:
    """One worker and one server: a recorded step of 10 ms, whose traffic takes so long."""
    turn = Turn(0, (Call(0, 0, 0, 0),), (Call(0, 0, 0, 0),))
    payload = Steps(
        name="resnet50",
        sizes=((Bytes(1000),),),
        answers=((Bytes(1000),),),
        ps=1,
        workers=1,
        steps=(Step(time_ns=10_000_000, bytes=4000, workers=(turn,)),),
        period_ns=10_000_000,
    )
    spec = Spec(benchmark="ps-throughput", channel=channel, payload=payload, duration_ns=SECOND)
    measured = result(
        repetition(measurement(0, serving(100, 1000)), measurement(1, calling([latency_ns] * 50, 2000))), spec=spec
    )
    points = (Point(payloads=((1000, 1000),), totals=(2000,), answers=((1000, 1000),)),)
    return msgspec.structs.replace(measured, points=points)


def everything() -> list[Result]:
    """A result for each section, over two channels where there is something to compare."""
    return [
        *(each for channel, factor in (("grpc", 1.0), ("tcp", 0.5)) for each in _of(channel, factor)),
        workers(50, 60),
        workers(50, 60, 10, 40),
        serialized("grpc"),
        replay(),
        failing(None, "rank 0 went away"),
    ]


def of_elsewhere(measured: Result) -> Result:
    """The same from another host, with another kernel."""
    there = msgspec.structs.replace(measured.environment, host="there", kernel="Linux 6.9", facts={"turbo": "on"})
    return msgspec.structs.replace(measured, environment=there)


def old(measured: Result) -> Result:
    """As it was written before bytes that came back were counted, and ranks told their settings."""
    runs = [
        msgspec.structs.replace(
            run,
            ranks=tuple(msgspec.structs.replace(facts, settings={}) for facts in run.ranks),
            measurements=tuple(msgspec.structs.replace(each, wire=None) for each in run.measurements),
        )
        for run in measured.repetitions
    ]
    return msgspec.structs.replace(measured, repetitions=tuple(runs))


def _of(channel: str, factor: float) -> list[Result]:
    around = [round(factor * each) for each in (990_000, 1_000_000, 1_010_000, 1_000_000, 995_000)]
    return [
        latency(channel, *around),
        bandwidth(channel, *around),
        sweep(channel, factor, 1.01 * factor, 0.99 * factor),
        mesh(channel),
        steps(channel, round(4_000_000 * factor)),
    ]
