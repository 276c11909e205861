"""All claims, in the order in which they are judged."""

import functools
import time
from typing import Literal

from benchmarks.captured import large_buffers, odd_bytes, untold_bytes, untold_messages
from benchmarks.collective import MpiAllreduce, Together
from benchmarks.comparing import Gate
from benchmarks.hosts import BetweenHosts, Iperf3BetweenHosts, gone_ms, up_ms
from benchmarks.judging import Absolute, Claim, Comparison, Limit, at_least, at_most, exactly
from benchmarks.osu import Osu
from benchmarks.perftest import Perftest
from benchmarks.seen import Metric, bandwidth, call_time, cpu_per_call, cpu_per_gb, latency, rate
from benchmarks.sides import H2load, Iperf3, Raw, Tensorwire, run_spec, seen_by_caller
from benchmarks.starting import help_ms, joining_ms
from benchmarks.traffic import HUGE, LARGE, MIDDLE, RANDOM, SKEW, TINY, UNIFORM, Site, Traffic, echo, stream_of
from benchmarks.watching import own_time, slowdown
from tensorwire.payload import Custom
from tensorwire.spec import Mode, Placement, Spec
from tensorwire.units import Nanoseconds, format_size


def grpc(traffic: Traffic, call: str = "unary", mode: Mode = "non-serialized") -> Tensorwire:
    return Tensorwire(channel="grpc", traffic=traffic, options={"call": call}, mode=mode)


def grpc_python(traffic: Traffic) -> Tensorwire:
    return Tensorwire(channel="grpc-python", traffic=traffic)


def tcp(traffic: Traffic) -> Tensorwire:
    return Tensorwire(channel="tcp", traffic=traffic)


def raw_grpc(traffic: Traffic) -> Raw:
    return Raw(program="raw_grpc", traffic=traffic)


def raw_tcp(traffic: Traffic) -> Raw:
    return Raw(program="raw_tcp", traffic=traffic)


_TINY = Custom(buffers=TINY.sizes)


def _null_spec(site: Site) -> Spec:
    set_time = Nanoseconds(int(site.seconds * 1e9))
    return Spec(channel="null", payload=_TINY, port=0, warmup_ns=Nanoseconds(0), duration_ns=set_time)


def loop_cost_ns(site: Site) -> float:
    """What a rank says of its own loop before it measures."""
    return run_spec(_null_spec(site)).repetitions[0].ranks[1].loop_cost_ns


def null_call_ns(site: Site) -> float:
    """What a call of p2p-latency takes over a channel that moves nothing."""
    seen = seen_by_caller(run_spec(_null_spec(site)))
    return seen.elapsed_ns / seen.calls


def overhead_seconds(benchmark: str, pattern: dict[str, int], site: Site) -> float:
    """How much longer than its set time a run takes, from its start to its end."""
    set_time = Nanoseconds(int(site.seconds * 1e9))
    spec = Spec(
        benchmark=benchmark,
        pattern=dict(pattern),
        payload=_TINY,
        port=0,
        warmup_ns=set_time,
        duration_ns=set_time,
    )
    begin = time.perf_counter()
    run_spec(spec)
    return time.perf_counter() - begin - 2 * site.seconds


LOOP: tuple[Claim, ...] = (
    Absolute(
        name="loop-cost", title="the loop's cost, as a rank tells it", unit="ns", value=loop_cost_ns, limit=at_most(100)
    ),
    Absolute(name="loop-null", title="a call over null", unit="ns", value=null_call_ns, limit=at_most(100)),
)

_AS_FAST = ((latency, at_most(1.03)), (cpu_per_call, at_most(1.03)))
_AS_BROAD = ((bandwidth, at_least(0.97)), (cpu_per_call, at_most(1.03)))


def _against_raw_grpc(name: str, title: str, traffic: Traffic) -> Comparison:
    return Comparison(
        name=f"raw-grpc-{name}",
        title=f"grpc / hand-written gRPC, {title}",
        a=grpc(traffic),
        b=raw_grpc(traffic),
        claims=_AS_FAST if traffic.reply == "echo" else _AS_BROAD,
    )


RAW_GRPC: tuple[Claim, ...] = (
    _against_raw_grpc("32B-one-core", "32 B echo on one core", echo(TINY, "same")),
    _against_raw_grpc("32B-two-cores", "32 B echo on two cores", echo(TINY)),
    _against_raw_grpc("64KiB", "64 KiB echo", echo(MIDDLE)),
    _against_raw_grpc("1MiB", "1 MiB echo", echo(LARGE)),
    _against_raw_grpc("bandwidth", "1 MiB, 4 in flight", stream_of(LARGE)),
)

SERIALIZED: tuple[Claim, ...] = tuple(
    Comparison(
        name=f"serialized-{outstanding}",
        title=f"non-serialized / serialized, uniform payload, {outstanding} in flight",
        a=grpc(stream_of(UNIFORM, outstanding)),
        b=grpc(stream_of(UNIFORM, outstanding), mode="serialized"),
        claims=((bandwidth, at_least(1.8)),),
    )
    for outstanding in (1, 4)
)

TCP: tuple[Claim, ...] = (
    Comparison(
        name="tcp-32B",
        title="grpc / tcp, 32 B echo on one core",
        a=grpc(echo(TINY, "same")),
        b=tcp(echo(TINY, "same")),
        claims=((latency, at_most(3.5)),),
    ),
    Comparison(
        name="tcp-32B-stream",
        title="grpc on open streams / tcp, 32 B echo on one core",
        a=grpc(echo(TINY, "same"), call="stream"),
        b=tcp(echo(TINY, "same")),
        claims=((latency, at_most(2.4)),),
    ),
    Comparison(
        name="tcp-1MiB",
        title="grpc / tcp, 1 MiB, 4 in flight",
        a=grpc(stream_of(LARGE)),
        b=tcp(stream_of(LARGE)),
        claims=((bandwidth, at_least(0.70)), (cpu_per_gb, at_most(2.1))),
    ),
    Comparison(
        name="tcp-4MiB",
        title="grpc / tcp, 4 MiB, 4 in flight",
        a=grpc(stream_of(HUGE)),
        b=tcp(stream_of(HUGE)),
        claims=((bandwidth, at_least(0.80)),),
    ),
)

GRPC_PYTHON: tuple[Claim, ...] = (
    Comparison(
        name="grpc-python-32B",
        title="grpc-python / grpc, 32 B echo on one core",
        a=grpc_python(echo(TINY, "same")),
        b=grpc(echo(TINY, "same")),
        claims=((latency, at_least(8)),),
    ),
    Comparison(
        name="grpc-python-1MiB",
        title="grpc / grpc-python, 1 MiB, 4 in flight",
        a=grpc(stream_of(LARGE)),
        b=grpc_python(stream_of(LARGE)),
        claims=((bandwidth, at_least(3)),),
    ),
    Comparison(
        name="grpc-python-mixed",
        title="grpc-python / grpc, uniform payload echo",
        a=grpc_python(echo(UNIFORM)),
        b=grpc(echo(UNIFORM)),
        claims=((latency, at_least(4.5)),),
    ),
)

H2LOAD: tuple[Claim, ...] = (
    Comparison(
        name="h2load",
        title="grpc / h2load against tensorwire's server, 32 B, 16 in flight on one connection",
        a=grpc(stream_of(TINY, 16)),
        b=H2load(traffic=stream_of(TINY, 16)),
        claims=((rate, at_least(1)),),
    ),
)

RAW_TCP: tuple[Claim, ...] = (
    *(
        Comparison(
            name=f"raw-tcp-{name}",
            title=f"tcp / hand-written sockets, {title}",
            a=tcp(traffic),
            b=raw_tcp(traffic),
            claims=((latency, at_most(1.05)),),
        )
        for name, title, traffic in (
            ("32B-one-core", "32 B echo on one core", echo(TINY, "same")),
            ("32B-two-cores", "32 B echo on two cores", echo(TINY)),
            ("1MiB", "1 MiB echo", echo(LARGE)),
        )
    ),
    *(
        Comparison(
            name=f"{name}-bandwidth",
            title=f"tcp / {title}, 1 MiB, 4 in flight",
            a=tcp(stream_of(LARGE)),
            b=other,
            claims=((bandwidth, at_least(0.95)),),
        )
        for name, title, other in (
            ("raw-tcp", "hand-written sockets", raw_tcp(stream_of(LARGE))),
            ("iperf3", "iperf3", Iperf3(traffic=stream_of(LARGE))),
        )
    ),
)


def _over_mpi(size: int) -> Together:
    return Together(channel="mpi", size=size, options={"implementation": "openmpi", "transport": "shm"})


def added_to_allreduce_ns(site: Site) -> float:
    """How much longer than in the hand-written program an all-reduce takes that is as short as can be."""
    return _over_mpi(8).run(site).p50_ns - MpiAllreduce(size=8).run(site).p50_ns


ALLREDUCE: tuple[Claim, ...] = (
    Absolute(
        name="allreduce-8B",
        title="mpi less hand-written MPI, p50 of an all-reduce of 8 B by 2 ranks that poll",
        unit="ns",
        value=added_to_allreduce_ns,
        limit=at_most(100),
    ),
    *(
        Comparison(
            name=f"allreduce-{name}",
            title=f"mpi / hand-written MPI, all-reduce of {title} by 2 ranks that poll",
            a=_over_mpi(size),
            b=MpiAllreduce(size=size),
            claims=((call_time, at_most(1.05)),),
        )
        for name, title, size in (("64KiB", "64 KiB", 64 << 10), ("1MiB", "1 MiB", 1 << 20))
    ),
)

START: tuple[Claim, ...] = (
    *(
        Absolute(
            name=f"start-{channel}",
            title=f"a {channel} rank is at the rendezvous after",
            unit="ms",
            value=functools.partial(joining_ms, channel),
            limit=at_most(50),
        )
        for channel in ("grpc", "tcp", "ucx")
    ),
    Absolute(name="start-help", title="tensorwire --help", unit="ms", value=help_ms, limit=at_most(150)),
    Absolute(
        name="ranks-ps",
        title="64 ranks over their set time, 32 servers and 32 workers",
        unit="s",
        value=functools.partial(overhead_seconds, "ps-throughput", {"ps": 32, "workers": 32}),
        limit=at_most(10),
    ),
    Absolute(
        name="ranks-all",
        title="64 ranks over their set time, each calling all others",
        unit="s",
        value=functools.partial(overhead_seconds, "fully-connected", {"nodes": 64}),
        limit=at_most(10),
    ),
)

_UCX_IN_FLIGHT = 16


def _against_perftest(api: Literal["am", "tag"], over: Literal["shm", "tcp"]) -> tuple[Comparison, ...]:
    """One payload at a time and its acknowledgement, and many in flight. Both ends poll, as ucx_perftest does."""

    def comparison(name: str, traffic: Traffic, claim: tuple[Metric, Limit]) -> Comparison:
        size = format_size(traffic.payload.total)
        title = f"ucx / ucx_perftest, {api} over {over}, {size}, {traffic.outstanding} in flight"
        return Comparison(
            name=f"perftest-{api}-{over}-{size.replace(' ', '')}{name}",
            title=title,
            a=Tensorwire(channel="ucx", traffic=traffic, options={"api": api, "transport": over}, wait="spin"),
            b=Perftest(api=api, transport=over, traffic=traffic),
            claims=(claim,),
        )

    return (
        *(comparison("", stream_of(size, 1), (latency, at_most(1.05))) for size in (TINY, MIDDLE, LARGE, HUGE)),
        *(
            comparison("-bandwidth", stream_of(size, _UCX_IN_FLIGHT), (bandwidth, at_least(0.95)))
            for size in (MIDDLE, LARGE, HUGE)
        ),
    )


PERFTEST: tuple[Claim, ...] = (
    *_against_perftest("am", "shm"),
    *_against_perftest("tag", "shm"),
    *_against_perftest("am", "tcp"),
    *_against_perftest("tag", "tcp"),
)

_MPI_IN_FLIGHT = 16


def _against_osu(mpi: Literal["openmpi", "mpich"]) -> tuple[Comparison, ...]:
    """One payload at a time and its acknowledgement, and many in flight. Both ends poll, as MPI does."""

    def comparison(name: str, traffic: Traffic, claim: tuple[Metric, Limit]) -> Comparison:
        size = format_size(traffic.payload.total)
        return Comparison(
            name=f"osu-{mpi}-{size.replace(' ', '')}{name}",
            title=f"mpi / OSU's loops, {mpi}, {size} {traffic.reply}, {traffic.outstanding} in flight",
            a=Tensorwire(channel="mpi", traffic=traffic, options={"implementation": mpi}, wait="spin"),
            b=Osu(implementation=mpi, traffic=traffic),
            claims=(claim,),
        )

    return (
        comparison("-echo", echo(TINY), (latency, at_most(1.05))),
        *(comparison("", stream_of(size, 1), (latency, at_most(1.05))) for size in (TINY, MIDDLE, LARGE, HUGE)),
        *(
            comparison("-bandwidth", stream_of(size, _MPI_IN_FLIGHT), (bandwidth, at_least(0.95)))
            for size in (MIDDLE, LARGE, HUGE)
        ),
    )


OSU: tuple[Claim, ...] = (*_against_osu("openmpi"), *_against_osu("mpich"))

_PUBLISHED = 6.03 / 4.03  # MB of the two payloads, and their latencies on every published fabric

SHAPE: tuple[Claim, ...] = (
    Comparison(
        name="shape-latency",
        title="skew / uniform payload, echo",
        a=grpc(echo(SKEW)),
        b=grpc(echo(UNIFORM)),
        claims=((latency, Limit(least=round(_PUBLISHED * 0.85, 2), most=round(_PUBLISHED * 1.15, 2))),),
    ),
    *(
        Comparison(
            name=f"shape-{name}",
            title=f"{name} / uniform payload, 4 in flight",
            a=grpc(stream_of(payload)),
            b=grpc(stream_of(UNIFORM)),
            claims=((bandwidth, Limit(least=0.85, most=1.15)),),
        )
        for name, payload in (("skew", SKEW), ("random", RANDOM))
    ),
)

_CAPTURED = "capture of ResNet-152, 1 server and 1 worker:"

CAPTURE: tuple[Claim, ...] = tuple(
    Absolute(name=f"capture-{name}", title=f"{_CAPTURED} {title}", unit=unit, value=value, limit=limit, once=True)
    for name, title, unit, value, limit in (
        (
            "large",
            "buffers of 1 MiB and more in a step, 119 variables in two directions",
            "buffers",
            large_buffers,
            exactly(238),
        ),
        (
            "variables",
            "tensors of the steps that are not the model's variables, or not once",
            "B",
            odd_bytes,
            exactly(0),
        ),
        ("frames", "DATA frames by gRPC's own trace, less those of the profile", "B", untold_bytes, exactly(0)),
        ("messages", "messages by gRPC's own trace, or by the profile, alone", "messages", untold_messages, exactly(0)),
    )
)

WATCHING: tuple[Claim, ...] = (
    Absolute(
        name="watching-slowdown",
        title="TensorFlow trains a CNN, watched and unwatched by turns: slower when watched by",
        unit="%",
        value=slowdown,
        limit=at_most(2),
        once=True,
    ),
    Absolute(
        name="watching-own", title="the same: the tap's own time", unit="%", value=own_time, limit=at_most(2), once=True
    ),
)

_ONE_CORE = Placement(pin="same")

COMPARE: tuple[Claim, ...] = tuple(
    Gate(
        name=f"compare-{channel}",
        title=f"compare, 32 B echo over {channel} on one core",
        spec=Spec(channel=channel, payload=_TINY, placement=_ONE_CORE),
    )
    for channel in ("tcp", "grpc")
)

_LARGE_STREAM = stream_of(LARGE)

HOSTS: tuple[Claim, ...] = (
    *(
        Comparison(
            name=f"hosts-{fabric}-{channel}",
            title=f"{channel} / iperf3 between emulated hosts on {fabric}, 1 MiB, 4 in flight",
            a=BetweenHosts(channel=channel, traffic=_LARGE_STREAM, fabric=fabric),
            b=Iperf3BetweenHosts(traffic=_LARGE_STREAM, fabric=fabric),
            claims=((bandwidth, Limit(least=0.95, most=1.05)),),
        )
        for fabric in ("1gbe", "10gbe")
        for channel in ("tcp", "grpc", "grpc-python", "ucx")
    ),
    *(
        Absolute(
            name=f"hosts-{word}-{count}",
            title=f"{count} emulated hosts are {word} after",
            unit="ms",
            value=functools.partial(taking_ms, count),
            limit=at_most(500 + 100 * count),
        )
        for word, taking_ms in (("up", up_ms), ("gone", gone_ms))
        for count in (2, 8, 32)
    ),
)

ALL: tuple[Claim, ...] = (
    *LOOP,
    *RAW_GRPC,
    *SERIALIZED,
    *TCP,
    *GRPC_PYTHON,
    *H2LOAD,
    *RAW_TCP,
    *PERFTEST,
    *ALLREDUCE,
    *OSU,
    *START,
    *SHAPE,
    *CAPTURE,
    *WATCHING,
    *COMPARE,
    *HOSTS,
)
