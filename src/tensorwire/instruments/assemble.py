"""From what every process of a job wrote to one profile: who sent what to whom, in order, without any address."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import pairwise
from typing import TypeVar

from tensorwire.errors import InstrumentError
from tensorwire.instruments.connections import End, ends, name_methods, pairs
from tensorwire.instruments.tap_log import CLIENT, COMPRESSED, RAW, SLICES_CUT, Log, Mark
from tensorwire.profile import OUTSIDE, Capture, Kind, Profile, Stream
from tensorwire.units import Bytes

_Value = TypeVar("_Value")
_Sizes = tuple[Bytes, ...]
_Sent = tuple[int, Stream, _Sizes]


def assemble(logs: Sequence[Log], name: str) -> Profile:
    """The profile of a job from the logs of its processes. Raises InstrumentError when there are none."""
    logs = sorted((log for log in logs if log.records), key=lambda log: log.head.start_monotonic_ns)
    if not logs:
        raise InstrumentError("the job used no stream sockets that can be seen, so that there is nothing to profile")
    begin = logs[0].head.start_monotonic_ns
    found = ends(logs)
    notes = _notes(logs, found) | name_methods(found)
    sent = sorted(_sent(found, logs), key=lambda one: one[0])
    steps, marked = _steps(logs)
    streams, payloads = _numbered(one[1] for one in sent), _numbered(one[2] for one in sent)
    return Profile(
        name=name,
        captured=Capture(
            instrument="wire",
            program=logs[0].head.program,
            command=(logs[0].head.program,),
            created=datetime.fromtimestamp(logs[0].head.start_realtime_ns / 1e9, UTC).isoformat(timespec="seconds"),
            duration_ns=max(log.records[-1].at_ns for log in logs) - begin,
            processes=len(logs),
            tensorwire=version("tensorwire"),
            notes=tuple(sorted(notes | marked)),
        ),
        roles=tuple(f"process {index}" for index in range(len(logs))),
        streams=tuple(streams),
        payloads=tuple(payloads),
        messages=tuple((at - begin, streams[by], payloads[sizes], _step(at, steps)) for at, by, sizes in sent),
        steps=tuple((a - begin, b - begin) for a, b in steps),
    )


def _numbered(values: Iterator[_Value]) -> dict[_Value, int]:
    """Every different value once, with its place."""
    places: dict[_Value, int] = {}
    for value in values:
        places.setdefault(value, len(places))
    return places


def _sent(found: Sequence[End], logs: Sequence[Log]) -> Iterator[_Sent]:
    for end, other in zip(found, pairs(found, logs), strict=True):
        receiver = other.process if other else OUTSIDE
        if end.protocol > RAW:
            yield from _messages(end, other, receiver)
        yield from _raw(end, receiver)


def _messages(end: End, other: End | None, receiver: int) -> Iterator[_Sent]:
    asked = end.protocol == CLIENT
    paths = end.paths if asked else (other.paths if other else {})
    known: dict[str, Stream] = {}
    for message in end.messages:
        path = paths.get(message.stream, "")
        stream = known.get(path)
        if stream is None:
            kind: Kind = "request" if asked else "reply"
            stream = known[path] = Stream(sender=end.process, receiver=receiver, kind=kind, method=path)
        yield message.at_ns, stream, _positive(message.sizes)


def _raw(end: End, receiver: int) -> Iterator[_Sent]:
    """What system calls sent, from where no messages could be followed."""
    if end.protocol > RAW and end.raw_from_ns is None:
        return
    since = end.raw_from_ns if end.protocol > RAW and end.raw_from_ns is not None else 0
    stream = Stream(sender=end.process, receiver=receiver, kind="raw")
    for send in end.sends:
        if send.at_ns > since:
            yield send.at_ns, stream, _positive(send.sizes)


def _positive(sizes: tuple[int, ...]) -> _Sizes:
    return tuple(Bytes(size) for size in sizes if size > 0)


def _steps(logs: Sequence[Log]) -> tuple[list[tuple[int, int]], set[str]]:
    """From each mark to the next of the first process that made any; with a note when others made some as well."""
    marks = [times for log in logs if (times := [record.at_ns for record in log.records if isinstance(record, Mark)])]
    if not marks:
        return [], set()
    several = {f"{len(marks)} processes marked steps: those of the first were taken"} if len(marks) > 1 else set()
    first = min(marks)
    return list(pairwise(first)), several


def _step(at: int, steps: Sequence[tuple[int, int]]) -> int:
    place = bisect_right(steps, at, key=lambda step: step[0]) - 1
    return place if place >= 0 and at < steps[place][1] else OUTSIDE


def _notes(logs: Sequence[Log], found: Sequence[End]) -> set[str]:
    dropped = sum(log.head.dropped for log in logs)
    flags = {flag for end in found for message in end.messages for flag in (1, 2) if message.flags & flag}
    raw = sum(bool(end.sends) and end.protocol <= RAW for end in found)
    turned = sum(end.protocol > RAW and end.raw_from_ns is not None for end in found)
    told = {
        f"{dropped} records found no room in the log: messages are missing": dropped,
        f"{raw} ends of connections did not speak HTTP/2, or encrypted it: their messages are single system calls": raw,
        f"{turned} ends of connections stopped to be readable as gRPC: from there on, single system calls": turned,
        "some messages were compressed: their sizes are those that travelled": COMPRESSED in flags,
        "some messages had more slices than are kept: the last of these is all the rest": SLICES_CUT in flags,
    }
    damaged = {f"process {index}: the log is damaged: {log.damage}" for index, log in enumerate(logs) if log.damage}
    return {note for note, applies in told.items() if applies} | damaged
