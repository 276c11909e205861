"""From what was found in a capture to a profile: endpoints by number, messages in the order of their times."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from tensorwire import version
from tensorwire.imports.pcap.found import Connection, Found
from tensorwire.imports.pcap.values import Call, Remark, Sent
from tensorwire.profile import OUTSIDE, Capture, Kind, Message, Profile, Stream
from tensorwire.units import Bytes

_PORT_BYTES = 2
ALWAYS = (
    "a message is one buffer: the slices that a program handed over are not in packets",
    "a message's time is that of the packet that ended it, as the capture saw it",
    "an endpoint is an address and port that is connected to, or an address that connects: processes are not told",
    "no steps: packets do not tell them",
)


def assemble(found: Found, name: str) -> Profile:
    """The profile of a capture; without messages where none was read."""
    messages = sorted(_read(found), key=lambda sent: sent.at_ns)
    streams = _Streams(found)
    payloads: dict[tuple[Bytes, ...], int] = {}
    told: list[Message] = []
    begin = min(found.begin_ns or 0, messages[0].at_ns if messages else found.begin_ns or 0)
    for sent in messages:
        sizes = (Bytes(sent.size),) if sent.size else ()
        payload = payloads.setdefault(sizes, len(payloads))
        told.append((sent.at_ns - begin, streams.number(sent), payload, OUTSIDE))
    return Profile(
        name=name,
        captured=Capture(
            instrument="pcap",
            program="",
            command=(),
            created="" if found.begin_ns is None else _date(begin),
            duration_ns=max(found.end_ns - begin, 0),
            processes=0,
            tensorwire=version(),
            notes=(*ALWAYS, *_remarks(found)),
        ),
        roles=tuple(f"endpoint {number}" for number in range(len(streams.roles))),
        streams=tuple(streams.known),
        payloads=tuple(payloads),
        messages=tuple(told),
        exchanges=_exchanges(messages, found),
    )


class _Streams:
    """The streams of the messages so far, and the endpoints that they need, in the order of appearance."""

    def __init__(self, found: Found) -> None:
        self._connections = found.connections
        self._accepting = {end for each in found.connections if (end := _accepting(each)) is not None}
        self.known: dict[Stream, int] = {}
        self.roles: dict[bytes, int] = {}
        self._numbers: dict[tuple[int, int, str | None], int] = {}
        used = {sent.connection for sent in found.messages}
        for each in found.connections:
            if each.number in used:
                for which in (0, 1):
                    self.roles.setdefault(self._endpoint(each, which), len(self.roles))

    def number(self, sent: Sent) -> int:
        """The place of a message's stream."""
        key = sent.connection, sent.direction, sent.call.method if sent.call else None
        known = self._numbers.get(key)
        if known is None:
            known = self._numbers[key] = self.known.setdefault(self._stream(sent), len(self.known))
        return known

    def _stream(self, sent: Sent) -> Stream:
        connection = self._connections[sent.connection]
        sender, receiver = (
            self.roles[self._endpoint(connection, which)] for which in (sent.direction, 1 - sent.direction)
        )
        if sent.call is None:
            return Stream(sender=sender, receiver=receiver, kind="raw")
        return Stream(sender=sender, receiver=receiver, kind=_kind(connection, sent), method=sent.call.method)

    def _endpoint(self, connection: Connection, which: int) -> bytes:
        """What tells an endpoint from others, for as long as the file is read."""
        own, other = connection.ends[which], connection.ends[1 - which]
        accepts = own in self._accepting
        connects = other in self._accepting and not accepts
        return own[:-_PORT_BYTES] if connects else own


def _accepting(connection: Connection) -> bytes | None:
    """The end that others connect to, by who opened the connection or speaks as the server."""
    connecting = connection.connecting if connection.connecting is not None else connection.client
    return None if connecting is None else connection.ends[1 - connecting]


def _kind(connection: Connection, sent: Sent) -> Kind:
    return "request" if _client(connection) == sent.direction else "reply"


def _client(connection: Connection) -> int | None:
    return connection.client if connection.client is not None else connection.connecting


def _read(found: Found) -> Iterator[Sent]:
    """The messages that are what they seem to be: raw ones of a connection that turned out as HTTP/2 are not."""
    nameless: set[Call] = set()
    for sent in found.messages:
        connection = found.connections[sent.connection]
        if sent.call is None:
            if not connection.http2:
                yield sent
        elif _client(connection) is None:
            found.tally[Remark.ROLELESS] += 1
        else:
            if not sent.call.method:
                nameless.add(sent.call)
            yield sent
    found.tally[Remark.NAMELESS] += len(nameless)


def _exchanges(messages: list[Sent], found: Found) -> tuple[tuple[int, int], ...]:
    """The first reply of a call answers its first request, and so on: none is left out before others."""
    before: Counter[tuple[Call, int]] = Counter()
    requests: dict[tuple[Call, int], int] = {}
    replies: dict[tuple[Call, int], int] = {}
    for place, sent in enumerate(messages):
        if sent.call is None:
            continue
        key = sent.call, sent.direction
        side = requests if _client(found.connections[sent.connection]) == sent.direction else replies
        side[sent.call, before[key]] = place
        before[key] += 1
    return tuple((place, replies[key]) for key, place in requests.items() if key in replies)


def _remarks(found: Found) -> Iterator[str]:
    raw = {sent.connection for sent in found.messages if sent.call is None}
    found.tally[Remark.RAW] = sum(not found.connections[number].http2 for number in raw)
    found.tally[Remark.TLS] = sum(found.connections[number].tls for number in raw)
    for remark in Remark:
        if count := found.tally[remark]:
            yield remark.format(f"{count:,}")


def _date(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).isoformat(timespec="seconds")
