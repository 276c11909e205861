"""A profile: the messages that a real job sent, as sizes, order, times and roles; never bytes, addresses or hosts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from typing import Any, Literal

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

_LIMIT = 2**63

Kind = Literal["request", "reply", "message", "raw", "collective"]
"""A message belongs to a framing without requests and replies, such as gloo's; raw is a single system call."""

Sizes = tuple[Bytes, ...]
Message = tuple[int, int, int, int]
"""When it was sent, in ns since the capture began; its stream; its payload; its step, or OUTSIDE."""

Counts = tuple[tuple[int, int], ...]
"""Values in rising order, each with how often it came."""


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """How a profile came to be. `program` is the bare name of what ran, `command` what the user typed."""

    instrument: str
    program: str
    command: tuple[str, ...]
    created: str
    """When the capture began, ISO 8601 in UTC; empty when a trace did not tell."""
    duration_ns: int
    processes: int
    """0 where that is not known."""
    tensorwire: str
    notes: tuple[str, ...] = ()
    """What was left out, and what the instrument could not see."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of one kind from one role to another, both by index; `method` is an RPC's path, a collective, or ""."""

    sender: int
    receiver: int = OUTSIDE
    kind: Kind
    method: str = ""


class SystemCalls(msgspec.Struct, frozen=True, kw_only=True):
    """How the steady bytes from one role to another, both by index, were handed to the kernel: that is the transport's
    doing, and another transport does it otherwise. `iovecs` are sizes, `per_call` numbers of iovecs in a call."""

    sender: int
    receiver: int = OUTSIDE
    calls: int
    bytes: int
    iovecs: Counts
    per_call: Counts


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
    warmup: int = 0
    """So many first steps are not what the job does from then on."""
    exchanges: tuple[tuple[int, int], ...] = ()
    """The places of a request and of the reply that answered it in `messages`, in the order of the requests."""
    system_calls: tuple[SystemCalls, ...] = ()

    def __post_init__(self) -> None:
        for group in (self.streams, self.system_calls):
            _check("role", [each.sender for each in group], len(self.roles))
            _check("role", [each.receiver for each in group], len(self.roles), OUTSIDE)
        _check("stream", [message[1] for message in self.messages], len(self.streams))
        _check("payload", [message[2] for message in self.messages], len(self.payloads))
        _check("step", [message[3] for message in self.messages], len(self.steps), OUTSIDE)
        _check_range("a buffer", "bytes", chain.from_iterable(self.payloads), 0)
        times = (message[0] for message in self.messages)
        _check_range("a time", "ns", chain(times, *self.steps, [self.captured.duration_ns]), 1 - _LIMIT)
        if any(before[0] > after[0] for before, after in pairwise(self.messages)):
            raise ValueError("the messages are not in the order of their times")
        if any(begin > end for begin, end in self.steps):
            raise ValueError("a step ends before it begins")
        if not 0 <= self.warmup <= max(len(self.steps) - 1, 0):
            raise ValueError(f"{self.warmup} of {len(self.steps)} steps are warm-up: none is left")
        self._check_exchanges()

    @property
    def steady(self) -> tuple[Message, ...]:
        """What the job sends while it trains: the messages of its steps after the warm-up, or all without steps."""
        return tuple(message for message in self.messages if message[3] >= self.warmup) if self.steps else self.messages

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

    def _check_exchanges(self) -> None:
        for kind, places in (("request", [a for a, _ in self.exchanges]), ("reply", [b for _, b in self.exchanges])):
            _check("message", places, len(self.messages))
            if wrong := [at for at in places if self.streams[self.messages[at][1]].kind != kind]:
                raise ValueError(f"an exchange has message {wrong[0]} as its {kind}, which it is not")
            if twice := [at for at, times in Counter(places).items() if times > 1]:
                raise ValueError(f"message {twice[0]} is in several exchanges")
        if any(before > after for (before, _), (after, _) in pairwise(self.exchanges)):
            raise ValueError("the exchanges are not in the order of their requests")


def only(profile: Profile, what: str) -> Profile:
    """The profile with no messages but those of one kind, or of one method by its path or its last word.

    Raises SpecError when there is no such stream.
    """
    names = [{stream.kind, stream.method, last_word(stream.method)} - {""} for stream in profile.streams]
    if not any(what in each for each in names):
        raise SpecError.unknown("kind or method", what, {word for each in names for word in each if "/" not in word})
    kept = [place for place, message in enumerate(profile.messages) if what in names[message[1]]]
    return with_messages(profile, kept, name=f"{profile.name}/{last_word(what)}", system_calls=())


def with_messages(profile: Profile, kept: Sequence[int], **changes: Any) -> Profile:
    """The profile with these of its messages alone, by their places, and the exchanges that are whole then."""
    places = {old: new for new, old in enumerate(kept)}
    whole = tuple((places[a], places[b]) for a, b in profile.exchanges if a in places and b in places)
    messages = tuple(profile.messages[place] for place in kept)
    return msgspec.structs.replace(profile, messages=messages, exchanges=whole, **changes)


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


def last_word(path: str) -> str:
    return path.rpartition("/")[2]


def _check(what: str, numbers: list[int], count: int, least: int = 0) -> None:
    if wrong := [number for number in numbers if not least <= number < count]:
        raise ValueError(f"there is no {what} {wrong[0]}: the profile has {count}")


def _check_range(what: str, unit: str, numbers: Iterable[int], least: int) -> None:
    known = list(numbers)
    if known and not (least <= min(known) and max(known) < _LIMIT):
        wrong = next(number for number in known if not least <= number < _LIMIT)
        raise ValueError(f"{what} of {wrong} {unit} cannot be: it is at least {least}, and below 2^63")


def _lines(value: object) -> bytes:
    if isinstance(value, tuple) and value and not isinstance(value[0], str):
        return b"[\n  " + b",\n  ".join(map(msgspec.json.encode, value)) + b"\n ]"
    return msgspec.json.encode(value)
