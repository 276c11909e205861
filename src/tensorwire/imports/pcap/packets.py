"""Packets out of a capture file, one at a time: libpcap's (both byte orders, us and ns) and pcapng, plain or gzipped.

Our own reader, and not dpkt's (the light library there is): that one gives no length on the wire, so that a packet
that was cut cannot be told from a whole one; it takes a file's last, unfinished packet for a whole one; it knows one
interface, and no counters of dropped packets.
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

from tensorwire.errors import FileFormatError
from tensorwire.imports.pcap.blocks import SECTION, blocks
from tensorwire.imports.pcap.values import Packet, Remark, Tally

_GZIP = b"\x1f\x8b"
_MAGICS = {  # how the numbers are, and how many ns the smaller part of a time stamp counts
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
_MODIFIED = (b"\xa1\xb2\xcd\x34", b"\x34\xcd\xb2\xa1")
MAGICS = (*_MAGICS, *_MODIFIED, SECTION)

_LONGEST = 1 << 24  # far above any packet: a length beyond it is damage
_REST_OF_HEAD = 20


def is_capture(stream: BinaryIO) -> bool:
    """Whether the file begins as a packet capture does, plain or gzipped; its position is that of before."""
    at = stream.tell()
    try:
        return _plain(stream).read(4) in MAGICS
    except (OSError, EOFError, zlib.error):
        return False
    finally:
        stream.seek(at)


def packets(stream: BinaryIO, file: str, tally: Tally) -> Iterator[Packet]:
    """The packets of a capture file, up to where it ends, be it amid one: that, and what it lost, is tallied.

    Raises FileFormatError for what is not a capture, or is damaged.
    """
    source = _Source(_plain(stream), file, tally)
    magic = source.read(4)
    if magic == SECTION:
        yield from blocks(source, file, tally)
        return
    if magic in _MODIFIED:
        raise FileFormatError(f"{file} is of the modified pcap format; make it a plain one with: editcap -F pcap")
    if magic not in _MAGICS:
        raise FileFormatError(f"{file} is not a packet capture: its first bytes are {(magic or b'').hex() or 'none'}")
    order, unit = _MAGICS[magic]
    tally[Remark.UNCOUNTED] = 1
    yield from _classic(source, order, unit, file)


def _classic(source: "_Source", order: str, unit: int, file: str) -> Iterator[Packet]:
    head = source.read(_REST_OF_HEAD)
    if head is None:
        return
    (link,) = struct.unpack_from(f"{order}H", head, 18 if order == ">" else 16)
    record = struct.Struct(f"{order}IIII")
    while (read := source.read(record.size)) is not None:
        seconds, fraction, captured, length = record.unpack(read)
        if captured > _LONGEST:
            raise FileFormatError(f"{file} is damaged: a packet before byte {source.at} has {captured} bytes")
        data = source.read(captured)
        if data is None:
            return
        yield Packet(seconds * 1_000_000_000 + fraction * unit, link, data, length)


class _Source:
    """Reads so many bytes or none; a file that ends amid them is tallied."""

    def __init__(self, stream: BinaryIO, file: str, tally: Tally) -> None:
        self._stream = stream
        self._file = file
        self._tally = tally
        self.at = 0

    def read(self, count: int) -> bytes | None:
        try:
            data = self._stream.read(count)
        except EOFError:
            self._tally[Remark.TRUNCATED] = 1
            return None
        except (OSError, zlib.error) as wrong:
            raise FileFormatError(f"cannot read {self._file}: {getattr(wrong, 'strerror', None) or wrong}") from wrong
        self.at += len(data)
        if len(data) == count:
            return data
        if data:
            self._tally[Remark.TRUNCATED] = 1
        return None


def _plain(stream: BinaryIO) -> BinaryIO:
    at = stream.tell()
    packed = stream.read(2) == _GZIP
    stream.seek(at)
    return cast(BinaryIO, gzip.open(stream)) if packed else stream
