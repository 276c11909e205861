"""What is promised of runs over several hosts, on emulated ones: over every channel the payload crosses the network,
and a payload that does not is found out."""

from pathlib import Path
from typing import Any

import pytest

from tensorwire import channels, registry
from tensorwire.errors import LauncherUnavailable, SpecError
from tensorwire.launchers import emulated
from tensorwire.launchers.emulated import EmulatedHosts, Options
from tensorwire.result import Network, Result
from tensorwire.session import Session, failures
from tensorwire.spec import Placement, Spec
from tests.contract.channel_runs import available, buffers, by_rank, measure, short

try:
    emulated.launcher.check(Options())
except LauncherUnavailable as unavailable:
    pytest.skip(str(unavailable), allow_module_level=True)

KNOWN = {name: registry.channel(name) for name in registry.names("channel")}
CROSSING = [name for name, each in KNOWN.items() if name != "null" and channels.calls(each) and channels.apart(each)]
SIZE = 100_000


def over(channel: str, count: int, **fields: Any) -> Spec:
    where = {"count": count, **fields.pop("hosts", {})}
    return short(channel, **{"launcher": "emulated", "hosts": where, "payload": buffers(SIZE), **fields})


def network(result: Result) -> Network:
    found = result.repetitions[0].network
    assert found is not None
    return found


@pytest.mark.parametrize("channel", CROSSING)
def test_over_every_channel_the_payload_crosses(channel: str, tmp_path: Path) -> None:
    pattern = {"ps": 2, "workers": 3, "reply": "echo"}
    result = measure(tmp_path, over(available(channel), 2, pattern=pattern))
    assert [host.ranks for host in network(result).hosts] == [(0, 2, 4), (1, 3)]
    assert [facts.host for facts in result.repetitions[0].ranks] == [f"host-{rank % 2}" for rank in range(5)]
    for each in by_rank(result):
        assert each.wire is not None
        assert each.wire.interface == "eth0"
    worker = by_rank(result)[3]  # it calls rank 0 on the other host and rank 1 on its own
    assert worker.calling is not None
    assert worker.wire is not None
    crossed = sum(peer.calls for peer in worker.calling.peers if peer.rank == 0) * SIZE
    assert crossed > 0
    assert worker.wire.tx_bytes > crossed
    assert worker.wire.rx_bytes > crossed


@pytest.mark.parametrize("channel", [name for name, each in KNOWN.items() if not channels.apart(each)])
def test_a_channel_of_one_machine_is_refused(channel: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="on one machine only"):
        Session(over(available(channel), 2), tmp_path / "result.json")


@pytest.mark.parametrize(("fabric", "rate"), [("1gbe", 10**9), ("2.5gbit", 2_500_000_000), ("unlimited", None)])
def test_a_fabric_is_what_was_read_back(fabric: str, rate: int | None, tmp_path: Path) -> None:
    result = measure(tmp_path, over("tcp", 3, hosts={"fabric": fabric, "mtu": 9000}, pattern={"workers": 1}))
    hosts = network(result).hosts
    assert [(host.name, host.address) for host in hosts] == [(f"host-{n}", f"10.203.0.{n + 1}") for n in range(3)]
    assert all((host.burst_bytes or 0) < 100_000 for host in hosts)
    assert {(host.send_bits_per_s, host.receive_bits_per_s, host.mtu) for host in hosts} == {(rate, rate, 9000)}
    assert [host.ranks for host in hosts] == [(0,), (1,), ()]


def test_a_rate_is_the_limit_of_each_way(tmp_path: Path) -> None:
    spec = over("tcp", 2, hosts={"fabric": "20mbit"}, pattern={"workers": 1, "reply": "echo"}, calls=10)
    caller = by_rank(measure(tmp_path, spec))[1].calling
    assert caller is not None
    held_back = 10 * SIZE - 2 * 70_000  # what is not let through at once, by either bucket
    assert caller.elapsed_ns > held_back * 8 / 20e6 * 1e9


def test_eight_hosts_fully_connected(tmp_path: Path) -> None:
    result = measure(tmp_path, over("tcp", 8, benchmark="fully-connected", pattern={"nodes": 8}))
    assert [host.ranks for host in network(result).hosts] == [(rank,) for rank in range(8)]


def test_64_ranks_on_eight_hosts(tmp_path: Path) -> None:
    pattern = {"ps": 8, "workers": 56, "reply": "echo"}
    result = measure(tmp_path, over("tcp", 8, pattern=pattern, payload=buffers(10, 1000), calls=16))
    assert len(by_rank(result)) == 64
    assert [len(host.ranks) for host in network(result).hosts] == [8] * 8


def test_on_one_host_nothing_has_to_cross(tmp_path: Path) -> None:
    result = Session(over("tcp", 1, pattern={"workers": 2}), tmp_path / "result.json").run()
    assert failures(result) == []
    assert [host.ranks for host in network(result).hosts] == [(0, 1, 2)]


def sharing_memory(options: Options, ranks: int) -> EmulatedHosts:
    """Hosts with interfaces of their own that are in truth one machine."""
    return EmulatedHosts(options, ranks, apart=False)


def lone(directory: Path, spec: Spec) -> tuple[str, str]:
    """The type and the words of the one failure of a run."""
    (failure,) = failures(Session(spec, directory / "result.json").run())
    return failure.type, failure.message


SHARED = {
    "pattern": {"reply": "echo"},
    "options": {"transport": "shm"},
    "placement": Placement(wait="spin"),  # UCX wakes who sleeps over sockets, which these hosts do not share
}


def test_memory_that_hosts_share_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulated.launcher, "hosts", sharing_memory)
    kind, words = lone(tmp_path, over(available("ucx"), 2, **SHARED))
    assert kind == "WrongPath"
    assert words.startswith("eth0 of host-0 sent ")
    assert "and 1.2 MB of payload had to leave that host" in words


def test_such_a_path_may_be_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulated.launcher, "hosts", sharing_memory)
    measure(tmp_path, over(available("ucx"), 2, prove_path=False, **SHARED))


def test_hosts_share_no_memory(tmp_path: Path) -> None:
    kind, words = lone(tmp_path, over(available("ucx"), 2, **SHARED))
    assert kind == "ChannelError"
    assert "finds no way to the peer over transport shm" in words


def test_what_moves_nothing_has_not_crossed(tmp_path: Path) -> None:
    kind, words = lone(tmp_path, over("null", 2, pattern={"reply": "echo"}))
    assert kind == "WrongPath"
    assert words.startswith("eth0 of host-0 sent 0 B, and 1.2 MB")
