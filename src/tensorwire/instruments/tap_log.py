"""The log of the tap: bytes in, records out. cpp/tap/log_format.h is the other half of this page."""

import struct
from collections.abc import Iterator
from mmap import mmap

import msgspec

from tensorwire.errors import FileFormatError

MAGIC = b"TWTAP002"
HEADER_BYTES = 4096
ENABLED_AT = 56
TIMED_AT = 60

_HEADER = struct.Struct("<8sIIQQQQQII256s1024s2048s")
_RECORD = struct.Struct("<IIQII")
_OPEN = struct.Struct("<IIHH16s16s")
_SEND = struct.Struct("<QII")
_HEADERS = struct.Struct("<IIII")
_MESSAGE = struct.Struct("<IIQII")
_DETECTED = struct.Struct("<IIQ")
_LONG = struct.Struct("<Q")
_COUNTERS = struct.Struct("<QQQQ")
_COUNTERS_AT = 3392
_DROPPED_AT = 48

CONNECT, ACCEPT = 1, 2
END_HEADERS = 4
COMPRESSED, SLICES_CUT = 1, 2
RAW, CLIENT, SERVER, TLS, TCP_CALLER, TCP_SERVER, GLOO, DECRYPTED = range(1, 9)
TCP_CALLS = {1: "echo", 2: "acknowledge", 4: "recorded"}
"""Of messages over tensorwire's own channel, by `Message.what`."""
UNIX_FAMILY = 1


class Record(msgspec.Struct, frozen=True, gc=False):
    """What happened to one connection of a process, at a time of CLOCK_MONOTONIC."""

    at_ns: int
    connection: int
    thread: int


class Open(Record, frozen=True, gc=False):
    """The first use of a connection. The addresses serve to find its two ends, and go nowhere else."""

    how: int
    family: int
    local: tuple[bytes, int]
    peer: tuple[bytes, int]


class Close(Record, frozen=True, gc=False):
    """The last descriptor of a connection was closed."""


class Send(Record, frozen=True, gc=False):
    """One system call: the sizes of its buffers, as far as the kernel took them."""

    sizes: tuple[int, ...]


class Receive(Record, frozen=True, gc=False):
    """One system call that brought bytes."""

    bytes: int


class Headers(Record, frozen=True, gc=False):
    """A part of a header block that was sent; the one with END_HEADERS is its last."""

    stream: int
    flags: int
    fragment: bytes


class Message(Record, frozen=True, gc=False):
    """A message that was sent, and the slices that it consists of; `what` is its kind where the protocol has any."""

    stream: int
    flags: int
    bytes: int
    sizes: tuple[int, ...]
    what: int = 0


class Mark(Record, frozen=True, gc=False):
    """The program said that a step is over, or that the first begins."""

    value: int


class Detected(Record, frozen=True, gc=False):
    """What the bytes turned out to be, or RAW when they could be followed no further; DECRYPTED begins anew, with the
    plain text. Of the bytes sent until RAW, `unread` at their end are in no message."""

    protocol: int
    unread: int = 0


class Gap(Record, frozen=True, gc=False):
    """The recording was paused, and this connection is followed again."""


class Plain(Record, frozen=True, gc=False):
    """One call that gave OpenSSL bytes to send."""

    sizes: tuple[int, ...]


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """What a process counts whether it is watched or not: bytes sent; and where the tap is timed, what it took."""

    dropped: int
    sent: int
    own_ns: int
    own_calls: int
    clock_ps: int
    """What one reading of the clock takes, in picoseconds; there is one in each call that was timed."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The process that wrote a log, and how much of it there is."""

    pid: int
    parent_pid: int
    start_realtime_ns: int
    start_monotonic_ns: int
    used: int
    dropped: int
    program: str
    told: dict[str, str]
    """What its environment tells of its place in the job: variables of launchers, and of TF_CONFIG the TF_TASK."""
    arguments: tuple[str, ...]
    """The start of its command line: the last one may be cut."""


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """All that one process wrote; `damage` says what is wrong with the rest, if anything."""

    head: Head
    records: tuple[Record, ...]
    damage: str = ""


def decode_head(data: bytes) -> Head:
    """The head of a log, from its first 4096 bytes. Raises FileFormatError for anything else."""
    if len(data) < HEADER_BYTES or not data.startswith(MAGIC):
        raise FileFormatError("not a log of the tap, or one that was never begun")
    _, pid, parent, realtime, monotonic, _, used, dropped, _, _, program, told, arguments = _HEADER.unpack_from(data)
    return Head(
        pid=pid,
        parent_pid=parent,
        start_realtime_ns=realtime,
        start_monotonic_ns=monotonic,
        used=max(used, HEADER_BYTES),
        dropped=dropped,
        program=_text(program),
        told=dict(line.split("=", 1) for line in _text(told).split("\n") if "=" in line),
        arguments=tuple(each.decode(errors="replace") for each in arguments.rstrip(b"\0").split(b"\0") if arguments[0]),
    )


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")


def decode_counters(data: bytes | mmap) -> Counters:
    """The counters in a log's first 4096 bytes, as they are now."""
    sent, own_ns, own_calls, clock_ps = _COUNTERS.unpack_from(data, _COUNTERS_AT)
    (dropped,) = _LONG.unpack_from(data, _DROPPED_AT)
    return Counters(dropped=dropped, sent=sent, own_ns=own_ns, own_calls=own_calls, clock_ps=clock_ps)


def decode(data: bytes) -> Log:
    """The records of a log, up to the first that is damaged. Raises FileFormatError when it is no log at all."""
    head = decode_head(data)
    records: list[Record] = []
    try:
        for record in _records(memoryview(data)[: head.used]):
            records.append(record)
        damage = "it is cut short" if len(data) < head.used else ""
    except (struct.error, ValueError) as wrong:
        damage = str(wrong)
    return Log(head=head, records=tuple(records), damage=damage)


def _records(data: memoryview) -> Iterator[Record]:
    """Raises ValueError or struct.error at the first record that is not whole."""
    at = HEADER_BYTES
    while at < len(data):
        kind, length, at_ns, connection, thread = _RECORD.unpack_from(data, at)
        if length < _RECORD.size or length % 8 or at + length > len(data):
            raise ValueError(f"the record at byte {at} has a length of {length}")
        read = _READERS.get(kind)
        if read is None:
            raise ValueError(f"the record at byte {at} has the type {kind}")
        yield read((at_ns, connection, thread), data[at + _RECORD.size : at + length])
        at += length


_When = tuple[int, int, int]


def _open(when: _When, body: memoryview) -> Record:
    how, family, local_port, peer_port, local, peer = _OPEN.unpack_from(body)
    return Open(*when, how, family, (local, local_port), (peer, peer_port))


def _close(when: _When, body: memoryview) -> Record:
    return Close(*when)


def _send(when: _When, body: memoryview) -> Record:
    _, buffers, _ = _SEND.unpack_from(body)
    return Send(*when, _sizes(body, _SEND.size, buffers))


def _receive(when: _When, body: memoryview) -> Record:
    return Receive(*when, *_LONG.unpack_from(body))


def _headers(when: _When, body: memoryview) -> Record:
    stream, flags, size, _ = _HEADERS.unpack_from(body)
    fragment = bytes(body[_HEADERS.size : _HEADERS.size + size])
    if len(fragment) < size:
        raise ValueError("a header block is longer than its record")
    return Headers(*when, stream, flags, fragment)


def _message(when: _When, body: memoryview) -> Record:
    stream, flags, size, slices, what = _MESSAGE.unpack_from(body)
    return Message(*when, stream, flags, size, _sizes(body, _MESSAGE.size, slices), what)


def _mark(when: _When, body: memoryview) -> Record:
    return Mark(*when, *_LONG.unpack_from(body))


def _detected(when: _When, body: memoryview) -> Record:
    protocol, _, unread = _DETECTED.unpack_from(body)
    return Detected(*when, protocol, unread)


def _gap(when: _When, body: memoryview) -> Record:
    return Gap(*when)


def _plain(when: _When, body: memoryview) -> Record:
    _, buffers, _ = _SEND.unpack_from(body)
    return Plain(*when, _sizes(body, _SEND.size, buffers))


def _sizes(body: memoryview, at: int, count: int) -> tuple[int, ...]:
    if at + 8 * count > len(body):
        raise ValueError(f"a record of {len(body)} bytes has {count} sizes")
    return struct.unpack_from(f"<{count}Q", body, at)


_READERS = {
    1: _open,
    2: _close,
    3: _send,
    4: _receive,
    5: _headers,
    6: _message,
    7: _mark,
    8: _detected,
    9: _gap,
    10: _plain,
}
