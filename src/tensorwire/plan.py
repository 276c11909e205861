"""What the driver tells all ranks of one launch; read by cpp/rank/plan.cc."""

from itertools import accumulate

import msgspec

from tensorwire.benchmarks import Pattern, Reply
from tensorwire.collective import Collective, Operation, rounded
from tensorwire.recorded import ALONE, Call, Replay, Steps, Turn
from tensorwire.spec import Closed, Fill, Pin, Poisson, Recorded, Spec

_OPEN = 64
_TO_EACH_SERVER = 16
"""Calls in flight in a step, as many as a job has at the same time."""


class RankPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What distinguishes a rank: whether it serves and the address that is its own, whom it calls, where it runs (no
    cores: anywhere); and which script it follows, where there are any."""

    serves: bool
    host: str
    port: int
    calls: tuple[int, ...]
    script: int = 0
    cores: tuple[int, ...]


Message = tuple[int, int | None]
"""The payload that it carries, and the answer that it asks for, by index; None: what the plan says of replies."""

StepCall = tuple[int, int, int, int]
"""Of a step: the peer, the payload and the answer by index, and when it is due after the step began, in ns."""


class StepPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One step: phases of calls, each of which begins when the one before is over."""

    begin_ns: int
    phases: tuple[tuple[StepCall, ...], ...]


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of a worker; a round of them begins no sooner than `period_ns` after the last one did."""

    period_ns: int
    steps: tuple[StepPlan, ...]


class CollectivePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What all ranks do together, over so many elements in all."""

    operation: Operation
    elements: int


class PointPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a sweep: the sizes of the buffers of the payloads and of what replies may bring.

    Without `messages`, `scripts` and `collective` all payloads are sent in turn.
    """

    index: int
    payloads: tuple[tuple[int, ...], ...]
    answers: tuple[tuple[int, ...], ...] = ()
    messages: tuple[Message, ...] = ()
    scripts: tuple[Script, ...] = ()
    collective: CollectivePlan | None = None


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """The open loop of each rank: `rate` calls per second, or the recorded gaps after its calls, in turn."""

    rate: float
    poisson: bool
    seed: int
    gaps_ns: tuple[int, ...] = ()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the ranks do, in the words of the core."""

    rendezvous: str
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
    check: bool = True
    """Whether the bytes are compared before they are counted."""
    duration_ns: int
    max_calls: int
    timeout_ns: int
    spin: bool
    tuned_malloc: bool
    congestion: str | None


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Where a launch happens: the rendezvous's address, the address of each rank, and the cores ranks may use."""

    rendezvous: str
    hosts: tuple[str, ...]
    cores: tuple[int, ...]


def make(spec: Spec, pattern: Pattern, options: dict[str, object], points: tuple[int, ...], site: Site) -> Plan:
    """The plan for those `points` of the spec that are still to be measured."""
    return Plan(
        rendezvous=site.rendezvous,
        ranks=_ranks(spec, pattern, site),
        options=options,
        serialized=spec.mode == "serialized",
        points=tuple(_point(spec, pattern, index) for index in points),
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
    if spec.load.outstanding is not None:
        return spec.load.outstanding
    if isinstance(spec.payload, Steps):
        return _TO_EACH_SERVER
    return _OPEN if isinstance(spec.load, Recorded) else pattern.outstanding


def ports(spec: Spec, pattern: Pattern) -> list[int]:
    """The port of each rank: serving ranks count up from the one asked for; 0 where any will do."""
    taken = 0
    numbers = []
    for role in pattern.roles:
        numbers.append(spec.port + taken if role.serves and spec.port else 0)
        taken += role.serves
    return numbers


def _ranks(spec: Spec, pattern: Pattern, site: Site) -> tuple[RankPlan, ...]:
    scripts = spec.payload.workers if isinstance(spec.payload, Steps) else 1
    workers = list(accumulate(bool(role.calls) for role in pattern.roles))
    return tuple(
        RankPlan(
            serves=role.serves,
            host=host,
            port=port,
            calls=role.calls,
            script=max(workers[rank] - 1, 0) % scripts,
            cores=_place(spec.placement.pin, rank, site.cores),
        )
        for rank, (role, host, port) in enumerate(zip(pattern.roles, site.hosts, ports(spec, pattern), strict=True))
    )


def _place(pin: Pin, rank: int, cores: tuple[int, ...]) -> tuple[int, ...]:
    places: dict[Pin, tuple[int, ...]] = {"distinct": (cores[rank % len(cores)],), "same": cores[:1], "none": ()}
    return places[pin]


def collective(spec: Spec, pattern: Pattern, index: int) -> Collective | None:
    """What all ranks do together at a point: one array as large as the buffers of its payload, end to end; None where
    they call each other. Raises SpecError for one that is too small."""
    if pattern.collective is None:
        return None
    (payload,) = spec.points()[index]
    return rounded(pattern.collective, pattern.size, payload.total)


def _point(spec: Spec, pattern: Pattern, index: int) -> PointPlan:
    payload = spec.payload
    if together := collective(spec, pattern, index):
        asked = CollectivePlan(operation=together.operation, elements=together.elements)
        return PointPlan(index=index, payloads=((together.total,),), collective=asked)
    if isinstance(payload, Steps):
        pace = spec.load.pace if isinstance(spec.load, Recorded) else None
        scripts = tuple(_script(payload, worker, pace) for worker in range(payload.workers))
        return PointPlan(index=index, payloads=payload.sizes, answers=payload.answers, scripts=scripts)
    if isinstance(payload, Replay) and payload.order == "exact":
        messages = tuple((sent, None if back == ALONE else back) for sent, back in payload.exchanges())
        return PointPlan(index=index, payloads=payload.sizes, answers=payload.answers, messages=messages)
    payloads = tuple(each.sizes for each in spec.points()[index])
    if isinstance(payload, Replay):  # a few payloads, drawn many times: each is made and checked once
        places = {sizes: place for place, sizes in enumerate(dict.fromkeys(payloads))}
        messages = tuple((places[sizes], None) for sizes in payloads)
        return PointPlan(index=index, payloads=tuple(places), messages=messages)
    return PointPlan(index=index, payloads=payloads)


def _script(payload: Steps, worker: int, pace: float | None) -> Script:
    """What one worker does; with a pace when it is due, else as soon as can be."""

    def scaled(time_ns: int) -> int:
        return 0 if pace is None else round(time_ns / pace)

    def phase(calls: tuple[Call, ...]) -> tuple[StepCall, ...]:
        in_order = calls if pace is None else sorted(calls, key=lambda call: call.due_ns)
        return tuple((call.server, call.request, call.answer, scaled(call.due_ns)) for call in in_order)

    def phases(turn: Turn) -> tuple[tuple[StepCall, ...], ...]:
        return tuple(phase(calls) for calls in (turn.pulls, turn.pushes) if calls)

    return Script(
        period_ns=scaled(payload.period_ns),
        steps=tuple(
            StepPlan(begin_ns=scaled(step.workers[worker].begin_ns), phases=phases(step.workers[worker]))
            for step in payload.steps
            if step.workers[worker].calls
        ),
    )


def _arrivals(spec: Spec) -> Arrivals | None:
    if isinstance(spec.load, Closed) or isinstance(spec.payload, Steps):
        return None
    if isinstance(spec.load, Recorded):
        gaps = tuple(spec.payload.gaps(spec.load.pace)) if isinstance(spec.payload, Replay) else ()
        return Arrivals(rate=1e9 * len(gaps) / sum(gaps), poisson=False, seed=spec.seed, gaps_ns=gaps)
    return Arrivals(rate=spec.load.rate, poisson=isinstance(spec.load, Poisson), seed=spec.seed)
