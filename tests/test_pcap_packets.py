"""Packets come out of every kind of capture file as they went in, and a file that is cut gives those that are whole."""

import gzip
import struct
from collections import Counter

import pytest

from tensorwire.errors import FileFormatError
from tensorwire.imports.pcap.packets import is_capture, packets
from tensorwire.imports.pcap.values import Packet, Remark, Tally
from tests import captures

PACKETS = [bytes([number]) * (20 + number) for number in range(5)]
START = 1_700_000_000_000_000_000


def read(data: bytes) -> tuple[list[Packet], Tally]:
    tally: Tally = Counter()
    return list(packets(captures.stream(data), "the file", tally)), tally


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("nanoseconds", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_packets_of_a_plain_file(order: str, nanoseconds: bool, packed: bool) -> None:
    data = captures.classic(PACKETS, order, nanoseconds, link=113)
    data = gzip.compress(data) if packed else data
    assert is_capture(captures.stream(data))
    seen, _ = read(data)
    assert [packet.data for packet in seen] == PACKETS
    assert [packet.at_ns for packet in seen] == [START + 1000 * number for number in range(5)]
    assert {packet.link for packet in seen} == {113}


def test_a_cut_packet_keeps_its_length() -> None:
    seen, _ = read(captures.classic(PACKETS, cut=10))
    assert [(len(packet.data), packet.length) for packet in seen] == [(10, 20 + number) for number in range(5)]


@pytest.mark.parametrize("order", "<>")
def test_packets_of_pcapng(order: str) -> None:
    fine = struct.pack(f"{order}HHB3xHHqHH", 9, 1, 9, 14, 8, 100, 0, 0)  # ns, and 100 s late
    halves = struct.pack(f"{order}HHB3x", 9, 1, 0x81)  # half seconds
    data = captures.section(order) + captures.interface(order) + captures.interface(order, 276, fine)
    data += captures.enhanced(PACKETS[0], 5_000_000, order) + captures.enhanced(PACKETS[1], 7, order, 1)
    data += captures.block(10, b"secrets", order)
    data += captures.block(3, struct.pack(f"{order}I", 22) + PACKETS[2], order)
    data += captures.section(order) + captures.interface(order, 101, halves) + captures.enhanced(PACKETS[3], 3, order)
    seen, tally = read(data)
    assert [(packet.at_ns, packet.link, packet.data) for packet in seen] == [
        (5_000_000_000, 1, PACKETS[0]),
        (100_000_000_007, 276, PACKETS[1]),
        (100_000_000_007, 1, PACKETS[2]),
        (1_500_000_000, 101, PACKETS[3]),
    ]
    assert tally == {Remark.UNDATED: 1, Remark.UNCOUNTED: 1, Remark.DROPPED: 0}


def test_the_last_statistics_of_each_interface_tell_what_was_dropped() -> None:
    def statistics(number: int, by_interface: int, by_system: int) -> bytes:
        return captures.block(5, struct.pack("<IIIHHQHHQHH", number, 0, 0, 5, 8, by_interface, 7, 8, by_system, 0, 0))

    data = captures.section() + captures.interface() + captures.interface()
    data += statistics(0, 1, 2) + statistics(1, 10, 0) + statistics(0, 3, 4)
    assert read(data)[1] == {Remark.DROPPED: 17, Remark.UNCOUNTED: 0}


@pytest.mark.parametrize("kind", ["classic", "pcapng", "gzip"])
def test_a_file_that_ends_anywhere_gives_its_whole_packets(kind: str) -> None:
    blocks = [captures.section(), captures.interface(), *(captures.enhanced(packet, 1) for packet in PACKETS)]
    whole = b"".join(blocks) if kind == "pcapng" else captures.classic(PACKETS)
    for end in range(4, len(whole)):
        if kind == "gzip":
            packed = gzip.compress(whole, 0)
            seen, tally = read(packed[: len(packed) - (len(whole) - end) - 8])
        else:
            seen, tally = read(whole[:end])
        assert [packet.data for packet in seen] == PACKETS[: len(seen)]
        assert len(seen) < 5
    assert tally[Remark.TRUNCATED] == 1


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        (b"", "its first bytes are none"),
        (b"GIF89a", "its first bytes are 47494638"),
        (b"\x34\xcd\xb2\xa1" + bytes(40), "editcap"),
        (captures.classic([])[:24] + struct.pack("<IIII", 0, 0, 1 << 30, 60), "a packet before byte 40 has 1073741824"),
        (captures.section() + struct.pack("<II", 6, 13), "has 13 bytes"),
        (captures.section() + captures.enhanced(b"x", 1), "is not whole"),
        (captures.section() + captures.interface() + captures.block(6, bytes(8)), "is not whole"),
        (
            captures.section() + captures.interface() + captures.block(6, struct.pack("<5I", 0, 0, 0, 99, 99)),
            "99 bytes",
        ),
        (struct.pack("<III", 0x0A0D0D0A, 28, 0), "no byte order"),
    ],
)
def test_what_is_no_capture_or_damaged_is_refused(data: bytes, fragment: str) -> None:
    with pytest.raises(FileFormatError, match="the file") as refused:
        read(data)
    assert fragment in str(refused.value)


def test_other_files_are_told_apart() -> None:
    for data in (b"", b"{}", gzip.compress(b"{}"), b"\x1f\x8bnothing packed", gzip.compress(b"")):
        assert not is_capture(captures.stream(data))
