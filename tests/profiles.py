"""Profiles for tests: what a job is supposed to have sent."""

from collections.abc import Sequence

from tensorwire.profile import OUTSIDE, Capture, Profile, Stream
from tensorwire.units import Bytes

CAPTURE = Capture(
    instrument="by hand",
    program="python",
    command=("python", "train.py"),
    created="2026-01-02T03:04:05+00:00",
    duration_ns=1_000_000,
    processes=2,
    tensorwire="0.1.0",
)
STREAMS = (
    Stream(sender=0, receiver=1, kind="request", method="/tensorflow.WorkerService/RecvTensor"),
    Stream(sender=1, receiver=0, kind="reply", method="/tensorflow.WorkerService/RecvTensor"),
    Stream(sender=1, kind="raw"),
)


def profile(*vectors: Sequence[int], steps: Sequence[int] = (), name: str = "job") -> Profile:
    """Messages of these buffers, 1 us apart and over all streams in turn; `steps` are those of the messages, if any."""
    payloads = {tuple(map(Bytes, sizes)): None for sizes in vectors}
    places = {sizes: place for place, sizes in enumerate(payloads)}
    of_message = steps or [OUTSIDE] * len(vectors)
    return Profile(
        name=name,
        captured=CAPTURE,
        roles=("worker", "ps"),
        streams=STREAMS,
        payloads=tuple(payloads),
        messages=tuple(
            (1000 * i, i % len(STREAMS), places[tuple(map(Bytes, sizes))], step)
            for i, (sizes, step) in enumerate(zip(vectors, of_message, strict=True))
        ),
        steps=tuple((1000 * step, 1000 * step + 500) for step in range(max(of_message, default=OUTSIDE) + 1)),
    )


Event = tuple[int, str, str, str, str, int]
"""When, from which role to which, of which kind, by which method, and of how many bytes in one buffer."""


def of_events(events: Sequence[Event]) -> Profile:
    """A profile of these, without steps; each reply answers the first request of its method that has no answer."""
    events = sorted(events)
    roles = list(dict.fromkeys(role for _, sender, receiver, *_ in events for role in (sender, receiver)))
    whole = [
        Stream(sender=roles.index(sender), receiver=roles.index(receiver), kind=kind, method=method)  # type: ignore[arg-type]
        for _, sender, receiver, kind, method, _ in events
    ]
    streams, payloads = list(dict.fromkeys(whole)), list(dict.fromkeys((Bytes(event[5]),) for event in events))
    open_calls: dict[tuple[str, str, str], list[int]] = {}
    exchanges = []
    for place, (_, sender, receiver, kind, method, _) in enumerate(events):
        if kind == "request":
            open_calls.setdefault((sender, receiver, method), []).append(place)
        elif kind == "reply" and (waiting := open_calls.get((receiver, sender, method))):
            exchanges.append((waiting.pop(0), place))
    return Profile(
        name="job",
        captured=CAPTURE,
        roles=tuple(roles),
        streams=tuple(streams),
        payloads=tuple(payloads),
        messages=tuple(
            (event[0], streams.index(stream), payloads.index((Bytes(event[5]),)), OUTSIDE)
            for event, stream in zip(events, whole, strict=True)
        ),
        exchanges=tuple(sorted(exchanges)),
    )
