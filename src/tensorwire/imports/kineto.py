"""PyTorch's traces: the profiler's (Kineto, Chrome trace events) and the execution trace, by `record_param_comms`.

Both give each collective's name, number of elements in and out, element type and process group: the profiler as
`args` of an event ("In msg nelems"), the execution trace as `attrs` of a node ("in_msg_nelems"). Field names are those
of torch/csrc/profiler/util.h and torch/csrc/profiler/standalone/execution_trace_observer.cpp.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tensorwire import version
from tensorwire.errors import FileFormatError
from tensorwire.profile import OUTSIDE, Capture, Message, Profile, Stream
from tensorwire.units import Bytes

_EVENT = "record_param_comms"
_STEP = "ProfilerStep#"
_FIELDS = {  # ours, the profiler's, the execution trace's
    "collective": ("Collective name", "collective_name"),
    "dtype": ("dtype", "dtype"),
    "sent": ("In msg nelems", "in_msg_nelems"),
    "group": ("Process Group Name", "pg_name"),
    "size": ("Group size", "pg_size"),
    "to": ("Dst Rank", ""),  # a global rank; an execution trace has none
}
# c10::ScalarType by its name, and the names that Python has for the same types.
_WIDTHS = {
    1: "byte char bool uint8 int8 qint8 quint8 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz",
    2: "short half bfloat16 int16 uint16 float16",
    4: "int float int32 uint32 float32 qint32 complexhalf",
    8: "long double int64 uint64 float64 complexfloat complex64",
    16: "complexdouble complex128",
}
_WIDTH = {name: width for width, names in _WIDTHS.items() for name in names.split()}
_RECEIVES = ("recv", "irecv")
_ALWAYS = (
    "sizes are what the program handed to each collective; what its algorithm puts on the wire is not in a trace",
    "a message is one buffer: that several tensors were joined or given as a list is not in a trace",
)


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One event, as it stands in the trace."""

    at_ns: int
    fields: dict[str, Any]


def profile(data: bytes, name: str, file: str = "the file") -> Profile:
    """The profile of what one rank's trace holds, plain or gzipped.

    Raises FileFormatError when it is neither kind of trace, or no collective with a size is in it.
    """
    trace = _decode(data, file)
    if isinstance(trace.get("traceEvents"), list):
        events = [event for event in trace["traceEvents"] if isinstance(event, dict)]
        seen, instrument = sorted(_of_events(events), key=lambda each: each.at_ns), "kineto"
        steps = sorted(_steps(events))
    elif isinstance(trace.get("nodes"), list):
        seen, instrument, steps = list(_of_nodes(trace["nodes"])), "pytorch-execution-trace", []
    else:
        raise FileFormatError(f"{file} is not a PyTorch trace: it has neither traceEvents nor nodes")
    begin = min([each.at_ns for each in seen] + [begin for begin, _ in steps], default=0)
    gathering = _Gathering(begin, steps, _rank_of(trace))
    for each in seen:
        gathering.take(each)
    if not gathering.messages:
        raise FileFormatError(f"{file} has no {_EVENT} with an element count and type: record it with collectives on")
    notes = list(_ALWAYS)
    if instrument != "kineto":
        notes.append("an execution trace has no times: messages are in their order, all at 0")
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
        self.messages: list[Message] = []

    def take(self, seen: _Seen) -> None:
        """Adds a collective that carries bytes; counts the others as left out."""
        fields = seen.fields
        collective = str(fields.get("collective") or "")
        width = _WIDTH.get(str(fields.get("dtype", "")).lower())
        count = fields.get("sent")
        if not collective or not isinstance(count, int) or count < 0:
            self._left_out["without a name or an element count"] += 1
        elif collective.lower().startswith(_RECEIVES):
            self._left_out["of receiving, which the sender's trace has"] += 1
        elif count == 0:
            self._left_out["that carry nothing, such as waits and barriers"] += 1
        elif width is None:
            self._left_out[f"of the unknown type {fields.get('dtype')!r}"] += 1
        else:
            self._add(seen, collective, (Bytes(count * width),))

    def notes(self) -> Iterator[str]:
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

    def _add(self, seen: _Seen, collective: str, sizes: tuple[Bytes, ...]) -> None:
        fields = seen.fields
        to = fields.get("to")
        group = f"group {fields.get('group') or '?'} of {fields.get('size') or '?'}"
        peer = f"rank {to}" if isinstance(to, int) and to >= 0 else group
        sender = self._role(self._rank)
        stream = Stream(sender=sender, receiver=self._role(peer), kind="collective", method=collective)
        at_ns = seen.at_ns - self._begin
        place = self._streams.setdefault(stream, len(self._streams))
        payload = self._payloads.setdefault(sizes, len(self._payloads))
        self.messages.append((at_ns, place, payload, self._step(at_ns)))

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


def _of_events(events: list[dict[str, Any]]) -> Iterator[_Seen]:
    for event in events:
        args, at = event.get("args"), event.get("ts")
        if event.get("name") == _EVENT and isinstance(args, dict) and isinstance(at, int | float):
            yield _Seen(at_ns=round(at * 1000), fields=_named(args, 0))


def _of_nodes(nodes: list[Any]) -> Iterator[_Seen]:
    for node in nodes:
        if isinstance(node, dict) and node.get("name") == _EVENT and isinstance(node.get("attrs"), list):
            attributes = {each.get("name"): each.get("value") for each in node["attrs"] if isinstance(each, dict)}
            yield _Seen(at_ns=0, fields=_named(attributes, 1))


def _named(found: Mapping[Any, Any], kind: int) -> dict[str, Any]:
    return {ours: found.get(names[kind]) for ours, names in _FIELDS.items()}


def _steps(events: list[dict[str, Any]]) -> Iterator[tuple[int, int]]:
    """The profiler's own steps, once each: a device's copy of the mark has another category."""
    for event in events:
        at, long = event.get("ts"), event.get("dur")
        marked = str(event.get("name", "")).startswith(_STEP) and event.get("cat") == "user_annotation"
        if marked and isinstance(at, int | float) and isinstance(long, int | float):
            yield round(at * 1000), round((at + long) * 1000)
