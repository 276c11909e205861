"""Runs on emulated hosts as a user types them: what befalls the network, the driver and the rendezvous ends in a
sentence or in numbers, and nothing is left on the machine."""

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import msgspec
import pytest

from tensorwire.errors import LauncherUnavailable
from tensorwire.launchers import emulated
from tensorwire.plan import Plan
from tensorwire.result import Result
from tensorwire.session import failures
from tests.system import plug_in
from tests.system.conftest import Run, Start
from tests.system.driver import ENDLESS, PROGRAM, SHORT, Driver, wait_until

try:
    emulated.launcher.check(emulated.Options())
except LauncherUnavailable as unavailable:
    pytest.skip(str(unavailable), allow_module_level=True)

HOSTS = ("--hosts", "emulated:2", "--output", "r.json")
ALL = pytest.mark.parametrize("channel", ["tcp", "grpc", "grpc-python", "ucx"])
SIGNALS = pytest.mark.parametrize("what", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])


def machine() -> tuple[list[str], str, list[str]]:
    """What a cluster could leave behind: interfaces, mounts, and names of network namespaces."""
    named = Path("/run/netns")
    interfaces = [name for _, name in socket.if_nameindex()]
    return interfaces, Path("/proc/mounts").read_text(), sorted(os.listdir(named)) if named.exists() else []


def runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def holder(driver: Driver) -> int:
    """The process that holds the hosts of a driver."""
    children = Path(f"/proc/{driver.process.pid}/task/{driver.process.pid}/children").read_text().split()
    (found,) = [int(pid) for pid in children if b"namespaces.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return found


def link(rank: int, state: str) -> None:
    """Plugs in, or out, the interface of the host that a process is on."""
    subprocess.run(("nsenter", "-t", str(rank), "-n", "ip", "link", "set", "eth0", state), check=True)


def plan(home: Path) -> Plan:
    (file,) = home.glob("tensorwire-*/plan.json")
    return msgspec.json.decode(file.read_bytes(), type=Plan)


def calls(result: Result) -> int:
    assert failures(result) == []
    return sum(each.calling.calls for each in result.repetitions[0].measurements if each.calling)


def test_ranks_are_told_with_their_hosts(run: Run) -> None:
    done = run("run", "ps-throughput", "--workers", "3", *SHORT, *HOSTS, "-c", "tcp", "--fabric", "10gbe")
    assert done.code == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert re.search(
        r"hosts emulated, 10 Gbit/s each way, 2[\d.]+ KB at once, with MTU 1500; host-0: ps, worker;", told
    )
    assert "; host-1: 2 x worker; up in " in told


@SIGNALS
def test_a_driver_that_ends_leaves_nothing(start: Start, what: signal.Signals) -> None:
    before = machine()
    driver = start("run", *ENDLESS, *HOSTS)
    all_of_it = [*driver.wait_for_calls().values(), holder(driver)]
    assert all(map(runs, all_of_it))
    assert machine() == before, "hosts are seen from inside alone"
    driver.send(what)
    wait_until(lambda: not any(map(runs, all_of_it)), "the end of the ranks and of the hosts")
    driver.process.wait()
    assert machine() == before


def test_a_driver_that_is_killed_while_hosts_come_up_leaves_nothing(start: Start) -> None:
    before = machine()
    driver = start("run", *ENDLESS, "--hosts", "emulated:64")
    children = Path(f"/proc/{driver.process.pid}/task/{driver.process.pid}/children")
    wait_until(lambda: children.read_text() != "", "the process that makes the hosts")
    pids = [int(pid) for pid in children.read_text().split()]
    driver.send(signal.SIGKILL)
    wait_until(lambda: not any(map(runs, pids)), "its end")
    assert machine() == before


def test_hosts_whose_holder_is_killed_are_missed(start: Start) -> None:
    driver = start("run", *ENDLESS, *HOSTS)
    driver.wait_for_calls()
    os.kill(holder(driver), signal.SIGKILL)
    done = driver.wait()
    assert done.code == 1
    done.said("the process that holds the emulated hosts was killed")


@ALL
def test_a_network_that_is_gone_ends_the_run_in_time(start: Start, channel: str) -> None:
    driver = start("run", *ENDLESS, "-c", channel, *HOSTS, "--timeout", "2s")
    link(driver.wait_for_calls()[1], "down")
    done = driver.wait()
    assert done.code == 1
    done.said("1 failed, the last with ")
    assert failures(driver.result())[0].type in ("TransferTimeout", "PeerLost")


@ALL
def test_a_network_that_comes_back_is_gone_on_with(start: Start, channel: str) -> None:
    driver = start("run", *ENDLESS, "-c", channel, *HOSTS, "--duration", "4s")
    ranks = driver.wait_for_calls()
    link(ranks[1], "down")
    link(ranks[1], "up")
    done = driver.wait()
    assert done.code == 0, done.stderr
    assert calls(driver.result()) > 0


def test_two_clusters_do_not_see_each_other(start: Start) -> None:
    words = (*ENDLESS, "--duration", "1s", "--hosts", "emulated:3", "--port", "50001")
    one = start("run", *words, "--output", "one.json")
    other = start("run", *words, "--output", "other.json")
    assert (one.done().code, other.done().code) == (0, 0)
    addresses = set()
    for file in ("one.json", "other.json"):
        assert calls(one.result(file)) > 0
        network = one.result(file).repetitions[0].network
        assert network is not None
        addresses.add(tuple(host.address for host in network.hosts))
    assert len(addresses) == 1


def test_a_host_that_never_joins_is_named(run: Run, home: Path) -> None:
    found = plug_in.install(home / "plug", "absent", plug_in.WORKER_NEVER_JOINS)
    done = run("run", *SHORT, *HOSTS, "-c", "absent", "--join-timeout", "3s", **found)
    assert done.code == 1
    done.said("rank 1 (worker on host-1) did not join within 3 s")


def test_a_rank_without_the_token_is_turned_away(run: Run, home: Path) -> None:
    found = plug_in.install(home / "plug", "wrong", '[ "$3" = 1 ] && export TENSORWIRE_TOKEN=wrong\nexec "$@"\n')
    done = run("run", *SHORT, *HOSTS, "-c", "wrong", **found)
    assert done.code == 1
    done.said("rank 1 (worker on host-1) exited with code 1")
    assert "it turned away this rank, which is not one of the run or does not know its token" in done.stderr


@pytest.mark.parametrize("hosts", [HOSTS, ("--output", "r.json")], ids=["emulated", "local"])
def test_a_stranger_at_the_rendezvous_disturbs_nothing(start: Start, home: Path, hosts: tuple[str, ...]) -> None:
    driver = start("run", *ENDLESS, *hosts, "--duration", "1s")
    driver.wait_for_ranks()
    kind, _, place = plan(home).rendezvous.rpartition(":")
    for words in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100):
        family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
        with socket.socket(family) as stranger:
            stranger.connect(place if kind == "unix" else (kind, int(place)))
            stranger.sendall(words)
    assert driver.wait().code == 0
    assert calls(driver.result()) > 0


def test_the_token_is_in_the_environment_of_ranks_alone(start: Start, home: Path) -> None:
    driver = start("run", *ENDLESS, *HOSTS, "--duration", "1s")
    ranks = driver.wait_for_calls()
    variables = Path(f"/proc/{ranks[0]}/environ").read_bytes().split(b"\0")
    (token,) = [each.partition(b"=")[2] for each in variables if each.startswith(b"TENSORWIRE_TOKEN=")]
    shown = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (*ranks.values(), holder(driver))]
    shown += [file.read_bytes() for file in home.rglob("*") if file.is_file()]
    assert driver.wait().code == 0
    shown.append((home / "r.json").read_bytes())
    assert not any(token in each for each in shown)


def test_who_may_not_make_namespaces_is_told(home: Path) -> None:
    powerless = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    done = subprocess.run(
        (*powerless, PROGRAM, "run", *SHORT, *HOSTS), cwd=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert done.stdout == ""
    (sentence,) = done.stderr.splitlines()
    assert "lacks CAP_SYS_ADMIN and CAP_NET_ADMIN; run it as root" in sentence
