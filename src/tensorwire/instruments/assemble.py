"""From what every process of a job wrote to one profile: who sent what to whom, in order, without any address."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TypeVar

import msgspec

from tensorwire.errors import InstrumentError
from tensorwire.instruments.connections import End, ends, name_methods, pairs, unframed
from tensorwire.instruments.roles import names
from tensorwire.instruments.system_calls import system_calls
from tensorwire.instruments.tap_log import (
    CLIENT,
    COMPRESSED,
    GLOO,
    RAW,
    SLICES_CUT,
    TCP_CALLER,
    TCP_CALLS,
    TCP_SERVER,
    TLS,
    Log,
    Mark,
    Message,
)
from tensorwire.profile import OUTSIDE, Capture, Kind, Profile, Stream
from tensorwire.steps import Wanted, divide, divided
from tensorwire.units import Bytes

_Value = TypeVar("_Value")
_Call = tuple[int, int, int]
"""A connection, by the place of its client's end; a stream of it; how many messages came before, that way, in it."""


_UNASKED: dict[int, Kind] = {GLOO: "message", TLS: "raw"}
"""The kinds of what nobody replies to, by protocol: a record of TLS is as its library cut it, like a system call."""

_FRAMINGS = {GLOO: "gloo", TLS: "tls"}
"""What stands for a method, by protocol, where messages have none."""


class _Sent(msgspec.Struct, frozen=True, kw_only=True):
    """One message; its stream is between processes by the places of their logs; `call` where it is part of one."""

    at_ns: int
    stream: Stream
    sizes: tuple[Bytes, ...]
    call: _Call | None = None


def assemble(logs: Sequence[Log], name: str, wanted: Wanted | None = None) -> Profile:
    """The profile of a job from the logs of its processes, with steps as they are wanted.

    Raises InstrumentError when no process wrote anything.
    """
    logs = sorted((log for log in logs if log.records), key=lambda log: log.head.start_monotonic_ns)
    if not logs:
        raise InstrumentError("the job used no stream sockets that can be seen, so that there is nothing to profile")
    begin = logs[0].head.start_monotonic_ns
    found = ends(logs)
    others = pairs(found)
    notes = _notes(logs, found) | name_methods(found)
    sent = sorted(_sent(found, others), key=lambda one: one.at_ns)
    marks = _marks(logs, begin)
    members = _members(sent, marks) or list(range(len(logs)))
    plain = _profile(name, [logs[process] for process in members], notes, begin)
    places = {process: place for place, process in enumerate(members)}
    plain = msgspec.structs.replace(plain, **_traffic(sent, places, begin))
    wanted = wanted or Wanted()
    division = divide(plain, {places[process]: times for process, times in marks.items()}, wanted)
    calls = system_calls(found, others, places, lambda at, *who: division.steady(at - begin, *who))
    return msgspec.structs.replace(divided(plain, division, wanted), system_calls=calls)


def _members(sent: Sequence[_Sent], marks: Mapping[int, object]) -> list[int]:
    """The processes that send, receive or mark; not those that only hold a socket."""
    return sorted(
        ({end for one in sent for end in (one.stream.sender, one.stream.receiver)} | marks.keys()) - {OUTSIDE}
    )


def _profile(name: str, logs: Sequence[Log], notes: set[str], begin: int) -> Profile:
    """Without any traffic yet."""
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
            notes=tuple(sorted(notes)),
        ),
        roles=names([log.head for log in logs]),
        streams=(),
        payloads=(),
        messages=(),
    )


def _traffic(sent: Sequence[_Sent], places: Mapping[int, int], begin: int) -> dict[str, object]:
    """The fields of a profile that hold it; `places` has the role of each process."""
    streams, payloads = _numbered(one.stream for one in sent), _numbered(one.sizes for one in sent)
    requests = {one.call: place for place, one in enumerate(sent) if one.stream.kind == "request" and one.call}
    replies = {one.call: place for place, one in enumerate(sent) if one.stream.kind == "reply" and one.call}
    roles = {**places, OUTSIDE: OUTSIDE}
    return {
        "streams": tuple(
            msgspec.structs.replace(each, sender=roles[each.sender], receiver=roles[each.receiver]) for each in streams
        ),
        "payloads": tuple(payloads),
        "messages": tuple((one.at_ns - begin, streams[one.stream], payloads[one.sizes], OUTSIDE) for one in sent),
        "exchanges": tuple((place, replies[call]) for call, place in requests.items() if call in replies),
    }


def _numbered(values: Iterable[_Value]) -> dict[_Value, int]:
    """Every different value once, with its place."""
    places: dict[_Value, int] = {}
    for value in values:
        places.setdefault(value, len(places))
    return places


def _sent(found: Sequence[End], others: Sequence[End | None]) -> Iterator[_Sent]:
    connections = {id(end): place for place, end in enumerate(found)}
    for end, other in zip(found, others, strict=True):
        receiver = other.process if other else OUTSIDE
        client = end if end.protocol in (CLIENT, TCP_CALLER) else other
        if end.protocol > RAW:
            yield from _messages(end, client, receiver, connections[id(client)] if client else None)
        yield from _raw(end, receiver)


def _messages(end: End, client: End | None, receiver: int, connection: int | None) -> Iterator[_Sent]:
    paths = client.paths if client else {}
    if end.protocol in (TLS, GLOO):
        connection = None
    kind = _UNASKED.get(end.protocol, "request" if end is client else "reply")
    known: dict[str, Stream] = {}
    before: Counter[int] = Counter()
    for message in end.messages:
        path = _method(end, message, paths)
        stream = known.get(path)
        if stream is None:
            stream = known[path] = Stream(sender=end.process, receiver=receiver, kind=kind, method=path)
        call = None if connection is None else (connection, message.stream, before[message.stream])
        before[message.stream] += 1
        yield _Sent(at_ns=message.at_ns, stream=stream, sizes=_positive(message.sizes), call=call)


def _method(end: End, message: Message, paths: Mapping[int, str]) -> str:
    if end.protocol in (TCP_CALLER, TCP_SERVER):
        return TCP_CALLS.get(message.what, "")
    return _FRAMINGS.get(end.protocol) or paths.get(message.stream, "")


def _raw(end: End, receiver: int) -> Iterator[_Sent]:
    """What system calls sent, from where no messages could be followed."""
    stream = Stream(sender=end.process, receiver=receiver, kind="raw")
    for at, sizes in unframed(end):
        yield _Sent(at_ns=at, stream=stream, sizes=_positive(sizes))


def _positive(sizes: tuple[int, ...]) -> tuple[Bytes, ...]:
    return tuple(Bytes(size) for size in sizes if size > 0)


def _marks(logs: Sequence[Log], begin: int) -> dict[int, list[int]]:
    """When each process said that a step is over or begins."""
    found = (
        (process, [each.at_ns - begin for each in log.records if isinstance(each, Mark)])
        for process, log in enumerate(logs)
    )
    return {process: times for process, times in found if times}


def _notes(logs: Sequence[Log], found: Sequence[End]) -> set[str]:
    dropped = sum(log.head.dropped for log in logs)
    flags = {flag for end in found for message in end.messages for flag in (1, 2) if message.flags & flag}
    raw = sum(bool(end.sends) and end.protocol <= RAW for end in found)
    encrypted = sum(end.protocol == TLS for end in found)
    turned = sum(end.protocol > RAW and end.raw_from_ns is not None for end in found)
    paused = sum(end.paused for end in found)
    told = {
        f"{dropped} records found no room in the log: messages are missing": dropped,
        f"{_ends(raw)} spoke no protocol that is known: the messages there are single system calls": raw,
        f"{_ends(encrypted)} sent encrypted bytes: the messages there are the records of TLS, of encrypted size; to "
        "see what is in them, capture the job where it can run without TLS, or import a PyTorch trace": encrypted,
        f"{_ends(turned)} stopped to be readable: from there on, single system calls": turned,
        f"the recording of {_ends(paused)} was paused: messages are missing": paused,
        "some messages were compressed: their sizes are those that travelled": COMPRESSED in flags,
        "some messages had more slices than are kept: the last of these is all the rest": SLICES_CUT in flags,
    }
    damaged = {f"a log of {log.head.program} is damaged: {log.damage}" for log in logs if log.damage}
    return {note for note, applies in told.items() if applies} | damaged


def _ends(count: int) -> str:
    return "1 end of a connection" if count == 1 else f"{count} ends of connections"
