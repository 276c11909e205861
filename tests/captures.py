"""Packet captures for tests: files, packets, connections and HTTP/2, as they are on the wire."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO

import msgspec
from hpack import Encoder
from hyperframe.frame import DataFrame, HeadersFrame, PingFrame, SettingsFrame, WindowUpdateFrame

from tensorwire.imports.pcap.layers import ACK, FIN, PSH, SYN

ETHERNET = 1
CLIENT, SERVER = (b"\x0a\x00\x00\x01", 40000), (b"\x0a\x00\x00\x02", 2222)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_START_NS = 1_700_000_000_000_000_000
_GAP_NS = 1000
_CONTENT = bytes((7 * i) % 251 for i in range(251 * 4))

Endpoint = tuple[bytes, int]


def tcp(
    source: Endpoint, destination: Endpoint, number: int, data: bytes = b"", flags: int = ACK, acknowledged: int = 0
) -> bytes:
    """A segment, as IPv4 or IPv6 by the length of its addresses."""
    ports = struct.pack(">HH", source[1], destination[1])
    head = ports + struct.pack(">IIBBHHH", number % 2**32, acknowledged % 2**32, 5 << 4, flags, 65535, 0, 0)
    return ip(source[0], destination[0], head + data)


def ip(source: bytes, destination: bytes, content: bytes, protocol: int = 6, fragment: int = 0) -> bytes:
    if len(source) == 16:
        return struct.pack(">IHBB", 6 << 28, len(content), protocol, 64) + source + destination + content
    total = 20 + len(content)
    return struct.pack(">BBHHHBBH", 0x45, 0, total, 0, fragment, 64, protocol, 0) + source + destination + content


def ethernet(packet: bytes, tags: bytes = b"") -> bytes:
    kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
    return bytes(12) + tags + kind + packet


def classic(
    packets: Iterable[bytes], order: str = "<", nanoseconds: bool = False, link: int = ETHERNET, cut: int = 262144
) -> bytes:
    """A file of libpcap's, with a packet each 1000 ns."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    made = bytearray(struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, cut, link))
    for number, packet in enumerate(packets):
        seconds, rest = divmod(_START_NS + number * _GAP_NS, 1_000_000_000)
        fraction = rest if nanoseconds else rest // 1000
        made += struct.pack(f"{order}IIII", seconds, fraction, min(len(packet), cut), len(packet)) + packet[:cut]
    return bytes(made)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A block of pcapng."""
    padded = body + bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", len(padded) + 12)
    return struct.pack(f"{order}I", kind) + length + padded + length


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(order: str = "<", link: int = ETHERNET, options: bytes = b"") -> bytes:
    return block(1, struct.pack(f"{order}HHI", link, 0, 0) + options, order)


def enhanced(packet: bytes, ticks: int, order: str = "<", number: int = 0) -> bytes:
    head = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet))
    return block(6, head + packet, order)


class Conversation:
    """A connection between a client and a server, as the packets that a capture has of it."""

    def __init__(self, begin: tuple[int, int] = (1000, 2**32 - 1000), most: int = 1400) -> None:
        """`begin`: the first numbers of client and server; `most`: bytes of a segment."""
        self.packets: list[bytes] = []
        self._next = list(begin)
        self._most = most

    def open(self) -> "Conversation":
        for which, flags in ((0, SYN), (1, SYN | ACK), (0, ACK)):
            self._add(which, b"", flags)
            self._next[which] += bool(flags & SYN)
        return self

    def send(self, which: int, data: bytes) -> "Conversation":
        """From the client (0) or the server (1); acknowledged at once."""
        for at in range(0, len(data), self._most):
            part = data[at : at + self._most]
            last = at + self._most >= len(data)
            self._add(which, part, ACK | (PSH if last else 0))
            self._next[which] += len(part)
            self._add(1 - which, b"", ACK)
        return self

    def close(self) -> "Conversation":
        for which in (0, 1):
            self._add(which, b"", ACK | FIN)
            self._next[which] += 1
        self._add(0, b"", ACK)
        return self

    def _add(self, which: int, data: bytes, flags: int) -> None:
        ends = (CLIENT, SERVER) if which == 0 else (SERVER, CLIENT)
        numbers = self._next[which], self._next[1 - which]
        self.packets.append(ethernet(tcp(*ends, numbers[0], data, flags, numbers[1])))


class Called(msgspec.Struct, frozen=True):
    """A call with one request and one reply."""

    method: str
    request: int
    reply: int


class Http2:
    """What both ends of a connection send for calls, frame by frame."""

    def __init__(self, frame: int = 16384) -> None:
        self._encoders = Encoder(), Encoder()
        self._frame = frame
        self._stream = 1

    def begin(self) -> tuple[bytes, bytes]:
        return PREFACE + SettingsFrame(0).serialize(), SettingsFrame(0).serialize()

    def call(self, called: Called) -> tuple[bytes, bytes]:
        """What the client sends, and what the server then does."""
        stream, self._stream = self._stream, self._stream + 2
        asked = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", called.method),
            ("content-type", "application/grpc"),
        ]
        answered = [(":status", "200"), ("content-type", "application/grpc+proto")]
        request = self.headers(0, stream, asked) + self.data(stream, message(called.request), ends=True)
        reply = self.headers(1, stream, answered) + self.data(stream, message(called.reply))
        return request, reply + self.headers(1, stream, [("grpc-status", "0")], ends=True)

    def headers(self, which: int, stream: int, fields: Sequence[tuple[str, str]], ends: bool = False) -> bytes:
        flags = ["END_HEADERS", *(["END_STREAM"] if ends else [])]
        return HeadersFrame(stream, self._encoders[which].encode(fields), flags=flags).serialize()

    def data(self, stream: int, content: bytes, ends: bool = False) -> bytes:
        parts = [content[at : at + self._frame] for at in range(0, max(len(content), 1), self._frame)]
        flags = [[] for _ in parts[:-1]] + [["END_STREAM"] if ends else []]
        return b"".join(
            DataFrame(stream, part, flags=flag).serialize() for part, flag in zip(parts, flags, strict=True)
        )


def message(size: int, compressed: int = 0) -> bytes:
    """With content that could be anything."""
    return struct.pack(">BI", compressed, size) + (_CONTENT * (size // len(_CONTENT) + 1))[:size]


def ping() -> bytes:
    return PingFrame(0, b"8 bytes.", flags=["ACK"]).serialize()


def window(stream: int = 0) -> bytes:
    return WindowUpdateFrame(stream, 65535).serialize()


def spoken(calls: Iterable[Called], most: int = 1400, frame: int = 16384) -> Conversation:
    """A connection in which these calls were made one after the other."""
    conversation, http2 = Conversation(most=most).open(), Http2(frame)
    for which, data in enumerate(http2.begin()):
        conversation.send(which, data)
    for called in calls:
        for which, data in enumerate(http2.call(called)):
            conversation.send(which, data)
    return conversation.close()


def stream(data: bytes) -> BytesIO:
    return BytesIO(data)


def cuts(data: bytes, places: Iterable[int]) -> Iterator[bytes]:
    """The data in parts that end at these places."""
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    begin = 0
    for end in ends:
        if end > begin:
            yield data[begin:end]
        begin = end
