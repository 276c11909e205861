"""Everything that a run is asked for; a Spec that exists makes sense by itself."""

import math
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import msgspec

from tensorwire.errors import SpecError
from tensorwire.payload import MAX_BUFFER, Custom, Payload, Random, Skew, Uniform
from tensorwire.recorded import Replay, Sizes, Steps
from tensorwire.units import Bytes, Nanoseconds, format_size, parse_size, read

Fill = Literal["random", "zeros", "float32"]
Mode = Literal["non-serialized", "serialized"]
Pin = Literal["distinct", "same", "none"]

_SECOND = 1_000_000_000
_MOST_IN_FLIGHT = 4096
_SLOWEST, _FASTEST = 0.1, 10.0
_OF_STEPS = "ps-throughput"
# What msgspec calls the kinds of values, and people do.
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "array": "a list",
    "object": "a table",
}

S = TypeVar("S", bound=msgspec.Struct)


def _check(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise SpecError(field, value, f"from {least} to {most}")


def _check_duration(field: str, value: int, least: int) -> None:
    if not least <= value <= 24 * 3600 * _SECOND:
        raise SpecError(field, f"{value / _SECOND:g} s", f"from {least / _SECOND:g} s to 24 h")


def _check_rate(rate: float) -> None:
    if not (math.isfinite(rate) and 0 < rate <= 1e7):
        raise SpecError("rate", rate, "calls per second, above 0 and up to 1e7")


def _check_outstanding(outstanding: int | None) -> None:
    if outstanding is not None:
        _check("outstanding", outstanding, 1, _MOST_IN_FLIGHT)


class Closed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="closed"):
    """Each slot calls again when its reply is in; `outstanding` slots to each peer (None: the benchmark's default)."""

    outstanding: int | None = None

    def __post_init__(self) -> None:
        _check_outstanding(self.outstanding)


class Constant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="constant"):
    """Calls are due at even gaps, `rate` a second from each calling rank; latency counts from when a call was due."""

    rate: float
    outstanding: int | None = 64

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        _check_outstanding(self.outstanding)


class Poisson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="poisson"):
    """Calls are due at exponential gaps, `rate` a second on average from each calling rank."""

    rate: float
    outstanding: int | None = 64

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        _check_outstanding(self.outstanding)


class Recorded(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="recorded"):
    """Calls are due when the profile's messages were sent, at `pace` times the speed: 2 is twice as fast."""

    pace: float = 1.0
    outstanding: int | None = None
    """None: 64 for messages in their order, 16 for steps."""

    def __post_init__(self) -> None:
        if not _SLOWEST <= self.pace <= _FASTEST:
            raise SpecError("pace", self.pace, f"from {_SLOWEST:g} to {_FASTEST:g}; 2 is twice as fast as recorded")
        _check_outstanding(self.outstanding)


Load = Closed | Constant | Poisson | Recorded
Scheme = Uniform | Random | Skew | Custom | Replay | Steps


class Placement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What moves a number on one machine.

    `pin` distinct: rank i on core i modulo the cores allowed; same: all on the first; none: left to the kernel.
    `malloc` tuned: glibc keeps freed memory (trim and mmap thresholds raised); default: as glibc does.
    `congestion`: TCP congestion control of every socket; None: the kernel's.
    """

    pin: Pin = "distinct"
    wait: Literal["block", "spin"] = "block"
    malloc: Literal["tuned", "default"] = "tuned"
    congestion: str | None = None


class Repeat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many times, each with fresh processes; `precision` stops once the interval of the median is so tight."""

    count: int = 1
    precision: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 10_000:
            raise SpecError("repeat", self.count, "from 1 to 10000")
        if self.precision is not None and not 0 < self.precision < 1:
            raise SpecError("precision", self.precision, "between 0 and 1, such as 1% or 0.01")


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run. The defaults are those of TF-gRPC-Bench (arXiv 1804.01138, Table 2)."""

    benchmark: str = "p2p-latency"
    pattern: dict[str, Any] = {}
    """The benchmark's own options, such as the number of workers."""
    channel: str = "grpc"
    options: dict[str, Any] = {}
    """The channel's own options."""
    launcher: str = "local"
    hosts: dict[str, Any] = {}
    """The launcher's own options, such as the number of hosts and the fabric between them."""
    prove_path: bool = True
    """Where payload crosses hosts, hold it against the bytes that their interfaces counted."""
    payload: Scheme = Uniform()
    sizes: tuple[Bytes, ...] = ()
    """A sweep in place of `payload`: one row for each size, sent as one buffer."""
    fill: Fill = "random"
    seed: int = 1
    """Of what the buffers hold and of the arrivals; a random scheme has a seed of its own."""
    mode: Mode = "non-serialized"
    load: Load = Closed()
    threads: int = 1
    """Calling threads of each rank, each with its own slots."""
    host: str = "localhost"
    """Where ranks serve: a name or address of this machine, or unix for Unix-domain sockets."""
    port: int = 50001
    """Of the first serving rank; the next ones count up. 0: any free ones."""
    warmup_ns: Nanoseconds = Nanoseconds(2 * _SECOND)
    duration_ns: Nanoseconds = Nanoseconds(10 * _SECOND)
    calls: int = 0
    """Stop after so many calls of each thread, if that is earlier; 0: no limit."""
    timeout_ns: Nanoseconds = Nanoseconds(30 * _SECOND)
    """The longest wait for any reply."""
    join_timeout_ns: Nanoseconds = Nanoseconds(30 * _SECOND)
    """The longest wait for all ranks to come up."""
    placement: Placement = Placement()
    repeat: Repeat = Repeat()

    def __post_init__(self) -> None:
        _check("threads", self.threads, 1, 256)
        _check("port", self.port, 0, 65535)
        _check("calls", self.calls, 0, 2**62)
        _check("seed", self.seed, 0, 2**63 - 1)
        _check_duration("warmup", self.warmup_ns, 0)
        _check_duration("duration", self.duration_ns, 1_000_000)
        _check_duration("timeout", self.timeout_ns, 1_000_000)
        _check_duration("join-timeout", self.join_timeout_ns, 1_000_000)
        for size in self.sizes:
            if not 1 <= size <= MAX_BUFFER:
                raise SpecError("sizes", size, f"sizes of 1 B to {format_size(MAX_BUFFER)}")
        if self.sizes and self.payload != Uniform():
            allowed = "given without a scheme, count or buffers: each size is a payload of one buffer"
            raise SpecError("sizes", list(self.sizes), allowed)
        if isinstance(self.load, Recorded):
            self._check_times()
        if isinstance(self.payload, Steps):
            self._check_steps()

    def points(self) -> tuple[tuple[Payload, ...], ...]:
        """The rows of the result: for each, the payloads that are sent in turn."""
        if self.sizes:
            return tuple(Custom(buffers=(size,)).payloads() for size in self.sizes)
        return (self.payload.payloads(),)

    def replied(self) -> tuple[tuple[Sizes | None, ...], ...]:
        """For each row, and each of its payloads, the recorded reply, or None; nothing for a row without any."""
        if isinstance(self.payload, Replay | Steps):
            return (self.payload.replied(),)
        return ((),) * len(self.points())

    def pattern_words(self) -> dict[str, Any]:
        """The benchmark's options: what is not given and was recorded is as recorded."""
        if not isinstance(self.payload, Steps):
            return self.pattern
        return {"ps": self.payload.ps, "workers": self.payload.workers, **self.pattern}

    def describe_payload(self) -> str:
        """What is sent, in one line."""
        if self.sizes:
            return f"sweep: one buffer of {', '.join(format_size(size) for size in self.sizes)}"
        return self.payload.describe()

    def _check_times(self) -> None:
        """Raises SpecError where there are no times by which calls could be due."""
        payload = self.payload
        if not isinstance(payload, Steps) and not (isinstance(payload, Replay) and payload.order == "exact"):
            sentence = "recorded arrivals need the times of a profile; use --payload FILE with --order exact or step"
            raise SpecError("arrivals", "recorded", "closed, constant or poisson", sentence)
        if isinstance(payload, Replay) and not payload.times:
            sentence = f"profile {payload.name} does not tell when its messages were sent; use --arrivals closed"
            raise SpecError("arrivals", "recorded", "closed, constant or poisson", sentence)
        if self.threads != 1:
            raise SpecError("threads", self.threads, "1 with recorded arrivals: each thread would send all messages")

    def _check_steps(self) -> None:
        """Raises SpecError for what steps cannot be combined with."""
        if self.benchmark != _OF_STEPS:
            raise SpecError("benchmark", self.benchmark, f"{_OF_STEPS} where the steps of a job are replayed")
        if not isinstance(self.load, Closed | Recorded):
            raise SpecError("arrivals", "open", "closed or recorded where the steps of a job are replayed")
        if self.threads != 1:
            raise SpecError("threads", self.threads, "1 where steps are replayed: a thread is a worker")
        if "reply" in self.pattern:
            raise SpecError(
                "reply", self.pattern["reply"], "left out where steps are replayed: replies are as recorded"
            )


def parse(words: Mapping[str, object]) -> Spec:
    """The Spec that the words of a command line or a file mean; sizes and durations may carry units.

    Raises SpecError for a field that does not exist, a value of the wrong type, or one out of range.
    """
    ready = read(Spec, words)
    for name, kind in (("placement", Placement), ("repeat", Repeat)):
        if isinstance(table := ready.get(name), Mapping):
            ready[name] = read(kind, table)
    if isinstance(table := ready.get("payload"), Mapping):
        ready["payload"] = _tagged(Scheme, "scheme", "uniform", table)
    if isinstance(table := ready.get("load"), Mapping):
        ready["load"] = _tagged(Load, "load", "closed", table)
    return convert(ready, Spec)


def sweep(begin: str, end: str, factor: int) -> list[Bytes]:
    """The sizes from `begin` to `end`, each `factor` times the last. Raises SpecError."""
    least, most = parse_size(begin, "begin"), parse_size(end, "end")
    if not 1 <= least <= most:
        raise SpecError("sweep", f"{begin} to {end}", "from at least 1 B up to something larger")
    _check("factor", factor, 2, 1024)
    sizes = [least]
    while sizes[-1] * factor <= most:
        sizes.append(Bytes(sizes[-1] * factor))
    return sizes


def parse_toml(text: str) -> dict[str, Any]:
    """The words of a spec file. Raises SpecError when it is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise SpecError("spec", str(wrong), "TOML", f"the spec file is not TOML: {wrong}") from wrong


def options(kind: type[S], owner: str, words: Mapping[str, object]) -> S:
    """The options of a plug-in, checked: SpecError names what `owner` does not know and what it does."""
    try:
        return convert(read(kind, words, noun="option"), kind)
    except SpecError as wrong:
        raise SpecError(wrong.field, wrong.value, wrong.allowed, f"{owner}: {wrong}") from wrong


def convert(words: Mapping[str, object], kind: type[S]) -> S:
    """`words` as a value of `kind`; SpecError when a value has the wrong type."""
    try:
        return msgspec.convert(words, kind, strict=False)
    except msgspec.ValidationError as wrong:
        raise _misfit(str(wrong), words) from wrong


def _misfit(said: str, words: Mapping[str, object]) -> SpecError:
    """What msgspec said of `words`, in ours: the field, its value and what is allowed."""
    sentence, _, path = said.partition(" - at ")
    field = path.strip("`").removeprefix("$").removeprefix(".") or "the request"
    if missing := re.fullmatch("Object missing required field `(.+)`", sentence):
        return SpecError(field, None, f"given {missing[1]}", f"{field} needs {missing[1]}, which is not given")
    if expected := re.match("Expected `(.+?)`, got", sentence):
        kinds = [_KINDS.get(kind, kind) for kind in expected[1].split(" | ") if kind != "null"]
        value: Any = words
        for name, index in re.findall(r"([\w-]+)|\[(\d+)\]", path):
            value = value[name or int(index)]
        return SpecError(field.removesuffix("_ns"), value, " or ".join(kinds))
    return SpecError(field, None, sentence, f"{field}: {sentence[0].lower()}{sentence[1:]}")


def _tagged(union: Any, noun: str, default: str, table: Mapping[str, object]) -> dict[str, object]:
    """A table of a tagged union, read by the member that its tag names."""
    members = {str(member.__struct_config__.tag): member for member in union.__args__}
    tag_field = members[default].__struct_config__.tag_field
    name = str(table.get(tag_field, default))
    if name not in members:
        raise SpecError.unknown(noun, name, members)
    for word, value in table.items():
        owners = [other for other, member in members.items() if word in member.__struct_fields__]
        if owners and name not in owners:
            raise SpecError(word, value, f"left out with {noun} {name}: it goes with {' or '.join(owners)}")
    return {**read(members[name], table, noun=f"{name} field"), tag_field: name}
