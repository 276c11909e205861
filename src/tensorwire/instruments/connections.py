"""The connections that the processes of a job had, each seen from one end, and which end belongs to which."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from tensorwire.instruments.methods import methods
from tensorwire.instruments.tap_log import (
    DECRYPTED,
    RAW,
    UNIX_FAMILY,
    Detected,
    Gap,
    Headers,
    Log,
    Mark,
    Message,
    Open,
    Plain,
    Record,
    Send,
)

_Key = tuple[int, tuple[bytes, int], tuple[bytes, int]]


class End(msgspec.Struct, kw_only=True):
    """One end of a connection: what its process sent. `process` is the index of the log."""

    process: int
    opened: Open | None = None
    sends: list[Send] = msgspec.field(default_factory=list)
    """Its system calls."""
    plain: list[Plain] | None = None
    """What OpenSSL was given to send, where that is what is followed."""
    messages: list[Message] = msgspec.field(default_factory=list)
    blocks: list[Headers] = msgspec.field(default_factory=list)
    protocol: int = 0
    """The first that was detected, of the plain text where that is known."""
    raw_from_ns: int | None = None
    """Since when nothing but its bytes is known."""
    raw_from: int = 0
    """How many writes there were until then."""
    unread: int = 0
    """How many of their bytes are in no message."""
    paused: bool = False
    """Whether it was not followed for a while."""
    paths: dict[int, str] = msgspec.field(default_factory=dict)


def ends(logs: Sequence[Log]) -> list[End]:
    """Every connection of every process, in the order in which they were opened."""
    found: list[End] = []
    for process, log in enumerate(logs):
        of_process: dict[int, End] = {}
        for record in log.records:
            if not isinstance(record, Mark):
                _add(of_process.setdefault(record.connection, End(process=process)), record)
        found += of_process.values()
    return found


def name_methods(found: Sequence[End]) -> set[str]:
    """Fills in the paths of clients; returns what is to be said of those that could not be read."""
    notes = set()
    for end in found:
        if end.blocks and end.protocol != RAW:
            end.paths, note = methods(end.blocks)
            notes.add(note)
    return notes - {""}


def unframed(end: End) -> list[tuple[int, tuple[int, ...]]]:
    """When what was sent that is in no message, and in buffers of which sizes: all of it where there are none."""
    writes = [(each.at_ns, each.sizes) for each in _writes(end)]
    if end.protocol <= RAW:
        return writes
    if end.raw_from_ns is None:
        return []
    return _last(writes[: end.raw_from], end.unread) + writes[end.raw_from :]


def _writes(end: End) -> Sequence[Send | Plain]:
    return end.sends if end.plain is None else end.plain


def _last(writes: Sequence[tuple[int, tuple[int, ...]]], left: int) -> list[tuple[int, tuple[int, ...]]]:
    """The last bytes of what was sent, in the order in which they were sent."""
    found: list[tuple[int, tuple[int, ...]]] = []
    for at, sizes in reversed(writes):
        if left <= 0:
            break
        taken: list[int] = []
        for size in reversed(sizes):
            taken.append(min(size, left))
            left -= taken[-1]
        found.append((at, tuple(reversed(taken))))
    return found[::-1]


def pairs(found: Sequence[End]) -> list[End | None]:
    """For each end the other one, as far as its process was watched."""
    by_addresses: dict[_Key, list[End]] = defaultdict(list)
    for end in found:
        if end.opened:
            by_addresses[_key(end.opened)].append(end)
    return [_other(end, by_addresses) for end in found]


def _add(end: End, record: Record) -> None:
    match record:
        case Open():
            end.opened = record
        case Send():
            end.sends.append(record)
        case Message():
            end.messages.append(record)
        case Headers() if not end.paused:  # their compression needs all that came before
            end.blocks.append(record)
        case Plain() if end.plain is not None:
            end.plain.append(record)
        case Detected(protocol=protocol) if protocol == DECRYPTED:
            end.protocol, end.raw_from_ns, end.messages, end.plain = 0, None, [], []
        case Detected():
            end.protocol = end.protocol or record.protocol
            if record.protocol == RAW:
                end.raw_from_ns, end.raw_from, end.unread = record.at_ns, len(_writes(end)), record.unread
        case Gap():
            end.paused = True


def _key(opened: Open) -> _Key:
    return (opened.family == UNIX_FAMILY, opened.local, opened.peer)


def _other(end: End, by_addresses: dict[_Key, list[End]]) -> End | None:
    """Addresses are used again: the end that was opened nearest in time is the other one."""
    if end.opened is None:
        return None
    unix, local, peer = _key(end.opened)
    at = end.opened.at_ns
    others = [other for other in by_addresses.get((unix, peer, local), []) if other is not end and other.opened]
    return min(others, key=lambda other: abs(other.opened.at_ns - at) if other.opened else 0, default=None)
