"""What the doctor finds, with plug-ins and hosts made for the purpose."""

import io
import resource
import socket
from collections.abc import Callable
from importlib.metadata import EntryPoint

import msgspec
import pytest
from rich.console import Console

from tensorwire import channels, environment, preflight, registry
from tensorwire.doctor import Check, checks, render, verdict
from tensorwire.errors import SpecError
from tensorwire.launchers import emulated
from tensorwire.payload import Custom
from tensorwire.result import Environment
from tensorwire.spec import Closed, Placement, Spec
from tensorwire.units import Bytes

QUIET = {
    "frequency_governor": "performance",
    "virtualization": "none",
    "load_average": "0.01 0.02 0.03",
    "clock_source": "tsc",
    "tcp_congestion": "cubic",
    "cgroup_cpu": "none",
}
ENTRIES = {
    "channel": {
        "tcp": "tensorwire.channels.tcp:channel",
        "null": "tensorwire.channels.null:channel",
        "unimportable": "no_such_module:channel",
        "renamed": "tensorwire.channels.tcp:no_such_name",
    },
    "benchmark": {
        "p2p-latency": "tensorwire.benchmarks.p2p:latency",
        "fully-connected": "tensorwire.benchmarks.fully_connected:benchmark",
    },
    "launcher": {
        "emulated": "tensorwire.launchers.emulated:launcher",
        "local": "tensorwire.launchers.local:launcher",
    },
}
SPEC = Spec(channel="tcp", port=0)
Pretend = Callable[..., None]


@pytest.fixture(autouse=True)
def plug_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that holds `ENTRIES`, with no native program built."""
    found = {
        kind: {name: EntryPoint(name, value, f"tensorwire.{kind}s") for name, value in entries.items()}
        for kind, entries in ENTRIES.items()
    }
    monkeypatch.setattr(registry, "_found", lambda kind: found[kind])
    monkeypatch.setattr(channels, "installed", lambda _: None)


@pytest.fixture(autouse=True)
def pretend(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """A quiet host with four cores, and a way to change its facts."""
    here = environment.record()

    def change(cores: int = 4, **facts: str) -> None:
        told = {**here.facts, **QUIET, **facts}
        made: Environment = msgspec.structs.replace(here, cores=tuple(range(cores)), facts=told)
        monkeypatch.setattr(environment, "record", lambda: made)

    change()
    return change


def look(name: str, spec: Spec = SPEC) -> Check:
    """The one check of this name."""
    (check,) = (each for each in checks(spec) if each.name == name)
    return check


def test_all_areas_are_looked_at_in_order() -> None:
    areas = list(dict.fromkeys(check.area for check in checks(SPEC)))
    assert areas == ["channels", "launchers", "limits", "host", "ports", "memory"]


def test_every_finding_that_is_not_well_says_what_to_do() -> None:
    for check in checks(SPEC):
        assert check.finding
        assert bool(check.remedy) == (check.state != "ok"), check


def test_a_channel_that_was_not_built_is_missing_with_its_sentence() -> None:
    check = look("tcp")
    assert check.state == "missing"
    assert check.finding == "channel tcp was not built here"
    assert check.remedy.endswith("then install tensorwire again")


def test_a_channel_that_works_shows_its_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "installed", lambda program: f"/bin/{program}")
    assert look("tcp") == Check(area="channels", name="tcp", state="ok", finding="tensorwire-rank-tcp")


@pytest.mark.parametrize(("name", "what"), [("unimportable", "no_such_module"), ("renamed", "no_such_name")])
def test_a_channel_whose_module_does_not_load_is_missing_alone(name: str, what: str) -> None:
    check = look(name)
    assert check.state == "missing"
    assert what in check.finding
    assert not check.needed


def test_a_launcher_that_this_process_may_not_use_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulated, "_lacking", lambda _: ["CAP_SYS_ADMIN"])
    check = look("emulated")
    assert (check.state, check.needed) == ("missing", False)
    assert "lacks CAP_SYS_ADMIN" in check.finding
    assert "as root" in check.remedy
    assert look("emulated", msgspec.structs.replace(SPEC, launcher="emulated")).needed
    assert look("local").state == "ok"


def test_hosts_with_addresses_of_their_own_need_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulated, "_lacking", lambda _: [])
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = msgspec.structs.replace(SPEC, launcher="emulated", port=other.getsockname()[1])
        assert look("hosts", taken).state == "ok"
    assert look("hosts", msgspec.structs.replace(SPEC, launcher="emulated", host="unix")).state == "missing"


def test_the_verdict_is_about_what_the_request_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert verdict(checks(SPEC)) == 3
    monkeypatch.setattr(channels, "installed", lambda program: f"/bin/{program}")
    assert verdict(checks(SPEC)) == 0
    assert verdict(checks(msgspec.structs.replace(SPEC, channel="unimportable"))) == 3


def test_warnings_do_not_fail_the_verdict() -> None:
    assert verdict([Check(area="host", name="x", state="warning", finding="f", remedy="r")]) == 0


@pytest.mark.parametrize("wrong", [{"channel": "carrier-pigeon"}, {"benchmark": "nonsense"}])
def test_a_request_for_what_does_not_exist_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(SpecError, match="unknown"):
        checks(msgspec.structs.replace(SPEC, **wrong))


def test_without_a_request_the_default_one_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    grpc = EntryPoint("grpc", "tensorwire.channels.grpc:channel", "tensorwire.channels")
    found = {"channel": {"grpc": grpc}, **{kind: registry._found(kind) for kind in ("benchmark", "launcher")}}
    monkeypatch.setattr(registry, "_found", lambda kind: found[kind])
    monkeypatch.setattr(preflight, "port_is_free", lambda _, port: port != 50001)
    assert checks()[0].needed
    assert [check.finding for check in checks() if check.area == "ports"] == ["port 50001 of 127.0.0.1 is in use"]


def test_a_quiet_host_is_well() -> None:
    assert {check.state for check in checks(SPEC) if check.area == "host"} == {"ok"}


@pytest.mark.parametrize(
    ("facts", "name", "remedy"),
    [
        ({"frequency_governor": "powersave"}, "frequency governor", "cpupower"),
        ({"virtualization": "QEMU Standard PC"}, "virtualization", "--repeat"),
        ({"load_average": "3.50 2.00 1.00"}, "load average", "wait"),
        ({"clock_source": "hpet"}, "clock source", "tsc"),
        ({"tcp_congestion": "bbr"}, "congestion control", "cubic"),
        ({"cgroup_cpu": "0.5 cores"}, "cpu quota", "raise"),
    ],
)
def test_what_moves_the_numbers_is_a_warning(pretend: Pretend, facts: dict[str, str], name: str, remedy: str) -> None:
    pretend(**facts)
    check = look(name)
    assert check.state == "warning"
    assert remedy in check.remedy


def test_what_a_host_does_not_tell_is_no_warning(pretend: Pretend) -> None:
    pretend(**dict.fromkeys(QUIET, environment.UNKNOWN) | {"frequency_governor": environment.HIDDEN})
    assert {check.state for check in checks(SPEC) if check.area == "host"} == {"ok"}


def test_more_ranks_than_cores_are_a_warning_that_explains(pretend: Pretend) -> None:
    pretend(cores=1)
    check = look("cores")
    assert check.state == "warning"
    assert check.finding == "2 ranks; cores that they may use: 1"
    assert "latency includes waiting" in check.remedy


def test_ranks_that_share_a_core_as_asked_are_well(pretend: Pretend) -> None:
    pretend(cores=1)
    assert look("cores", msgspec.structs.replace(SPEC, placement=Placement(pin="same"))).state == "ok"


def test_the_congestion_control_asked_for_counts(pretend: Pretend) -> None:
    pretend(tcp_congestion="bbr")
    assert look("congestion control", msgspec.structs.replace(SPEC, host="unix")).state == "ok"
    reno = msgspec.structs.replace(SPEC, placement=Placement(congestion="reno"))
    assert look("congestion control", reno).state == "ok"
    unknown = msgspec.structs.replace(SPEC, placement=Placement(congestion="no-such"))
    assert look("congestion control", unknown).state == "missing"


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        check = look("localhost", msgspec.structs.replace(SPEC, port=port))
    assert check.state == "missing"
    assert check.finding == f"port {port} of 127.0.0.1 is in use"
    assert "--port 0" in check.remedy


@pytest.mark.parametrize(
    ("host", "port", "finding"),
    [
        ("localhost", 0, "any free ports"),
        ("unix", 50001, "Unix-domain sockets"),
        ("localhost", 4000, "4000 is free"),
    ],
)
def test_free_addresses_are_described(monkeypatch: pytest.MonkeyPatch, host: str, port: int, finding: str) -> None:
    monkeypatch.setattr(preflight, "port_is_free", lambda *_: True)
    assert look(host, msgspec.structs.replace(SPEC, host=host, port=port)).finding == finding


def test_an_unknown_host_is_missing() -> None:
    assert look("198.51.100.7", msgspec.structs.replace(SPEC, host="198.51.100.7")).state == "missing"


def test_memory_is_held_against_what_is_available() -> None:
    assert look("payloads").state == "ok"
    enormous = msgspec.structs.replace(SPEC, payload=Custom(buffers=(Bytes(2**31),) * 4096))
    assert look("payloads", enormous).state == "missing"


def test_limits_are_held_against_the_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    soft = {resource.RLIMIT_NOFILE: 100, resource.RLIMIT_MEMLOCK: 64 * 1024}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft.get(kind, -1), -1))
    mesh = msgspec.structs.replace(SPEC, benchmark="fully-connected", pattern={"nodes": 16})
    assert look("locked memory", mesh).state == "warning"
    assert look("open files", mesh).state == "ok"
    threads = msgspec.structs.replace(mesh, threads=64)
    assert look("open files", msgspec.structs.replace(threads, load=Closed(outstanding=8))).state == "warning"
    assert look("open files", msgspec.structs.replace(mesh, pattern={"nodes": 64})).state == "missing"


def printed(found: list[Check]) -> str:
    stream = io.StringIO()
    render(found, Console(file=stream, width=100))
    return stream.getvalue()


def test_the_table_shows_areas_once_marks_and_remedies() -> None:
    text = printed(
        [
            Check(area="channels", name="tcp", state="ok", finding="/bin/x"),
            Check(
                area="channels",
                name="grpc",
                state="missing",
                finding="not built",
                remedy="apt-get install it",
            ),
            Check(area="host", name="load", state="warning", finding="[bold]high[/bold]", remedy="wait"),
        ]
    )
    assert text.count("channels") == 1
    for part in ("ok", "missing", "warn", "/bin/x", "apt-get install it", "[bold]high[/bold]"):
        assert part in text
    assert text.index("channels") < text.index("grpc") < text.index("host")


def test_nothing_to_show_is_no_error() -> None:
    assert printed([]).strip()
