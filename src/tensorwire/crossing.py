"""Whether the payload crossed the network: what had to leave and reach each host, against what its interface counted.

Law: only what must have crossed is held against the counters, so that a verdict of another way is certain.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from tensorwire.result import Calling, Failure, HostFacts, Measurement, Network, Point, Wire
from tensorwire.units import format_size


class Crossed(Struct, frozen=True, kw_only=True):
    """Bytes of payload that had to leave a host and to reach it, at least, and those that its interface counted: 0
    where no rank could read that."""

    host: HostFacts
    sent: int
    received: int
    counted_out: int
    counted_in: int


def prove(network: Network, point: Point, measurements: Sequence[Measurement], stepped: bool = False) -> list[Crossed]:
    """Of each host.

    Every rank reads the counters before any rank calls and after all have their replies: each reading of a host covers
    what all ranks did. `measurements` are those of all ranks in one point; where steps are replayed, a payload of the
    point is not that of a call.
    """
    host_of = {rank: number for number, host in enumerate(network.hosts) for rank in host.ranks}
    sent, received = [0] * len(network.hosts), [0] * len(network.hosts)
    for each in measurements:
        if each.calling is None:
            continue
        here = host_of[each.rank]
        least_sent = 0 if stepped else min(point.totals)
        least_back = least_sent if each.calling.received and not point.answers else 0  # of an echo
        for there, out, back in _flows(each.calling, host_of, here, (least_sent, least_back)):
            sent[here] += out
            received[there] += out
            sent[there] += back
            received[here] += back
    return [
        Crossed(
            host=host,
            sent=sent[number],
            received=received[number],
            counted_out=max((wire.tx_bytes for wire in _wires(host, measurements)), default=0),
            counted_in=max((wire.rx_bytes for wire in _wires(host, measurements)), default=0),
        )
        for number, host in enumerate(network.hosts)
    ]


def failure(point: int, crossed: Iterable[Crossed]) -> Failure | None:
    """What is wrong, if anything: the first interface that saw less than the payload that had to pass it."""
    for each in crossed:
        ways = (("sent", each.counted_out, each.sent, "leave"), ("received", each.counted_in, each.received, "reach"))
        for verb, counted, payload, way in ways:
            if counted < payload:
                sentence = (
                    f"{each.host.interface} of {each.host.name} {verb} {format_size(counted)}, and"
                    f" {format_size(payload)} of payload had to {way} that host: they took another way, such as shared"
                    " memory, or were compressed; choose a transport that uses the network, or --no-prove-path if this"
                    " is meant"
                )
                return Failure(point=point, rank=None, stage="path", type="WrongPath", message=sentence)
    return None


def _wires(host: HostFacts, measurements: Iterable[Measurement]) -> list[Wire]:
    wires = [each.wire for each in measurements if each.wire is not None and each.rank in host.ranks]
    return [wire for wire in wires if wire.interface == host.interface]


def _flows(
    calling: Calling, host_of: Mapping[int, int], here: int, least: tuple[int, int]
) -> Iterable[tuple[int, int, int]]:
    """For each other host: what its ranks surely were sent and surely sent back, `least` of either in every call.

    Where all peers are on one other host, that is all that the rank sent; else so many payloads as calls to them.
    """
    calls: dict[int, int] = {}
    for peer in calling.peers:
        calls[host_of[peer.rank]] = calls.get(host_of[peer.rank], 0) + peer.calls
    if len(calls) == 1:
        (there,) = calls
        return [(there, calling.bytes, calling.received)] if there != here else []
    sent, back = least
    return [(there, count * sent, count * back) for there, count in calls.items() if there != here]
