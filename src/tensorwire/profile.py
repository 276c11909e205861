"""A profile: the messages that a real job sent, as sizes, order, times and roles; never bytes, addresses or hosts."""

from collections import Counter
from itertools import chain, pairwise
from typing import Literal

import msgspec

from tensorwire import formats
from tensorwire.errors import SpecError
from tensorwire.units import Bytes

FORMAT = "tensorwire.profile"
VERSION = 1

OUTSIDE = -1
"""The step of a message outside any step, and the receiver of a stream whose other end was not seen."""

MEDIUM_FROM, LARGE_FROM = 1 << 10, 1 << 20
"""TensorFlow's boundaries: a buffer of exactly 1 MiB is large."""

Kind = Literal["request", "reply", "raw", "collective"]
Sizes = tuple[Bytes, ...]
Message = tuple[int, int, int, int]
"""When it was sent, in ns since the capture began; its stream; its payload; its step, or OUTSIDE."""


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """How a profile came to be. `program` is the bare name of what ran, `command` what the user typed."""

    instrument: str
    program: str
    command: tuple[str, ...]
    created: str
    """When the capture began, ISO 8601 in UTC; empty when a trace did not tell."""
    duration_ns: int
    processes: int
    tensorwire: str
    notes: tuple[str, ...] = ()
    """What was left out, and what the instrument could not see."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of one kind from one role to another, both by index; `method` is an RPC's path, a collective, or ""."""

    sender: int
    receiver: int = OUTSIDE
    kind: Kind
    method: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One job's messages in the order in which they were sent. Raises ValueError when its parts contradict each other.

    `payloads` holds every different vector of buffer sizes once; a message without content has an empty one.
    """

    format: str = FORMAT
    version: int = VERSION
    name: str
    captured: Capture
    roles: tuple[str, ...]
    streams: tuple[Stream, ...]
    payloads: tuple[Sizes, ...]
    messages: tuple[Message, ...]
    steps: tuple[tuple[int, int], ...] = ()
    """When each began and ended, in ns since the capture began."""

    def __post_init__(self) -> None:
        _check("role", [stream.sender for stream in self.streams], len(self.roles))
        _check("role", [stream.receiver for stream in self.streams], len(self.roles), OUTSIDE)
        _check("stream", [message[1] for message in self.messages], len(self.streams))
        _check("payload", [message[2] for message in self.messages], len(self.payloads))
        _check("step", [message[3] for message in self.messages], len(self.steps), OUTSIDE)
        if min(chain.from_iterable(self.payloads), default=0) < 0:
            raise ValueError("a buffer has fewer than 0 bytes")
        if any(before[0] > after[0] for before, after in pairwise(self.messages)):
            raise ValueError("the messages are not in the order of their times")
        if any(begin > end for begin, end in self.steps):
            raise ValueError("a step ends before it begins")

    @property
    def steady(self) -> tuple[Message, ...]:
        """What the job sends while it trains: the messages of its steps, or all where no step was seen."""
        inside = tuple(message for message in self.messages if message[3] != OUTSIDE)
        return inside or self.messages

    def message_sizes(self) -> Counter[int]:
        """The bytes of each steady message, and how often they came."""
        totals = [sum(sizes) for sizes in self.payloads]
        return Counter(totals[message[2]] for message in self.steady)

    def buffer_sizes(self) -> Counter[int]:
        """The bytes of each buffer of the steady messages, and how often they came."""
        found: Counter[int] = Counter()
        for payload, times in Counter(message[2] for message in self.steady).items():
            for size in self.payloads[payload]:
                found[size] += times
        return found


def only(profile: Profile, what: str) -> Profile:
    """The profile with no messages but those of one kind, or of one method by its path or its last word.

    Raises SpecError when there is no such stream.
    """
    names = [{stream.kind, stream.method, _last_word(stream.method)} - {""} for stream in profile.streams]
    if not any(what in each for each in names):
        raise SpecError.unknown("kind or method", what, {word for each in names for word in each if "/" not in word})
    messages = tuple(message for message in profile.messages if what in names[message[1]])
    return msgspec.structs.replace(profile, name=f"{profile.name}/{_last_word(what)}", messages=messages)


def encode(profile: Profile) -> bytes:
    """The profile as the bytes of a file: JSON with a line for each stream, payload, message and step."""
    fields = [b' "%s": %s' % (name.encode(), _lines(getattr(profile, name))) for name in profile.__struct_fields__]
    return b"{\n" + b",\n".join(fields) + b"\n}\n"


def decode(data: bytes, name: str = "the file") -> Profile:
    """The profile that a file's bytes hold. Raises FileFormatError for anything else, `name` naming the culprit."""
    return formats.decode(data, Profile, name)


def schema() -> dict[str, object]:
    """The JSON Schema of the file."""
    return formats.schema(Profile)


def _last_word(path: str) -> str:
    return path.rpartition("/")[2]


def _check(what: str, numbers: list[int], count: int, least: int = 0) -> None:
    if wrong := [number for number in numbers if not least <= number < count]:
        raise ValueError(f"there is no {what} {wrong[0]}: the profile has {count}")


def _lines(value: object) -> bytes:
    if isinstance(value, tuple) and value and not isinstance(value[0], str):
        return b"[\n  " + b",\n  ".join(map(msgspec.json.encode, value)) + b"\n ]"
    return msgspec.json.encode(value)
