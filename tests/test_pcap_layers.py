"""Segments of TCP are found below every link layer that is read; the others are counted by their reason."""

import struct

import pytest

from tensorwire.imports.pcap.layers import segment
from tensorwire.imports.pcap.values import Packet, Remark, Segment
from tests import captures

SIX = (bytes(15) + b"\x01", 1), (bytes(15) + b"\x02", 2)
FOUR = captures.tcp(captures.CLIENT, captures.SERVER, 77, b"content", acknowledged=88)
OF_SIX = captures.tcp(*SIX, 77, b"content", acknowledged=88)


def parsed(link: int, data: bytes, length: int | None = None) -> Segment | Remark:
    return segment(Packet(0, link, data, len(data) if length is None else length))


def check(read: Segment | Remark) -> None:
    assert isinstance(read, Segment)
    assert (read.number, read.acknowledged, bytes(read.data), read.length) == (77, 88, b"content", 7)


@pytest.mark.parametrize("ip", [FOUR, OF_SIX], ids=["IPv4", "IPv6"])
def test_link_layers(ip: bytes) -> None:
    kind = b"\x08\x00" if ip is FOUR else b"\x86\xdd"
    for link, head in (
        (0, struct.pack("<I", 2)),
        (0, struct.pack(">I", 30)),
        (1, bytes(12) + kind),
        (1, bytes(12) + b"\x81\x00\x00\x07" + kind),
        (1, bytes(12) + b"\x88\xa8\x00\x07\x81\x00\x00\x08" + kind),
        (12, b""),
        (101, b""),
        (108, bytes(4)),
        (113, bytes(14) + kind),
        (228, b""),
        (229, b""),
        (276, kind + bytes(18)),
    ):
        check(parsed(link, head + ip))


def test_padding_and_offload() -> None:
    check(parsed(1, captures.ethernet(FOUR) + bytes(13)))
    check(parsed(101, FOUR[:2] + bytes(2) + FOUR[4:]))
    check(parsed(101, OF_SIX[:4] + bytes(2) + OF_SIX[6:]))


def test_a_cut_segment_keeps_its_length() -> None:
    read = parsed(101, FOUR[:-5], len(FOUR))
    assert isinstance(read, Segment)
    assert (bytes(read.data), read.length) == (b"co", 7)


def test_extension_headers() -> None:
    content = OF_SIX[40:]
    hop = b"\x3c\x00" + bytes(6)  # then destination options
    options = b"\x33\x01" + bytes(14)  # then authentication
    authentication = b"\x2c\x01" + bytes(10)  # then a fragment that is the whole
    atomic = b"\x06\x00\x00\x00" + bytes(4)
    check(parsed(101, captures.ip(*(end[0] for end in SIX), hop + options + authentication + atomic + content, 0)))
    for first in (b"\x00\x01", b"\x00\x08"):  # more follow; not the first
        fragment = b"\x06\x00" + first + bytes(4)
        assert parsed(101, captures.ip(*(end[0] for end in SIX), fragment + content, 44)) == Remark.FRAGMENTS


@pytest.mark.parametrize(
    ("link", "data", "why"),
    [
        (147, FOUR, Remark.FOREIGN),
        (1, bytes(12) + b"\x08\x06" + bytes(28), Remark.OTHER),
        (101, captures.ip(b"abcd", b"efgh", bytes(20), protocol=17), Remark.OTHER),
        (101, captures.ip(bytes(16), bytes(16), bytes(20), protocol=58), Remark.OTHER),
        (101, b"\x50" + bytes(50), Remark.OTHER),
        (101, captures.ip(b"abcd", b"efgh", bytes(20), fragment=0x2000), Remark.FRAGMENTS),
        (101, captures.ip(b"abcd", b"efgh", bytes(20), fragment=0x00B9), Remark.FRAGMENTS),
        (101, FOUR[:33], Remark.HEADLESS),
        (101, captures.ip(b"abcd", b"efgh", bytes(20)), Remark.HEADLESS),
        (101, b"", Remark.HEADLESS),
        (1, b"", Remark.OTHER),
    ],
)
def test_what_has_no_segment_is_told(link: int, data: bytes, why: Remark) -> None:
    assert parsed(link, data, 1000) == why


def test_no_bytes_of_any_kind_raise() -> None:
    for link in (0, 1, 101, 113, 276):
        for end in range(len(OF_SIX)):
            parsed(link, OF_SIX[:end])
            parsed(link, bytes([0x45 + end % 3]) * end)
