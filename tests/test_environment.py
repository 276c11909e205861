"""The facts of a host, read from trees of files that stand for hosts."""

import os
import resource
from pathlib import Path

import msgspec
import pytest

from tensorwire.environment import (
    Files,
    MemoryLimit,
    chosen,
    container,
    control_groups,
    count,
    cpu_model,
    cpu_quota,
    meminfo,
    memory_limits,
    number,
    record,
    virtualization,
)
from tensorwire.result import Environment

FACTS = {
    *("architecture", "frequency_governor", "turbo", "smt", "numa_nodes", "clock_source"),
    *("virtualization", "container"),
    *("tcp_congestion", "tcp_congestion_available", "rmem_max", "wmem_max", "tcp_rmem", "tcp_wmem"),
    *("loopback_mtu", "memory_available", "load_average", "transparent_hugepages"),
    *("cgroup_cpu", "cgroup_memory", "limit_nofile", "limit_memlock", "limit_nproc"),
}
X86 = "processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nflags\t\t: fpu sse2\n\nprocessor\t: 1\nmodel name\t: B\n"
X86_GUEST = X86.replace("sse2", "sse2 hypervisor")
ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n"


def host(root: Path, files: dict[str, str]) -> Files:
    """A host that consists of `files`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Files(root)


def test_this_host_is_recorded_in_the_allowed_facts_alone() -> None:
    here = record()
    assert set(here.facts) == FACTS
    assert set(here.versions) <= {"python", "tensorwire", "libc", "msgspec", "grpcio"}
    assert here.cores == tuple(sorted(os.sched_getaffinity(0)))
    assert here.memory_bytes > 2**20
    assert here.host
    assert here.kernel
    assert all(here.facts.values())


def test_a_record_survives_the_result_file() -> None:
    here = record()
    assert msgspec.json.decode(msgspec.json.encode(here), type=Environment) == here


def test_no_value_of_the_environment_variables_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "a-value-that-stands-nowhere-else")
    assert b"a-value-that-stands-nowhere-else" not in msgspec.json.encode(record())


def test_nothing_is_started_to_know_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    for name in ("fork", "posix_spawn", "system"):
        monkeypatch.setattr(os, name, refuse)
    monkeypatch.setattr("subprocess.Popen", refuse)
    record()


def test_a_host_that_tells_nothing_is_unknown_not_an_error(tmp_path: Path) -> None:
    silent = record(Files(tmp_path))
    assert set(silent.facts) == FACTS
    assert silent.cpu == "unknown"
    assert silent.memory_bytes == 0
    assert {silent.facts[name] for name in ("smt", "numa_nodes", "clock_source", "virtualization")} == {"unknown"}
    assert {silent.facts[name] for name in ("tcp_congestion", "tcp_rmem", "loopback_mtu", "load_average")} == {
        "unknown"
    }
    assert silent.facts["frequency_governor"] == "not exposed"
    assert silent.facts["turbo"] == "not exposed"
    assert silent.facts["container"] == "none"


def test_the_facts_of_a_laptop(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    cpu = "sys/devices/system/cpu"
    facts = record(
        host(
            tmp_path,
            {
                "proc/cpuinfo": X86,
                "proc/meminfo": "MemTotal:  16000 kB\nMemAvailable:  8000 kB\nHugePages_Total:       0\n",
                "proc/loadavg": "0.52 1.21 2.22 4/126 8629\n",
                f"{cpu}/cpu{core}/cpufreq/scaling_governor": "powersave\n",
                f"{cpu}/intel_pstate/no_turbo": "0\n",
                f"{cpu}/smt/active": "1\n",
                "sys/devices/system/node/online": "0-1\n",
                "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
                "proc/sys/net/ipv4/tcp_congestion_control": "cubic\n",
                "proc/sys/net/ipv4/tcp_available_congestion_control": "reno cubic\n",
                "proc/sys/net/ipv4/tcp_rmem": "4096\t131072\t6291456\n",
            },
        )
    ).facts
    expected = {
        "frequency_governor": "powersave",
        "turbo": "on",
        "smt": "on",
        "numa_nodes": "2",
        "transparent_hugepages": "madvise",
        "tcp_congestion": "cubic",
        "tcp_congestion_available": "reno cubic",
        "tcp_rmem": "4096 131072 6291456",
        "load_average": "0.52 1.21 2.22",
        "memory_available": "8192000 B",
        "virtualization": "none",
    }
    assert {name: facts[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (X86, "Some CPU @ 3 GHz"),
        (ARM, "implementer 0x41, part 0xd40"),
        ("processor : 0\ncpu\t\t: POWER9, altivec supported\n", "POWER9, altivec supported"),
        ("", "unknown"),
    ],
)
def test_the_processor_is_named(text: str, name: str) -> None:
    assert cpu_model(text) == name


@pytest.mark.parametrize(
    ("cpuinfo", "vendor", "product", "what"),
    [
        (X86, "", "", "none"),
        (X86, "Dell Inc.", "XPS 13", "none"),
        (X86_GUEST, "", "", "a hypervisor that gives no name"),
        (X86_GUEST, "QEMU", "Standard PC", "QEMU Standard PC"),
        (ARM, "Amazon EC2", "c7g.large", "Amazon EC2 c7g.large"),
        (ARM, "Amazon EC2", "c7g.metal", "none"),
        (ARM, "", "", "unknown"),
        ("", "", "", "unknown"),
    ],
)
def test_a_virtual_machine_is_told_from_metal(cpuinfo: str, vendor: str, product: str, what: str) -> None:
    assert virtualization(cpuinfo, vendor, product) == what


@pytest.mark.parametrize(
    ("cgroup", "marks", "what"),
    [
        ("0::/init.scope", [], "none"),
        ("0::/", ["docker"], "docker"),
        ("4:memory:/docker/1234", [], "docker"),
        ("4:memory:/lxc/box", [], "lxc"),
        ("0::/kubepods/besteffort/pod1", ["docker"], "docker, kubernetes"),
        ("0::/kubepods/besteffort/pod1", ["kubernetes"], "kubernetes"),
    ],
)
def test_a_container_is_known_by_its_marks(cgroup: str, marks: list[str], what: str) -> None:
    assert container(cgroup, marks) == what


@pytest.mark.parametrize(
    ("mark", "kind"),
    [
        (".dockerenv", "docker"),
        ("run/.containerenv", "podman"),
        ("var/run/secrets/kubernetes.io/x", "kubernetes"),
    ],
)
def test_the_marks_of_containers_are_looked_for(tmp_path: Path, mark: str, kind: str) -> None:
    assert record(host(tmp_path, {mark: ""})).facts["container"] == kind


def test_meminfo_is_in_bytes_and_leaves_out_what_it_cannot_read() -> None:
    assert meminfo("MemTotal:   2 kB\nHugePages_Free:  3\nodd line\nBad: x kB\n") == {
        "MemTotal": 2048,
        "HugePages_Free": 3072,
    }


def test_small_parsers() -> None:
    assert chosen("always [madvise] never") == "madvise"
    assert chosen("never") == "never"
    assert chosen("") == "unknown"
    assert count("0") == 1
    assert count("0-3,8") == 5
    assert number("12") == 12
    assert number("max") is None
    assert number(None) is None
    assert control_groups("4:cpu,cpuacct:/a\n0::/b\n\nodd") == {"cpu": "/a", "cpuacct": "/a", "": "/b"}


def test_the_tightest_limit_of_version_2_groups_counts(tmp_path: Path) -> None:
    files = host(
        tmp_path,
        {
            "proc/self/cgroup": "0::/outer/inner\n",
            "sys/fs/cgroup/outer/cpu.max": "50000 100000\n",
            "sys/fs/cgroup/outer/inner/cpu.max": "max 100000\n",
            "sys/fs/cgroup/outer/memory.max": "1000000\n",
            "sys/fs/cgroup/outer/memory.current": "600000\n",
            "sys/fs/cgroup/outer/memory.stat": "anon 1\ninactive_file 200000\n",
            "sys/fs/cgroup/outer/inner/memory.max": "max\n",
        },
    )
    assert cpu_quota(files) == 0.5
    assert memory_limits(files) == [MemoryLimit(limit_bytes=1_000_000, used_bytes=400_000)]
    facts = record(files).facts
    assert facts["cgroup_cpu"] == "0.5 cores"
    assert facts["cgroup_memory"] == "1000000 B"


def test_version_1_groups_as_a_container_sees_them(tmp_path: Path) -> None:
    files = host(
        tmp_path,
        {
            "proc/self/cgroup": "5:memory:/docker/1234\n4:cpu,cpuacct:/docker/1234\n0::/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "1000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "100\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert cpu_quota(files) == 1.5
    assert memory_limits(files) == [MemoryLimit(limit_bytes=1000, used_bytes=100)]


def test_groups_without_limits_set_none(tmp_path: Path) -> None:
    files = host(
        tmp_path,
        {
            "proc/self/cgroup": "5:memory:/\n4:cpu:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert cpu_quota(files) is None
    assert memory_limits(files) == []


def test_limits_are_recorded_soft_and_hard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, resource.RLIM_INFINITY))
    assert record().facts["limit_nofile"] == "1024 (hard unlimited)"


def test_another_libc_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> str:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "confstr", refuse)
    assert record().versions["libc"] == "unknown"
