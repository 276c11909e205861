"""What this host cannot do is refused, with the reason and the remedy."""

import math
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tensorwire import preflight
from tensorwire.benchmarks import Pattern, Role
from tensorwire.channels import Native
from tensorwire.environment import Files
from tensorwire.errors import AddressInUse, LaunchError, SpecError
from tensorwire.launchers.emulated import launcher as emulated
from tensorwire.launchers.local import launcher as local
from tensorwire.payload import Custom, Random
from tensorwire.preflight import available_memory, demand, needed_memory, port_is_free, resolve
from tensorwire.spec import Closed, Placement, Spec
from tensorwire.units import Bytes

PAIR = Pattern(roles=(Role(name="ps", serves=True), Role(name="worker", serves=False, calls=(0,))), reply="echo")
MIB = 2**20


PLAIN = Native(name="plain", summary="moves bytes as they are")
SERIALIZING = Native(name="serializing", summary="has messages", serializes=True)


def meshed(nodes: int) -> Pattern:
    roles = (
        Role(name="node", serves=True, calls=tuple(peer for peer in range(nodes) if peer != me)) for me in range(nodes)
    )
    return Pattern(roles=tuple(roles), reply="echo")


def limits(monkeypatch: pytest.MonkeyPatch, **soft: int) -> None:
    kinds = {getattr(resource, f"RLIMIT_{name.upper()}"): value for name, value in soft.items()}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (kinds.get(kind, -1), -1))


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_what_works_is_let_through() -> None:
    preflight.preflight(Spec(port=0), PAIR, PLAIN, local)
    preflight.preflight(Spec(port=0, mode="serialized"), PAIR, SERIALIZING, local)


def test_hosts_with_addresses_of_their_own_need_none_and_take_none() -> None:
    preflight.preflight(Spec(), PAIR, PLAIN, emulated)
    for host in ("127.0.0.1", "unix"):
        with pytest.raises(SpecError, match=f"host is '{host}', but must be left out: hosts of launcher emulated"):
            preflight.preflight(Spec(host=host), PAIR, PLAIN, emulated)


def test_serialized_is_refused_where_bytes_move_as_they_are() -> None:
    with pytest.raises(SpecError, match=r"channel plain .* no serialized mode; use --mode non-serialized"):
        preflight.preflight(Spec(port=0, mode="serialized"), PAIR, PLAIN, local)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2"])
def test_a_local_host_is_resolved(host: str) -> None:
    assert resolve(host) == (host if host != "localhost" else "127.0.0.1")


@pytest.mark.parametrize("host", ["unix", "unix:/tmp"])
def test_unix_sockets_are_left_as_they_are(host: str) -> None:
    assert resolve(host) == host


@pytest.mark.parametrize("host", ["198.51.100.7", "0.0.0.0", "224.0.0.1"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(SpecError, match="no address that ranks of this machine can serve at"):
        resolve(host)


@pytest.mark.parametrize("host", ["", "no such name", "a\0b", "x" * 300, "300.1.1.1"])
def test_an_unknown_name_is_refused(host: str) -> None:
    with pytest.raises(SpecError, match="is not known here") as refused:
        resolve(host)
    assert refused.value.field == "host"


def test_127_0_0_1_is_preferred_among_the_addresses_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert resolve("some-name") == "127.0.0.1"


def test_a_port_is_free_until_somebody_listens(taken: int) -> None:
    assert not port_is_free("127.0.0.1", taken)
    assert port_is_free("127.0.0.2", taken)


def test_a_look_at_a_port_leaves_it_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    assert port_is_free("127.0.0.1", port)
    assert port_is_free("127.0.0.1", port)


def test_a_port_in_use_is_named_with_the_remedy(taken: int) -> None:
    with pytest.raises(AddressInUse, match=rf"port {taken} of 127\.0\.0\.1 is in use; .*--port N.*--port 0"):
        preflight.check_address(Spec(port=taken), PAIR)


def test_the_ports_of_all_serving_ranks_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "port_is_free", lambda _, port: port != 4002)
    with pytest.raises(AddressInUse, match="port 4002 "):
        preflight.check_address(Spec(port=4000), meshed(3))


def test_a_forbidden_port_is_a_wrong_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(SpecError, match="may not listen at port 80"):
        port_is_free("127.0.0.1", 80)


def test_ports_end() -> None:
    with pytest.raises(SpecError, match=r"would serve at port 65537, .*--port 65533") as refused:
        preflight.check_address(Spec(port=65535), meshed(3))
    assert refused.value.field == "port"


def test_unix_sockets_have_no_ports(tmp_path: Path) -> None:
    preflight.check_address(Spec(host="unix"), PAIR)
    preflight.check_address(Spec(host=f"unix:{tmp_path}", port=0), PAIR)
    with pytest.raises(SpecError, match="port is 4000"):
        preflight.check_address(Spec(host="unix", port=4000), PAIR)


def test_the_directory_of_unix_sockets_must_be_there(tmp_path: Path) -> None:
    for host in ("unix:", f"unix:{tmp_path}/nowhere"):
        with pytest.raises(SpecError, match="a directory that can be written to"):
            preflight.check_address(Spec(host=host), PAIR)
    long = tmp_path / ("d" * 100)
    long.mkdir()
    with pytest.raises(SpecError, match="more than 107 bytes"):
        preflight.check_address(Spec(host=f"unix:{long}"), PAIR)


def test_a_congestion_control_that_the_kernel_has_is_taken() -> None:
    preflight.check_congestion(Spec(placement=Placement(congestion="reno")))
    preflight.check_congestion(Spec())


@pytest.mark.parametrize("name", ["no-such", "", "a" * 40, "re\0no"])
def test_another_congestion_control_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(SpecError, match=r"unknown congestion control .* known: .*reno"):
        preflight.check_congestion(Spec(placement=Placement(congestion=name)))


def test_a_congestion_control_for_root_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket.socket, "setsockopt", refuse)
    with pytest.raises(SpecError, match="may not use congestion control 'bbr'; use one that"):
        preflight.check_congestion(Spec(placement=Placement(congestion="bbr")))


def test_unix_sockets_have_no_congestion_control() -> None:
    with pytest.raises(SpecError, match="Unix-domain sockets"):
        preflight.check_congestion(Spec(host="unix", placement=Placement(congestion="reno")))


def test_more_memory_than_there_is_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "available_memory", lambda: Bytes(10 * MIB))
    with pytest.raises(SpecError, match=r"2 ranks need about .* and 10 MiB are available; use smaller"):
        preflight.check_memory(Spec(), PAIR)


def test_terabytes_are_more_than_this_machine_has() -> None:
    enormous = Spec(port=0, payload=Custom(buffers=(Bytes(2**31),) * 4096))
    with pytest.raises(SpecError, match="of memory for these payloads"):
        preflight.preflight(enormous, PAIR, PLAIN, local)


def payload_memory(spec: Spec, pattern: Pattern) -> int:
    """What the payloads cost, above ranks that move next to nothing."""
    empty = Spec(sizes=(Bytes(1),), mode=spec.mode, load=spec.load, threads=spec.threads)
    return needed_memory(spec, pattern) - needed_memory(empty, pattern)


def test_a_payload_is_held_once_and_has_copies_in_flight() -> None:
    needed = payload_memory(Spec(sizes=(Bytes(100 * MIB),)), PAIR)
    assert needed == pytest.approx(500 * MIB, rel=0.001)


def test_serialized_holds_messages_too() -> None:
    needed = payload_memory(Spec(sizes=(Bytes(100 * MIB),), mode="serialized"), PAIR)
    assert needed == pytest.approx(800 * MIB, rel=0.001)


def test_every_call_in_flight_has_copies() -> None:
    needed = payload_memory(Spec(sizes=(Bytes(100 * MIB),), load=Closed(outstanding=8)), PAIR)
    assert needed == pytest.approx(3300 * MIB, rel=0.001)


def test_many_draws_cost_as_much_as_their_widest_buffers() -> None:
    drawn = Spec(payload=Random(draw="per-call", draws=1000, count=10))
    widest = Spec(payload=Custom(buffers=("large",) * 10))
    assert needed_memory(drawn, PAIR) <= needed_memory(widest, PAIR) + 2 * MIB


def test_connections_take_the_widest_payload_that_may_come() -> None:
    drawn = Spec(payload=Random(draw="per-call", draws=64, count=1000))
    widest, largest = 1000 * 1_000_000, max(payload.total for payload in drawn.payload.payloads())
    assert widest > 2 * largest
    assert payload_memory(drawn, PAIR) == pytest.approx(3 * widest, rel=0.01)


def test_one_point_of_a_sweep_is_held_at_a_time() -> None:
    sweep = Spec(sizes=(Bytes(MIB), Bytes(64 * MIB), Bytes(2 * MIB)))
    assert needed_memory(sweep, PAIR) == needed_memory(Spec(sizes=(Bytes(64 * MIB),)), PAIR)


def test_every_rank_that_calls_counts_with_all_its_peers() -> None:
    needed = payload_memory(Spec(sizes=(Bytes(100 * MIB),)), meshed(4))
    assert needed == pytest.approx(4 * 1300 * MIB, rel=0.001)


def test_memory_is_available_within_the_machine_and_the_control_groups(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": "MemAvailable: 1000 kB\n",
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": "900000\n",
        "sys/fs/cgroup/memory.current": "500000\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_memory(Files(tmp_path)) == 400_000
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("max\n")
    assert available_memory(Files(tmp_path)) == 1_024_000


def test_unknown_memory_is_not_a_reason_to_refuse(tmp_path: Path) -> None:
    assert available_memory(Files(tmp_path)) > 2**60


def test_this_machine_has_memory() -> None:
    assert 2**20 < available_memory() < 2**60


def test_demand_counts_connections_at_both_ends() -> None:
    need = demand(Spec(threads=4, load=Closed(outstanding=8)), meshed(3))
    assert need.open_files - 32 == 4
    assert need.most_open_files - 32 == 2 * 4 * 2
    assert need.processes == 4


def test_threads_open_no_more_connections_than_there_are_slots() -> None:
    need = demand(Spec(threads=64), meshed(3))
    assert need.most_open_files == need.open_files


def test_too_few_open_files_are_hopeless(monkeypatch: pytest.MonkeyPatch) -> None:
    limits(monkeypatch, nofile=64)
    preflight.check_limits(Spec(), meshed(8))
    with pytest.raises(LaunchError, match=r"64 ranks need 158 open files .* limit is 64; .*ulimit -n 158"):
        preflight.check_limits(Spec(), meshed(64))


def test_too_few_processes_are_hopeless_except_to_root(monkeypatch: pytest.MonkeyPatch) -> None:
    limits(monkeypatch, nproc=8)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LaunchError, match=r"64 ranks are more than the 8 processes .*ulimit -u 65"):
        preflight.check_limits(Spec(), meshed(64))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    preflight.check_limits(Spec(), meshed(64))


def test_no_limit_is_infinite(monkeypatch: pytest.MonkeyPatch) -> None:
    limits(monkeypatch)
    assert preflight.soft_limit(resource.RLIMIT_NOFILE) == math.inf
