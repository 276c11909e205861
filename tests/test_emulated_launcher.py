"""Emulated hosts: what may be asked of them, and what they are like inside."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tensorwire.errors import LaunchError, LauncherUnavailable, SpecError
from tensorwire.launchers import emulated, namespaces
from tensorwire.launchers.emulated import EmulatedHosts, Options, address, launcher


def able() -> None:
    try:
        launcher.check(Options())
    except LauncherUnavailable as unavailable:
        pytest.skip(str(unavailable))


@pytest.fixture
def pair() -> Iterator[EmulatedHosts]:
    able()
    with EmulatedHosts(Options(count=2, fabric="1gbe"), 3) as hosts:
        yield hosts


def said(hosts: EmulatedHosts, host: int, *argv: str) -> str:
    """What a program prints inside of a host."""
    return subprocess.run(hosts.inside(host, argv), capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("fabric", "rate"),
    [
        ("unlimited", None),
        ("1gbe", 10**9),
        ("25gbe", 25 * 10**9),
        ("2.5gbit", 2_500_000_000),
        ("100Mbit", 10**8),
        ("1000gbit", 10**12),
    ],
)
def test_a_fabric_is_a_name_or_a_rate(fabric: str, rate: int | None) -> None:
    assert Options(fabric=fabric).rate() == rate


@pytest.mark.parametrize("fabric", ["", "10", "10gb", "10gbps", "-1gbit", "0gbit", "999kbit", "2000gbit", "fast"])
def test_what_is_no_fabric_is_refused(fabric: str) -> None:
    with pytest.raises(SpecError, match=r"fabric is .* must be 1gbe, 10gbe, 25gbe, unlimited, or a rate"):
        Options(fabric=fabric)


@pytest.mark.parametrize(("field", "wrong"), [("count", 0), ("count", 129), ("mtu", 575), ("mtu", 65536)])
def test_what_is_out_of_range_is_refused(field: str, wrong: int) -> None:
    with pytest.raises(SpecError, match=str(wrong)):
        Options(**{field: wrong})


def test_addresses_differ_and_are_those_of_hosts() -> None:
    addresses = [address(host) for host in range(600)]
    assert len(set(addresses)) == 600
    assert {each.rpartition(".")[2] for each in addresses}.isdisjoint({"0", "255"})


def test_what_a_process_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert emulated._lacking("Name:\tx\nCapEff:\t000001ffffffffff\n") == []
    assert emulated._lacking("CapEff:\t0000000000001000\n") == ["CAP_SYS_ADMIN"]
    assert emulated._lacking("CapEff:\t0000000000000000\n") == ["CAP_SYS_ADMIN", "CAP_NET_ADMIN"]
    monkeypatch.setattr(emulated.shutil, "which", lambda name, path=None: None if name == "tc" else name)
    with pytest.raises(LauncherUnavailable, match="need the program tc; apt-get install iproute2"):
        launcher.check(Options())


def test_hosts_have_names_and_addresses_of_their_own(pair: EmulatedHosts) -> None:
    assert [place.host for place in pair.places] == ["host-0", "host-1", "host-0"]
    for host in (0, 1):
        assert said(pair, host, "uname", "-n") == f"host-{host}"
        assert f"{address(host)}/16" in said(pair, host, "ip", "-brief", "address")
        assert sorted(said(pair, host, "ls", "/sys/class/net").split()) == ["eth0", "lo"]


def test_hosts_have_memory_of_their_own(pair: EmulatedHosts) -> None:
    mark = Path(f"/dev/shm/tensorwire-test-{os.getpid()}")
    said(pair, 0, "touch", str(mark))
    assert said(pair, 0, "ls", "/dev/shm") == mark.name
    assert said(pair, 1, "ls", "/dev/shm") == ""
    assert not mark.exists()
    queues = said(pair, 0, "ipcmk", "--queue")
    assert queues
    assert len(said(pair, 0, "ipcs", "-q").splitlines()) > len(said(pair, 1, "ipcs", "-q").splitlines())


def test_hosts_share_the_files_and_the_place_where_we_are(
    pair: EmulatedHosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").write_text("yes")
    assert said(pair, 1, "cat", "here") == "yes"


def test_the_network_is_silent_unless_somebody_speaks(pair: EmulatedHosts) -> None:
    for host in (0, 1):
        assert said(pair, host, "cat", "/sys/class/net/eth0/statistics/tx_bytes") == "0"


def test_nothing_of_a_host_is_seen_from_outside(pair: EmulatedHosts) -> None:
    assert all(not name.startswith(("p0", "p1", "sw")) for _, name in socket.if_nameindex())
    assert address(0) not in Path("/proc/net/fib_trie").read_text()


def test_what_the_kernel_refuses_is_a_launch_error(monkeypatch: pytest.MonkeyPatch) -> None:
    able()
    monkeypatch.setattr(emulated, "_PREFIX", 99)
    with pytest.raises(LaunchError, match=r"cannot make emulated hosts: ip says: .*99"):
        EmulatedHosts(Options(count=1), 1)


def test_a_holder_that_ends_at_once_is_a_launch_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("")
    monkeypatch.setattr(namespaces, "__file__", str(broken))
    with pytest.raises(LaunchError, match="the process that makes them ended"):
        EmulatedHosts(Options(count=1), 1)
