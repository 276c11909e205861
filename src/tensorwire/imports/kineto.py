"""PyTorch's traces: the profiler's (Kineto, Chrome trace events) and the execution trace, by their collectives."""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tensorwire import version
from tensorwire.errors import FileFormatError
from tensorwire.imports import collectives
from tensorwire.imports.collectives import GLOO, OPERATOR, PARAM_COMMS, Group, Seen
from tensorwire.profile import OUTSIDE, Capture, Message, Profile, Stream
from tensorwire.units import Bytes

_STEP = "ProfilerStep#"
_ANNOTATION = "user_annotation"  # a device's copy has another category
_FAR = 2**63 // 1000
_GROUPS = "## process_group:init ##"
_HANDED = "sizes are what the program handed to each collective; what its algorithm puts on the wire is not in a trace"
_JOINED = "a message is one buffer: that several tensors were joined or given as a list is not in a trace"
_TIMELESS = "an execution trace has no times: messages are in their order, all at 0"
_LACKING = "record it with collectives on, and those of gloo with record_shapes=True"

_At = tuple[int, Seen]


def profile(data: bytes, name: str, file: str = "the file") -> Profile:
    """The profile of what one rank's trace holds, plain or gzipped.

    Raises FileFormatError when it is neither kind of trace, or no collective with a size is in it.
    """
    trace = _decode(data, file)
    notes = [_HANDED]
    if isinstance(trace.get("traceEvents"), list):
        events = [event for event in trace["traceEvents"] if isinstance(event, dict)]
        shaped = bool(trace.get("record_shapes"))
        seen, instrument = sorted(_of_events(events, _group_of(trace), shaped), key=lambda each: each[0]), "kineto"
        steps = sorted(_steps(events))
    elif isinstance(trace.get("nodes"), list):
        nodes = [node for node in trace["nodes"] if isinstance(node, dict)]
        seen, instrument, steps = list(_of_nodes(nodes)), "pytorch-execution-trace", []
        notes.append(_TIMELESS)
    else:
        raise FileFormatError(f"{file} is not a PyTorch trace: it has neither traceEvents nor nodes")
    begin = min([at for at, _ in seen] + [begin for begin, _ in steps], default=0)
    gathering = _Gathering(begin, steps, _rank_of(trace))
    for at, each in seen:
        gathering.take(at, each)
    if not gathering.messages:
        raise FileFormatError(f"{file} has no collective with a size: {_LACKING}")
    return gathering.profile(name, instrument, file, (*notes, *gathering.notes()))


class _Gathering:
    """The profile so far, of one rank."""

    def __init__(self, begin_ns: int, steps: list[tuple[int, int]], rank: str) -> None:
        """`rank` is the name of the one whose trace it is."""
        self._begin = begin_ns
        self._rank = rank
        self._steps = [(begin - begin_ns, end - begin_ns) for begin, end in steps]
        self._roles: dict[str, int] = {}
        self._streams: dict[Stream, int] = {}
        self._payloads: dict[tuple[Bytes, ...], int] = {}
        self._left_out: Counter[str] = Counter()
        self._joined = False
        self.messages: list[Message] = []

    def take(self, at_ns: int, seen: Seen) -> None:
        """Adds a collective that carries bytes; counts the others as left out."""
        if seen.left_out:
            self._left_out[seen.left_out] += 1
            return
        sender = self._role(self._rank)
        stream = Stream(sender=sender, receiver=self._role(seen.peer), kind="collective", method=seen.collective)
        since = at_ns - self._begin
        place = self._streams.setdefault(stream, len(self._streams))
        payload = self._payloads.setdefault(seen.sizes, len(self._payloads))
        self.messages.append((since, place, payload, self._step(since)))
        self._joined |= seen.joined

    def notes(self) -> Iterator[str]:
        if self._joined:
            yield _JOINED
        for reason, count in self._left_out.items():
            yield f"events {reason}: {count}, left out"

    def profile(self, name: str, instrument: str, file: str, notes: tuple[str, ...]) -> Profile:
        ends = [self.messages[-1][0], *(end for _, end in self._steps)]
        return Profile(
            name=name,
            captured=Capture(
                instrument=instrument,
                program="",
                command=(),
                created="",
                duration_ns=max(ends),
                processes=1,
                tensorwire=version(),
                notes=notes,
            ),
            roles=tuple(self._roles),
            streams=tuple(self._streams),
            payloads=tuple(self._payloads),
            messages=tuple(self.messages),
            steps=tuple(self._steps),
        )

    def _role(self, name: str) -> int:
        return self._roles.setdefault(name, len(self._roles))

    def _step(self, at_ns: int) -> int:
        inside = (number for number, (begin, end) in enumerate(self._steps) if begin <= at_ns < end)
        return next(inside, OUTSIDE)


def _decode(data: bytes, file: str) -> dict[str, Any]:
    try:
        text = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, OSError, EOFError, zlib.error) as wrong:
        raise FileFormatError(f"{file} is not a trace, or is damaged: {wrong}") from wrong


def _rank_of(trace: Mapping[str, Any]) -> str:
    """By the profiler's `distributedInfo`; the global rank, where an event's is that in its group."""
    known = trace.get("distributedInfo")
    rank = known.get("rank") if isinstance(known, dict) else None
    return f"rank {rank}" if isinstance(rank, int) else "rank"


def _group_of(trace: Mapping[str, Any]) -> Group:
    """The process group of a collective that names none: known where the profiler saw no more than one."""
    known = trace.get("distributedInfo")
    groups = known.get("pg_config") if isinstance(known, dict) else None
    return _only(groups, "pg_size")


def _group_among(nodes: list[dict[str, Any]]) -> Group:
    """The same, for an execution trace."""
    for node in nodes:
        if node.get("name") == _GROUPS:
            try:
                (text,) = node["inputs"]["values"]
                return _only(msgspec.json.decode(text), "group_size")
            except (KeyError, TypeError, ValueError, msgspec.DecodeError):  # of another form: then it is not known
                break
    return Group()


def _only(groups: object, size: str) -> Group:
    if isinstance(groups, list) and len(groups) == 1 and isinstance(groups[0], dict):
        return Group(groups[0].get("pg_name"), groups[0].get(size))
    return Group()


def _of_events(events: list[dict[str, Any]], group: Group, shaped: bool) -> Iterator[_At]:
    """`shaped`: shapes were recorded, so that an event without any has no tensor."""
    none: list[Any] | None = [] if shaped else None
    for event in events:
        name, args, at_ns = str(event.get("name", "")), event.get("args"), _ns(event.get("ts"))
        if not isinstance(args, dict) or at_ns is None:
            continue
        if name == PARAM_COMMS:
            yield at_ns, collectives.of_event(args)
        elif name.startswith(GLOO) and event.get("cat") == _ANNOTATION:
            yield at_ns, collectives.of_gloo(name, args.get("Input Dims", none), args.get("Input type", none), group)


def _of_nodes(nodes: list[dict[str, Any]]) -> Iterator[_At]:
    """In the order in which they began, which is that of their numbers; they are listed as they ended."""
    group, told = _group_among(nodes), _with_param_comms(nodes)
    for node in sorted(nodes, key=_number):
        name, inputs, attributes = str(node.get("name", "")), node.get("inputs"), node.get("attrs")
        if name == PARAM_COMMS and isinstance(attributes, list):
            named = {each.get("name"): each.get("value") for each in attributes if isinstance(each, dict)}
            yield 0, collectives.of_node(named)
        elif name.startswith(OPERATOR) and isinstance(inputs, dict) and _number(node) not in told:
            yield 0, collectives.of_operator(name, inputs, group)


def _with_param_comms(nodes: list[dict[str, Any]]) -> set[int]:
    """The numbers of all nodes that a record_param_comms, which says more, lies within."""
    parents = {_number(node): node.get("ctrl_deps") for node in nodes}
    found: set[int] = set()
    for node in nodes:
        above = node.get("ctrl_deps") if node.get("name") == PARAM_COMMS else None
        while isinstance(above, int) and above not in found:
            found.add(above)
            above = parents.get(above)
    return found


def _number(node: Mapping[str, Any]) -> int:
    number = node.get("id")
    return number if isinstance(number, int) else 0


def _steps(events: list[dict[str, Any]]) -> Iterator[tuple[int, int]]:
    """The profiler's own steps."""
    for event in events:
        begin, long = _ns(event.get("ts")), _ns(event.get("dur"))
        marked = str(event.get("name", "")).startswith(_STEP) and event.get("cat") == _ANNOTATION
        if marked and begin is not None and long is not None and long >= 0:
            yield begin, begin + long


def _ns(microseconds: object) -> int | None:
    """A time of the profiler; None for what is none, or is centuries away."""
    if not isinstance(microseconds, int | float) or abs(microseconds) > _FAR:
        return None
    return round(microseconds * 1000)
