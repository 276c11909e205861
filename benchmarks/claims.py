"""All claims, in the order in which they are judged."""

import functools
import time

from benchmarks.judging import Absolute, Claim, Comparison, Limit, at_least, at_most
from benchmarks.seen import bandwidth, cpu_per_call, cpu_per_gb, latency, rate
from benchmarks.sides import H2load, Iperf3, Raw, Tensorwire, run_spec, seen_by_caller
from benchmarks.starting import help_ms, joining_ms
from benchmarks.traffic import HUGE, LARGE, MIDDLE, RANDOM, SKEW, TINY, UNIFORM, Site, Traffic, echo, stream_of
from tensorwire.payload import Custom
from tensorwire.spec import Mode, Spec
from tensorwire.units import Nanoseconds


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

START: tuple[Claim, ...] = (
    *(
        Absolute(
            name=f"start-{channel}",
            title=f"a {channel} rank is at the rendezvous after",
            unit="ms",
            value=functools.partial(joining_ms, channel),
            limit=at_most(50),
        )
        for channel in ("grpc", "tcp")
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

ALL: tuple[Claim, ...] = (*LOOP, *RAW_GRPC, *SERIALIZED, *TCP, *GRPC_PYTHON, *H2LOAD, *RAW_TCP, *START, *SHAPE)
