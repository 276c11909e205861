"""The blocks of a pcapng file (draft-ietf-opsawg-pcapng): sections, interfaces, packets and statistics."""

import struct
from collections.abc import Iterator
from typing import Protocol

import msgspec

from tensorwire.errors import FileFormatError
from tensorwire.imports.pcap.values import Packet, Remark, Tally

SECTION = b"\x0a\x0d\x0d\x0a"
_ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 2, 3, 5, 6
_RESOLUTION, _OFFSET = 9, 14
_DROPPED = (5, 7)  # by the interface, by the operating system
_LONGEST = 1 << 26
_SECOND = 1_000_000_000


class Source(Protocol):
    at: int

    def read(self, count: int) -> bytes | None: ...


class _Interface(msgspec.Struct, frozen=True):
    link: int
    cut_at: int
    """The snapshot length, 0 for none."""
    ticks: int
    """Of its clock, in a second."""
    offset_ns: int

    def ns(self, ticks: int) -> int:
        return ticks * _SECOND // self.ticks + self.offset_ns


def blocks(source: Source, file: str, tally: Tally) -> Iterator[Packet]:
    """The packets of a file whose first four bytes were read. Raises FileFormatError where it is damaged."""
    reader, kind = _Reader(source, file), _SECTION
    dropped: dict[tuple[int, int], int] = {}
    section = 0
    while (body := reader.body(kind)) is not None:
        try:
            if kind == _SECTION:
                section += 1
            elif kind == _STATISTICS:
                dropped[section, reader.number(body, 0, "I")] = _dropped(reader, body)
            elif (packet := reader.packet(kind, body, tally)) is not None:
                yield packet
        except (struct.error, IndexError, ZeroDivisionError) as wrong:
            raise FileFormatError(f"{file} is damaged: the block before byte {source.at} is not whole") from wrong
        read = source.read(4)
        if read is None:
            break
        kind = reader.number(read, 0, "I") if read != SECTION else _SECTION
    tally[Remark.DROPPED] += sum(dropped.values())
    tally[Remark.UNCOUNTED] = int(not dropped)


class _Reader:
    """Reads blocks in the byte order, and packets with the interfaces, of their section."""

    def __init__(self, source: Source, file: str) -> None:
        self._source = source
        self._file = file
        self._order = "<"
        self._interfaces: list[_Interface] = []
        self._last_ns = 0

    def body(self, kind: int) -> bytes | None:
        """What is in a block of which the type was read; None where the file ends."""
        read = self._source.read(4)
        if read is None:
            return None
        begun = b""
        if kind == _SECTION:
            begun = self._source.read(4) or b""
            if begun not in _ORDERS:
                if begun:
                    self._damaged("its section has no byte order")
                return None
            self._order, self._interfaces = _ORDERS[begun], []
        (length,) = struct.unpack(f"{self._order}I", read)
        if length % 4 or not 12 + len(begun) <= length <= _LONGEST:
            self._damaged(f"a block before byte {self._source.at} has {length} bytes")
        rest = self._source.read(length - 8 - len(begun))
        return None if rest is None else begun + rest[:-4]

    def number(self, data: bytes, at: int, what: str) -> int:
        return int(struct.unpack_from(self._order + what, data, at)[0])

    def options(self, body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
        while at + 4 <= len(body):
            code, size = struct.unpack_from(f"{self._order}HH", body, at)
            if code == 0:
                return
            yield code, body[at + 4 : at + 4 + size]
            at += 4 + size + -size % 4

    def packet(self, kind: int, body: bytes, tally: Tally) -> Packet | None:
        """The packet of a block, if it is one of those; an interface is kept."""
        if kind == _INTERFACE:
            self._interfaces.append(self._interface(body))
            return None
        if kind == _SIMPLE_PACKET:
            tally[Remark.UNDATED] += 1
            interface, length = self._interfaces[0], self.number(body, 0, "I")
            captured = min(length, interface.cut_at or length, len(body) - 4)
            return Packet(self._last_ns, interface.link, body[4 : 4 + captured], length)
        if kind not in (_PACKET, _OLD_PACKET):
            return None
        number = self.number(body, 0, "I" if kind == _PACKET else "H")
        high, low, captured, length = struct.unpack_from(f"{self._order}IIII", body, 4)
        if captured > len(body) - 20:
            self._damaged(f"a packet before byte {self._source.at} has {captured} bytes")
        interface = self._interfaces[number]
        self._last_ns = interface.ns(high << 32 | low)
        return Packet(self._last_ns, interface.link, body[20 : 20 + captured], length)

    def _interface(self, body: bytes) -> _Interface:
        link, _, cut_at = struct.unpack_from(f"{self._order}HHI", body)
        ticks, offset = 1_000_000, 0
        for code, value in self.options(body, 8):
            if code == _RESOLUTION:
                ticks = (2 if value[0] & 0x80 else 10) ** (value[0] & 0x7F)
            elif code == _OFFSET:
                offset = self.number(value, 0, "q")
        return _Interface(link, cut_at, ticks, offset * _SECOND)

    def _damaged(self, why: str) -> None:
        raise FileFormatError(f"{self._file} is damaged: {why}")


def _dropped(reader: _Reader, body: bytes) -> int:
    return sum(reader.number(value, 0, "Q") for code, value in reader.options(body, 12) if code in _DROPPED)
