"""Ports for tasks: free, outside of the ephemeral range, and each for one job alone."""

import errno
import socket
from pathlib import Path

import pytest

from tensorwire import ports
from tensorwire.errors import AddressInUse


def test_they_are_below_the_ephemeral_range_and_can_be_listened_on() -> None:
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    with ports.reserved(5) as found:
        assert len(set(found)) == 5
        assert max(found) < low
        for port in found:
            with socket.socket() as server:
                server.bind(("127.0.0.1", port))
                server.listen()


def test_two_jobs_never_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_candidates", lambda _: list(range(21_000, 21_060)))
    with ports.reserved(10) as first, ports.reserved(10) as second:
        assert not set(first) & set(second)
    with ports.reserved(10) as again:
        assert again == first


def test_a_port_that_is_taken_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with ports.reserved(1) as (taken,), socket.socket() as server:
        server.bind(("127.0.0.1", taken))
        server.listen()
        monkeypatch.setattr(ports, "_candidates", lambda _: [taken])
        with pytest.raises(AddressInUse, match="needs 1 free ports outside of the ephemeral range, and only 0"):
            ports.reserved(1).__enter__()


def test_a_host_without_ipv6_has_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = socket.socket

    def without(family: int = socket.AF_INET, *rest: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no such family")
        return plain(family, *rest)

    monkeypatch.setattr(socket, "socket", without)
    with ports.reserved(2) as found:
        assert len(found) == 2


@pytest.mark.parametrize(
    ("ephemeral", "least", "most"),
    [
        ("32768\t60999", 10_000, 32_767),
        ("1024 60999", 61_000, 65_535),
        ("2000 65000", 1024, 1999),
        ("9000 65535", 8000, 8999),
    ],
)
def test_candidates_are_outside_of_the_range(ephemeral: str, least: int, most: int) -> None:
    found = ports._candidates(ephemeral)
    assert (min(found), max(found)) == (least, most)
