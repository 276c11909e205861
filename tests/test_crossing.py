"""The payload that had to cross, and what the interfaces counted, from facts alone."""

import msgspec

from tensorwire import crossing
from tensorwire.result import Calling, HostFacts, Measurement, Network, PeerCount, Point, Wire
from tests.results import calling, measurement, serving

PAYLOAD = 1000
POINT = Point(payloads=((PAYLOAD,),), totals=(PAYLOAD,))


def hosts(*ranks: tuple[int, ...]) -> Network:
    made = (
        HostFacts(name=f"host-{number}", address=f"10.0.0.{number}", ranks=of, interface="eth0", mtu=1500)
        for number, of in enumerate(ranks)
    )
    return Network(hosts=tuple(made), up_ns=1)


def called(*calls: tuple[int, int], echo: bool = False, size: int = PAYLOAD) -> Calling:
    """Of (peer, calls)."""
    total = sum(count for _, count in calls)
    peers = tuple(PeerCount(rank=rank, calls=count, latency_ns=count) for rank, count in calls)
    made = calling([1] * total, size=size)
    return msgspec.structs.replace(made, peers=peers, received=made.bytes if echo else 0)


def counted(out: int, back: int, interface: str = "eth0") -> Wire:
    return Wire(interface=interface, tx_bytes=out, rx_bytes=back, tx_packets=1, rx_packets=1)


def seen(rank: int, what: Calling | None, wire: Wire | None) -> Measurement:
    return measurement(rank, what or serving(1), moved=wire)


def verdict(network: Network, *measurements: Measurement, point: Point = POINT, stepped: bool = False) -> str:
    found = crossing.failure(3, crossing.prove(network, point, measurements, stepped))
    if found is None:
        return ""
    assert (found.point, found.rank, found.stage, found.type) == (3, None, "path", "WrongPath")
    return found.message


def test_what_the_wire_saw_in_full_has_crossed() -> None:
    pair = hosts((0,), (1,))
    sent = called((0, 5))
    assert verdict(pair, seen(0, None, counted(60, 5000)), seen(1, sent, counted(5000, 60))) == ""
    echoed = called((0, 5), echo=True)
    assert verdict(pair, seen(0, None, counted(5000, 5000)), seen(1, echoed, counted(5000, 5000))) == ""


def test_each_interface_is_held_against_what_had_to_pass_it() -> None:
    pair = hosts((0,), (1,))
    sent, echoed = called((0, 5)), called((0, 5), echo=True)
    words = verdict(pair, seen(0, None, counted(60, 5000)), seen(1, sent, counted(4999, 60)))
    assert words.startswith("eth0 of host-1 sent 4999 B, and 5 KB of payload had to leave that host: they took")
    words = verdict(pair, seen(0, None, counted(60, 4999)), seen(1, sent, counted(5000, 60)))
    assert words.startswith("eth0 of host-0 received 4999 B, and 5 KB of payload had to reach that host")
    words = verdict(pair, seen(0, None, counted(60, 5000)), seen(1, echoed, counted(5000, 60)))
    assert words.startswith("eth0 of host-0 sent 60 B, and 5 KB of payload had to leave that host")
    words = verdict(pair, seen(0, None, counted(5000, 5000)), seen(1, echoed, counted(5000, 60)))
    assert words.startswith("eth0 of host-1 received 60 B, and 5 KB of payload had to reach that host")
    assert "--no-prove-path" in words


def test_ranks_of_a_host_share_its_interface() -> None:
    """Each reads its counters, and the widest reading covers all."""
    network = hosts((0,), (1, 2))
    two = [called((0, 5)), called((0, 2))]
    ranks = [seen(0, None, counted(10, 7000)), seen(1, two[0], counted(6000, 10)), seen(2, two[1], counted(7000, 10))]
    assert verdict(network, *ranks) == ""
    ranks[2] = seen(2, two[1], counted(6999, 10))
    assert "sent 6999 B, and 7 KB" in verdict(network, *ranks)


def test_calls_within_a_host_need_no_wire() -> None:
    network = hosts((0, 1, 2))
    ranks = [seen(0, None, counted(0, 0)), seen(1, called((0, 5)), counted(0, 0)), seen(2, None, None)]
    assert verdict(network, *ranks) == ""


def test_of_a_rank_that_calls_both_only_calls_to_other_hosts_count() -> None:
    network = hosts((0, 2), (1,))
    both = called((0, 5), (1, 4), echo=True)
    fits = [seen(0, None, counted(0, 0)), seen(1, None, counted(4000, 4000)), seen(2, both, counted(4000, 4000))]
    assert verdict(network, *fits) == ""
    short = [*fits[:2], seen(2, both, counted(3999, 4000))]
    assert "eth0 of host-0 sent 3999 B, and 4 KB" in verdict(network, *short)


def test_of_payloads_that_differ_the_least_is_certain() -> None:
    network = hosts((0, 2), (1,))
    mixed = Point(payloads=((10,), (PAYLOAD,)), totals=(10, PAYLOAD))
    both = called((0, 5), (1, 4))
    ranks = [seen(0, None, counted(0, 0)), seen(1, None, counted(0, 40)), seen(2, both, counted(40, 0))]
    assert verdict(network, *ranks, point=mixed) == ""
    assert "and 40 B" in verdict(network, *ranks[:2], seen(2, both, counted(39, 0)), point=mixed)
    assert verdict(network, *ranks[:2], seen(2, both, counted(0, 0)), stepped=True) == "", "of steps nothing is certain"


def test_recorded_replies_to_a_rank_that_calls_both_are_not_certain() -> None:
    network = hosts((0, 2), (1,))
    answered = Point(payloads=((PAYLOAD,),), totals=(PAYLOAD,), answers=((1,),))
    both = called((0, 5), (1, 4), echo=True)
    ranks = [seen(0, None, counted(0, 0)), seen(1, None, counted(0, 4000)), seen(2, both, counted(4000, 0))]
    assert verdict(network, *ranks, point=answered) == ""
    assert "host-1 sent 0 B" in verdict(network, *ranks[:2], seen(2, both, counted(4000, 4000)))


def test_counters_of_another_interface_or_none_prove_nothing() -> None:
    pair = hosts((0,), (1,))
    sent = called((0, 5))
    for wire in (None, counted(9000, 9000, "lo")):
        words = verdict(pair, seen(0, None, counted(60, 5000)), seen(1, sent, wire))
        assert words.startswith("eth0 of host-1 sent 0 B, and 5 KB")
