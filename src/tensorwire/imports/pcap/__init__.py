"""Packet captures (tcpdump, Wireshark): the gRPC messages and the bytes that TCP connections carried.

Law: what the capture lacks is counted, and never made up. The file is read once, in order, and not kept.
"""

from collections.abc import Callable
from typing import BinaryIO

from tensorwire.errors import FileFormatError, InstrumentUnavailable
from tensorwire.profile import Profile

_TELL_EVERY = 1 << 13


def is_capture(stream: BinaryIO) -> bool:
    """Whether the file begins as a packet capture does, plain or gzipped; its position is that of before."""
    from tensorwire.imports.pcap import packets

    return packets.is_capture(stream)


def profile(stream: BinaryIO, name: str, file: str = "the file", told: Callable[[int], None] | None = None) -> Profile:
    """The profile of what a packet capture holds; `told` hears now and then how far in the file it is.

    Raises FileFormatError when it is no capture, is damaged, or has no message, and InstrumentUnavailable when the
    packages that read HTTP/2 are not there.
    """
    try:
        from tensorwire.imports.pcap.table import Table
    except ImportError as lacking:
        raise InstrumentUnavailable(
            f"reading packet captures needs {lacking.name}; pip install 'tensorwire[capture]'"
        ) from lacking
    from tensorwire.imports.pcap.assemble import assemble
    from tensorwire.imports.pcap.found import Found
    from tensorwire.imports.pcap.layers import segment
    from tensorwire.imports.pcap.packets import packets
    from tensorwire.imports.pcap.values import Remark

    found = Found()
    table = Table(found)
    count = 0
    for count, packet in enumerate(packets(stream, file, found.tally), start=1):
        if found.begin_ns is None:
            found.begin_ns = packet.at_ns
        found.end_ns = max(found.end_ns, packet.at_ns)
        read = segment(packet)
        if isinstance(read, Remark):
            found.tally[read] += 1
        else:
            table.take(read)
        if told is not None and count % _TELL_EVERY == 0:
            told(stream.tell())
    table.finish()
    made = assemble(found, name)
    if not made.messages:
        raise FileFormatError(f"{file} has no message in its {count} packets: {_why(made)}")
    return made


def _why(made: Profile) -> str:
    from tensorwire.imports.pcap.assemble import ALWAYS

    return "; ".join(made.captured.notes[len(ALWAYS) :]) or "none carries bytes of TCP"
