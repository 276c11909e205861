"""How far the sizes of the messages that a replay sends are from those asked for, as a tap at the ranks saw them.

Law: what is watched is a launch of its own. Nothing that was measured depends on it; what goes wrong in it is a note.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate, cycle, islice

from msgspec import Struct
from msgspec.structs import replace

from tensorwire import scratch
from tensorwire.distance import distance
from tensorwire.errors import TensorwireError
from tensorwire.instruments import wire
from tensorwire.launch import Told
from tensorwire.plan import Plan, PointPlan, Script
from tensorwire.profile import Kind, Profile, last_word
from tensorwire.recorded import Replay
from tensorwire.result import Apart, Failure, Fidelity
from tensorwire.spec import Spec
from tensorwire.units import Bytes, Nanoseconds

MOST_MESSAGES, MOST_BYTES = 10_000, Bytes(4_000_000_000)
"""Of each calling rank."""

_LONGEST = Nanoseconds(60_000_000_000)
_WHOLE = "sizes of whole messages are compared, not the buffers that they are cut into"
_AS_WRITTEN = "messages are compared as protobuf writes them"
_TAG_BYTES = 1  # of protobuf, in front of each buffer

Run = Callable[[Mapping[str, str], Callable[[Plan], Plan]], Iterable[Told]]
"""Starts the ranks of a run with more in their environment, and with another plan than that of the run."""

Vector = tuple[int, ...]
Exchange = tuple[Vector, Vector | None]
"""The buffers of a message, and of the reply that brings some back."""


class Sent(Struct, frozen=True, kw_only=True):
    """Messages by their bytes, and how often each size comes: what callers send, and what they get back."""

    requests: Counter[int]
    replies: Counter[int]


def measure(spec: Spec, run: Run) -> Fidelity:
    """Has every message of a replay sent once, watched, and compares their sizes with those asked for."""
    plans: list[Plan] = []

    def change(plan: Plan) -> Plan:
        plans.append(once(plan))
        return plans[0]

    try:
        with scratch.directory() as directory:
            preloaded = {name: os.environ[name] for name in ("LD_PRELOAD",) if name in os.environ}
            for told in run(wire.instrument.attach(preloaded, directory), change):
                if isinstance(told, Failure):
                    return _unknown(told.message)
            return compare(spec, plans[0], wire.instrument.collect(directory))
    except (TensorwireError, OSError, ValueError) as wrong:
        return _unknown(str(wrong))


def once(plan: Plan) -> Plan:
    """The plan that sends every message once from each calling rank, one after the other, and no check before; steps
    are whole. Of very many only the first are sent."""
    (point,) = plan.points
    if point.scripts:
        scripts = tuple(_at_once(script) for script in point.scripts)
        most = max(_rounds(point, script) for script in scripts)
        point = replace(point, scripts=scripts)
    else:
        messages = point.messages or tuple((place, None) for place in range(len(point.payloads)))
        most = max(1, sum(1 for _ in _bounded(_exchange(point, *message) for message in messages)))
        point = replace(point, messages=messages[:most])
    return replace(
        plan,
        points=(point,),
        outstanding=plan.outstanding if point.scripts else 1,
        threads=1,
        arrivals=None,
        warmup_ns=0,
        check=False,
        duration_ns=_LONGEST,
        max_calls=most,
    )


def compare(spec: Spec, plan: Plan, seen: Profile) -> Fidelity:
    """What the tap saw of a plan's messages beside those asked for."""
    expected = sent_by(plan)
    asked = _asked(spec, plan) or expected
    notes = [_AS_WRITTEN] if plan.serialized else []
    notes += [note for note in seen.captured.notes if "compressed" in note]
    found = {
        "requests": (asked.requests, expected.requests, _seen(seen, "request")),
        "replies": (asked.replies, expected.replies, _seen(seen, "reply")),
    }
    for what, (_, sent, saw) in found.items():
        if sent and not saw:
            notes.append(f"the tap sees no {what} of this channel: they are not compared")
        elif sent.total() != saw.total():
            notes.append(f"of {sent.total()} {what} the tap saw {saw.total()}")
    apart = {what: _apart(*counts) for what, counts in found.items()}
    if any(apart.values()):
        notes.append(_WHOLE)
    return Fidelity(requests=apart["requests"], replies=apart["replies"], notes=tuple(notes))


def sent_by(plan: Plan) -> Sent:
    """What the ranks send each other when they follow a plan that `once` made."""
    (point,) = plan.points
    requests: Counter[int] = Counter()
    replies: Counter[int] = Counter()
    for rank in plan.ranks:
        for sent, back in _exchanges(plan, point, rank.script) if rank.calls else ():
            requests[_size(plan, sent)] += 1
            if back is not None:
                replies[_size(plan, back)] += 1
            elif plan.reply == "echo":
                replies[_size(plan, sent)] += 1
    return Sent(requests=requests, replies=replies)


def _at_once(script: Script) -> Script:
    """The script without its pauses."""
    steps = tuple(
        replace(step, begin_ns=0, phases=tuple(tuple((*call[:3], 0) for call in phase) for phase in step.phases))
        for step in script.steps
    )
    return Script(period_ns=0, steps=steps)


def _rounds(point: PointPlan, script: Script) -> int:
    """As many whole steps as the bounds allow, and one at least."""
    ends = list(accumulate(sum(map(len, step.phases)) for step in script.steps))
    calls = (call for step in script.steps for phase in step.phases for call in phase)
    bounded = sum(1 for _ in _bounded(_exchange(point, *call[1:3]) for call in calls))
    return max(1, sum(end <= bounded for end in ends))


def _bounded(exchanges: Iterable[Exchange]) -> Iterator[Exchange]:
    volume = 0
    for exchange in islice(exchanges, MOST_MESSAGES):
        volume += sum(exchange[0]) + sum(exchange[1] or ())
        if volume > MOST_BYTES:
            return
        yield exchange


def _exchange(point: PointPlan, payload: int, answer: int | None) -> Exchange:
    return point.payloads[payload], None if answer is None else point.answers[answer]


def _exchanges(plan: Plan, point: PointPlan, script: int) -> Iterator[Exchange]:
    """What one calling rank sends and gets back."""
    if point.scripts:
        steps = islice(cycle(point.scripts[script].steps), plan.max_calls)
        calls = (call for step in steps for phase in step.phases for call in phase)
        return (_exchange(point, *call[1:3]) for call in calls)
    return (_exchange(point, *message) for message in point.messages)


def _asked(spec: Spec, plan: Plan) -> Sent | None:
    """Where messages were drawn, the distribution that they were drawn from."""
    payload = spec.payload
    if not isinstance(payload, Replay) or payload.order != "proportional":
        return None
    counts: Counter[int] = Counter()
    for sizes, times in zip(payload.sizes, payload.counts, strict=True):
        counts[_size(plan, sizes)] += times
    return Sent(requests=counts, replies=counts if plan.reply == "echo" else Counter())


def _size(plan: Plan, sizes: Vector) -> int:
    """The bytes of a message, in serialized mode with those that protobuf adds."""
    if not plan.serialized:
        return sum(sizes)
    return sum(_TAG_BYTES + max(1, -(-size.bit_length() // 7)) + size for size in sizes)


def _seen(profile: Profile, kind: Kind) -> Counter[int]:
    """Sizes of the requests, or of the replies that bring more than a count."""
    wanted = {
        number
        for number, stream in enumerate(profile.streams)
        if stream.kind == kind and (kind == "request" or _brings(stream.method))
    }
    totals = [sum(sizes) for sizes in profile.payloads]
    return Counter(totals[message[2]] for message in profile.messages if message[1] in wanted)


def _brings(method: str) -> bool:
    return last_word(method).lower().removesuffix("stream") in ("recorded", "echo")


def _apart(asked: Counter[int], sent: Counter[int], seen: Counter[int]) -> Apart | None:
    if not asked or not seen:
        return None
    far = distance(asked, seen)
    return Apart(
        asked=asked.total(),
        sent=sent.total(),
        seen=seen.total(),
        ks=float(far.ks),
        wasserstein_bytes=float(far.wasserstein),
        mean_bytes=float(far.mean),
    )


def _unknown(why: str) -> Fidelity:
    return Fidelity(notes=(f"what was sent was not compared with what was asked for: {' '.join(why.split())}",))
