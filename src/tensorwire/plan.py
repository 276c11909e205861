"""What the driver tells all ranks of one launch; read by cpp/rank/plan.cc."""

import msgspec

from tensorwire.benchmarks import Pattern, Reply
from tensorwire.spec import Closed, Fill, Pin, Poisson, Spec


class RankPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What distinguishes a rank: whether and where it serves, whom it calls, where it runs (no cores: anywhere)."""

    serves: bool
    port: int
    calls: tuple[int, ...]
    cores: tuple[int, ...]


class PointPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a sweep: the sizes of the buffers of the payloads that are sent in turn."""

    index: int
    payloads: tuple[tuple[int, ...], ...]


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """The open loop of each rank: `rate` calls per second."""

    rate: float
    poisson: bool
    seed: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the ranks do, in the words of the core."""

    rendezvous: str
    host: str
    ranks: tuple[RankPlan, ...]
    options: dict[str, object]
    serialized: bool
    points: tuple[PointPlan, ...]
    fill: Fill
    seed: int
    reply: Reply
    outstanding: int
    threads: int
    arrivals: Arrivals | None
    warmup_ns: int
    duration_ns: int
    max_calls: int
    timeout_ns: int
    spin: bool
    tuned_malloc: bool
    congestion: str | None


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Where a launch happens: the rendezvous's address, the serving address, and the cores ranks may use."""

    rendezvous: str
    host: str
    cores: tuple[int, ...]


def make(spec: Spec, pattern: Pattern, options: dict[str, object], points: tuple[int, ...], site: Site) -> Plan:
    """The plan for those `points` of the spec that are still to be measured."""
    payloads = spec.points()
    return Plan(
        rendezvous=site.rendezvous,
        host=site.host,
        ranks=_ranks(spec, pattern, site.cores),
        options=options,
        serialized=spec.mode == "serialized",
        points=tuple(PointPlan(index=i, payloads=tuple(payload.sizes for payload in payloads[i])) for i in points),
        fill=spec.fill,
        seed=spec.seed,
        reply=pattern.reply,
        outstanding=outstanding(spec, pattern),
        threads=spec.threads,
        arrivals=_arrivals(spec),
        warmup_ns=spec.warmup_ns,
        duration_ns=spec.duration_ns,
        max_calls=spec.calls,
        timeout_ns=spec.timeout_ns,
        spin=spec.placement.wait == "spin",
        tuned_malloc=spec.placement.malloc == "tuned",
        congestion=spec.placement.congestion,
    )


def outstanding(spec: Spec, pattern: Pattern) -> int:
    """Calls in flight from a rank to each of its peers."""
    return spec.load.outstanding or pattern.outstanding


def ports(spec: Spec, pattern: Pattern) -> list[int]:
    """The port of each rank: serving ranks count up from the one asked for; 0 where any will do."""
    taken = 0
    numbers = []
    for role in pattern.roles:
        numbers.append(spec.port + taken if role.serves and spec.port else 0)
        taken += role.serves
    return numbers


def _ranks(spec: Spec, pattern: Pattern, cores: tuple[int, ...]) -> tuple[RankPlan, ...]:
    return tuple(
        RankPlan(serves=role.serves, port=port, calls=role.calls, cores=_place(spec.placement.pin, rank, cores))
        for rank, (role, port) in enumerate(zip(pattern.roles, ports(spec, pattern), strict=True))
    )


def _place(pin: Pin, rank: int, cores: tuple[int, ...]) -> tuple[int, ...]:
    places: dict[Pin, tuple[int, ...]] = {"distinct": (cores[rank % len(cores)],), "same": cores[:1], "none": ()}
    return places[pin]


def _arrivals(spec: Spec) -> Arrivals | None:
    if isinstance(spec.load, Closed):
        return None
    return Arrivals(rate=spec.load.rate, poisson=isinstance(spec.load, Poisson), seed=spec.seed)
