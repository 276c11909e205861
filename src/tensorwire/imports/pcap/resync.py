"""Where frames of HTTP/2 begin in bytes of which the begin was not seen; found where it is certain, or not at all."""

import re
import struct

_HEAD = struct.Struct(">HBBBI")
_CERTAIN_BITS = 100
"""So many bits of different heads of frames that follow one another are as they must be: 2 to 5 frames."""
_WINDOW = 1 << 18
_MOST = 32
_ODD, _ZERO = 2, 32  # bits that the number of a client's stream, or of the connection itself, says
_FIXED = 24

# What may stand at the 4 to 9th byte: type, flags, reserved bit. A length below 64 KiB begins with 0.
_CANDIDATE = re.compile(
    rb"(?s)(?=\x00..(?:\x00[\x00\x01]|\x01[\x00\x01\x04\x05\x20\x21\x24\x25]|[\x03\x08]\x00|[\x04\x06][\x00\x01])[\x00-\x7f])"
)


class Search:
    """Collects the bytes of one direction until frames are certain in them."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._times: list[tuple[int, int]] = []
        self._looked_at = 0

    def add(self, data: memoryview, at_ns: int) -> list[tuple[memoryview, int]]:
        """The next bytes. All from the first certain frame on, with their times, or nothing yet."""
        self._times.append((len(self._data), at_ns))
        self._data += data
        return self.found() if len(self._data) - self._looked_at >= _WINDOW else []

    def found(self) -> list[tuple[memoryview, int]]:
        """The same as far as it can be told now."""
        at = boundary(self._data)
        if at is None:
            self._forget(max(0, len(self._data) - _WINDOW))
            self._looked_at = len(self._data)
            return []
        self._forget(at)
        whole = memoryview(bytes(self._data))
        ends = [begin for begin, _ in self._times[1:]] + [len(whole)]
        return [(whole[begin:end], at_ns) for (begin, at_ns), end in zip(self._times, ends, strict=True)]

    def _forget(self, count: int) -> None:
        del self._data[:count]
        moved = [(begin - count, at_ns) for begin, at_ns in self._times]
        last = max((place for place, (begin, _) in enumerate(moved) if begin <= 0), default=0)
        self._times = [(max(0, begin), at_ns) for begin, at_ns in moved[last:]]


def boundary(data: bytes | bytearray) -> int | None:
    """The first place in the data where a frame certainly begins."""
    tried: set[int] = set()
    for match in _CANDIDATE.finditer(data):
        if match.start() not in tried and _certain(data, match.start(), tried):
            return match.start()
    return None


def _certain(data: bytes | bytearray, at: int, tried: set[int]) -> bool:
    """Whether the frames from here on are; those that were looked at are no better begin than this one."""
    bits = 0
    known: set[tuple[int, ...]] = set()
    while at + _HEAD.size <= len(data) and len(known) < _MOST and at not in tried:
        tried.add(at)
        head = high, low, kind, flags, stream = _HEAD.unpack_from(data, at)
        length = high << 8 | low
        said = _bits(kind, flags, length, stream)
        if not said:
            return False
        bits += 0 if head in known else said  # the same again says nothing: any data may repeat itself
        known.add(head)
        if bits >= _CERTAIN_BITS:
            return True
        at += _HEAD.size + length
    return False


def _bits(kind: int, flags: int, length: int, stream: int) -> int:
    """How many bits of a frame's head are as they must be; 0 where one is not. Odd streams are those of clients."""
    odd = stream & 1 and not stream >> 31
    any_length = 24 - max(14, length.bit_length())
    match kind:
        case 0 if odd and not flags & ~0x09 and (length or flags & 1):  # DATA
            return 8 + 6 + any_length + _ODD
        case 1 if odd and not flags & ~0x2D and length:  # HEADERS
            return 8 + 4 + any_length + _ODD
        case 3 if odd and not flags and length == 4:  # RST_STREAM
            return 8 + 8 + _FIXED + _ODD
        case 4 if not stream and (not length if flags == 1 else not flags and length % 6 == 0):  # SETTINGS
            return 8 + 8 + any_length + _ZERO
        case 6 if not stream and flags <= 1 and length == 8:  # PING
            return 8 + 7 + _FIXED + _ZERO
        case 7 if not stream and not flags and length >= 8:  # GOAWAY
            return 8 + 8 + any_length + _ZERO
        case 8 if not flags and length == 4 and (odd or not stream):  # WINDOW_UPDATE
            return 8 + 8 + _FIXED + (_ODD if stream else _ZERO)
        case 9 if odd and not flags & ~0x04 and length:  # CONTINUATION
            return 8 + 7 + any_length + _ODD
        case _:
            return 0
