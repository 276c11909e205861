"""What the parts of the importer hand to each other, and what is to be said of what could not be read."""

from collections import Counter
from enum import StrEnum

import msgspec


class Packet(msgspec.Struct, frozen=True, gc=False):
    """A packet as it was captured: `data` is shorter than its `length` where the snapshot length cut it."""

    at_ns: int
    link: int
    data: bytes
    length: int


class Segment(msgspec.Struct, frozen=True, gc=False):
    """A segment of TCP; `source` and `destination` are address and port. `data` may be cut, `length` is not."""

    at_ns: int
    source: bytes
    destination: bytes
    number: int
    acknowledged: int
    flags: int
    data: memoryview
    length: int


class Piece(msgspec.Struct, frozen=True, gc=False):
    """The next bytes of one direction of a connection: `data`, and behind it, up to `length`, what was cut.

    `pushed`: they are the last that the sender's TCP had then.
    """

    at_ns: int
    data: memoryview
    length: int
    pushed: bool


class Call:
    """One remote procedure call, which is one stream of HTTP/2. Told apart by identity."""

    __slots__ = ("method", "over")

    def __init__(self) -> None:
        self.method = ""
        self.over: set[int] = set()
        """The directions that were seen from their begin to their end."""


class Sent(msgspec.Struct, frozen=True, gc=False):
    """A message: when its last byte passed, on which connection, in which direction; `call` is None for raw bytes."""

    at_ns: int
    connection: int
    direction: int
    call: Call | None
    size: int


class Remark(StrEnum):
    """What is said of a capture when its count is not 0."""

    TRUNCATED = "the file ends amid a packet: what was captured after that is not in it"
    UNDATED = "packets without a time: {}, taken to be of the time of the packet before"
    DROPPED = "the capture itself counted {} packets that it dropped"
    UNCOUNTED = "the file does not tell how many packets the capture dropped; tcpdump says it as it ends"
    FOREIGN = "packets of link types that are not read: {}, left out"
    OTHER = "packets that are not TCP over IP: {}, left out"
    FRAGMENTS = "fragments of IP packets: {}, left out"
    HEADLESS = "packets whose headers are cut or wrong: {}, left out"
    STRAY = "segments far from their connection's place: {}, left out"
    HOLES = "holes, where the capture lacks packets that were sent: {}"
    MISSING = "bytes missing in these holes: {}; nothing was put in their place"
    CUT = "bytes that the capture's snapshot length cut off: {}; capture with -s 0"
    MIDWAY = "connections that were open before the capture began: {}"
    RAW = "connections that did not speak HTTP/2, or encrypted it: {}; their messages are what TCP sent up to a push"
    TLS = "connections that are encrypted (TLS): {}"
    UNREAD = "bytes of HTTP/2 in which no frame or message is certain, after a hole or a begin midway: {}, left out"
    FOLLOWED = "places after a hole or a begin midway from which frames were certain again: {}"
    NOT_GRPC = "bytes of HTTP/2 that are not gRPC: {}, left out"
    UNTYPED = "streams of HTTP/2 taken for gRPC by their framing, as their content type is not known: {}"
    UNFINISHED = "messages that were not sent, or not captured, to their end: {}, left out"
    COMPRESSED = "compressed messages: {}; their sizes are those that travelled"
    NAMELESS = "calls whose method is not known, as their headers build on some that the capture lacks: {}"
    SPOILT = "directions of HTTP/2 whose headers could not be read: {}"
    ROLELESS = "messages of which it is not known whether a client or a server sent them: {}, left out"


Tally = Counter[Remark]
