"""The connections that the processes of a job had, each seen from one end, and which end belongs to which."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from tensorwire.instruments.methods import methods
from tensorwire.instruments.tap_log import RAW, UNIX_FAMILY, Detected, Headers, Log, Mark, Message, Open, Record, Send

_Key = tuple[int, tuple[bytes, int], tuple[bytes, int]]


class End(msgspec.Struct, kw_only=True):
    """One end of a connection: what its process sent. `process` is the index of the log."""

    process: int
    opened: Open | None = None
    sends: list[Send] = msgspec.field(default_factory=list)
    messages: list[Message] = msgspec.field(default_factory=list)
    blocks: list[Headers] = msgspec.field(default_factory=list)
    protocol: int = 0
    """The first that was detected."""
    raw_from_ns: int | None = None
    """Since when nothing but its bytes is known."""
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


def pairs(found: Sequence[End], logs: Sequence[Log]) -> list[End | None]:
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
        case Headers():
            end.blocks.append(record)
        case Detected():
            end.protocol = end.protocol or record.protocol
            if record.protocol == RAW:
                end.raw_from_ns = record.at_ns


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
