"""From a packet to its segment of TCP: link layers, IPv4 and IPv6. Checksums are not checked: offload spoils them."""

import struct
from collections.abc import Callable

from tensorwire.imports.pcap.values import Packet, Remark, Segment

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

_IP = (b"\x08\x00", b"\x86\xdd")
_VLAN = (b"\x81\x00", b"\x88\xa8", b"\x91\x00")
_TCP = 6
_EXTENSIONS = (0, 43, 60, 135, 139, 140)  # hop-by-hop, routing, destination, mobility, HIP, shim6
_AUTHENTICATION, _FRAGMENT = 51, 44
_SHORT = struct.Struct(">H")
_PORTS_AND_NUMBERS = struct.Struct(">4sIIBB")


def segment(packet: Packet) -> Segment | Remark:
    """The segment that a packet carries, or why there is none."""
    begin = _LINKS.get(packet.link)
    if begin is None:
        return Remark.FOREIGN
    try:
        at = begin(packet.data)
        if at < 0:
            return Remark.OTHER
        version = packet.data[at] >> 4
        if version == 4:
            return _ipv4(packet, at)
        return _ipv6(packet, at) if version == 6 else Remark.OTHER
    except (struct.error, IndexError):
        return Remark.HEADLESS


def reads(link: int) -> bool:
    """Whether packets of a link type are understood."""
    return link in _LINKS


def _ipv4(packet: Packet, at: int) -> Segment | Remark:
    data = packet.data
    if _SHORT.unpack_from(data, at + 6)[0] & 0x3FFF:  # more fragments, or not the first
        return Remark.FRAGMENTS
    if data[at + 9] != _TCP:
        return Remark.OTHER
    total = _SHORT.unpack_from(data, at + 2)[0]
    end = at + total if total else packet.length  # 0 where offload made a packet too long for the field
    return _tcp(packet, at + (data[at] & 15) * 4, end, (data[at + 12 : at + 16], data[at + 16 : at + 20]))


def _ipv6(packet: Packet, at: int) -> Segment | Remark:
    data = packet.data
    total = _SHORT.unpack_from(data, at + 4)[0]
    end = at + 40 + total if total else packet.length  # 0 as above: a jumbogram
    addresses = data[at + 8 : at + 24], data[at + 24 : at + 40]
    kind, at = data[at + 6], at + 40
    while kind != _TCP:
        if kind == _FRAGMENT:
            if _SHORT.unpack_from(data, at + 2)[0] & 0xFFF9:
                return Remark.FRAGMENTS
            kind, at = data[at], at + 8
        elif kind in _EXTENSIONS:
            kind, at = data[at], at + 8 + data[at + 1] * 8
        elif kind == _AUTHENTICATION:
            kind, at = data[at], at + 8 + data[at + 1] * 4
        else:
            return Remark.OTHER
    return _tcp(packet, at, end, addresses)


def _tcp(packet: Packet, at: int, end: int, addresses: tuple[bytes, bytes]) -> Segment | Remark:
    ports, number, acknowledged, offset, flags = _PORTS_AND_NUMBERS.unpack_from(packet.data, at)
    begin = at + (offset >> 4) * 4
    if begin < at + 20 or begin > end:
        return Remark.HEADLESS
    return Segment(
        packet.at_ns,
        addresses[0] + ports[:2],
        addresses[1] + ports[2:],
        number,
        acknowledged,
        flags,
        memoryview(packet.data)[begin:end],
        end - begin,
    )


def _typed(data: bytes, kind: bytes, at: int) -> int:
    """Where IP begins behind an ethernet type, whatever VLAN tags stand between; -1 where it is not IP."""
    while kind in _VLAN:
        kind, at = data[at + 2 : at + 4], at + 4
    return at if kind in _IP else -1


def _ethernet(data: bytes) -> int:
    return _typed(data, data[12:14], 14)


def _cooked(data: bytes) -> int:
    return _typed(data, data[14:16], 16)


def _cooked_2(data: bytes) -> int:
    return _typed(data, data[:2], 20)


def _loopback(data: bytes) -> int:
    """Behind the address family, whose byte order and numbers differ by system: IP tells its version itself."""
    return 4


def _nothing(data: bytes) -> int:
    return 0


# By the numbers of https://www.tcpdump.org/linktypes.html; 12 and 14 are what raw IP was called on some systems.
_LINKS: dict[int, Callable[[bytes], int]] = {
    0: _loopback,
    1: _ethernet,
    12: _nothing,
    14: _nothing,
    101: _nothing,
    108: _loopback,
    113: _cooked,
    228: _nothing,
    229: _nothing,
    276: _cooked_2,
}
