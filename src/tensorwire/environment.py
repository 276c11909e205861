"""The host, by an allow-list of facts. Never environment variables, users, addresses or command lines."""

import os
import platform
import resource
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

import msgspec

import tensorwire
from tensorwire.result import Environment

UNKNOWN = "unknown"
NONE = "none"
HIDDEN = "not exposed"

_PACKAGES = ("msgspec", "grpcio")
_MOST = 1 << 14  # characters read of a file: of /proc/cpuinfo, which is slow, only the first cores
_UNLIMITED = 1 << 60  # version 1 control groups say "no limit" with a number near 2^63
_GUESTS = (
    *("amazon ec2", "bhyve", "google compute engine", "kvm", "openstack", "parallels", "qemu"),
    *("virtual machine", "virtualbox", "vmware", "xen"),
)
_CONTAINERS = {"kubepods": "kubernetes", "docker": "docker", "libpod": "podman", "lxc": "lxc"}
_CONTAINER_MARKS = {
    "var/run/secrets/kubernetes.io": "kubernetes",
    "run/.containerenv": "podman",
    ".dockerenv": "docker",
}


class Files:
    """The files in which a kernel speaks, below `root`."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def text(self, path: str) -> str | None:
        """The beginning of the file, stripped; None when it cannot be read."""
        try:
            with (self._root / path).open(errors="replace") as file:
                return file.read(_MOST).strip()
        except OSError:
            return None

    def exist(self, path: str) -> bool:
        return (self._root / path).exists()


class MemoryLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What a control group may hold, and what of it is taken and cannot be dropped."""

    limit_bytes: int
    used_bytes: int


def record(files: Files | None = None) -> Environment:
    """This host as it is now."""
    files = files or Files()
    cores = tuple(sorted(os.sched_getaffinity(0)))
    return Environment(
        host=platform.node(),
        cpu=cpu_model(files.text("proc/cpuinfo") or ""),
        cores=cores,
        memory_bytes=meminfo(files.text("proc/meminfo") or "").get("MemTotal", 0),
        kernel=platform.release(),
        facts={**_processor(files, cores), **_platform(files), **_network(files), **_room(files)},
        versions=_versions(),
    )


def congestion_controls(files: Files) -> list[str]:
    """The TCP congestion controls that the kernel has loaded, as far as it tells."""
    return (files.text("proc/sys/net/ipv4/tcp_available_congestion_control") or "").split()


def memory_limits(files: Files) -> list[MemoryLimit]:
    """The memory limits of the control groups that this process is in, from its own up to the root."""
    groups = control_groups(files.text("proc/self/cgroup") or "")
    limits = []
    for folder in _folders(groups, "memory"):
        limit = number(files.text(f"{folder}/memory.max") or files.text(f"{folder}/memory.limit_in_bytes"))
        used = number(files.text(f"{folder}/memory.current") or files.text(f"{folder}/memory.usage_in_bytes"))
        if limit is None or limit >= _UNLIMITED:
            continue
        stat = _pairs(files.text(f"{folder}/memory.stat") or "")
        cache = number(stat.get("total_inactive_file", stat.get("inactive_file"))) or 0
        limits.append(MemoryLimit(limit_bytes=limit, used_bytes=max(0, (used or 0) - cache)))
    return limits


def cpu_quota(files: Files) -> float | None:
    """How many cores' time the control groups of this process allow; None when they set no limit."""
    groups = control_groups(files.text("proc/self/cgroup") or "")
    quotas = []
    for folder in _folders(groups, "cpu"):
        both = files.text(f"{folder}/cpu.max")
        quota, period = (
            both.split()
            if both and len(both.split()) == 2
            else (files.text(f"{folder}/cpu.cfs_quota_us"), files.text(f"{folder}/cpu.cfs_period_us"))
        )
        share, whole = number(quota), number(period)
        if share is not None and whole and share > 0:
            quotas.append(share / whole)
    return min(quotas, default=None)


def cpu_model(cpuinfo: str) -> str:
    """The processor's name; on Arm, where it has none, the numbers of its maker and its part."""
    fields = _fields(cpuinfo)
    for name in ("model name", "cpu model", "cpu", "Hardware"):
        if fields.get(name):
            return fields[name]
    if "CPU part" in fields:
        return f"implementer {fields.get('CPU implementer', UNKNOWN)}, part {fields['CPU part']}"
    return UNKNOWN


def virtualization(cpuinfo: str, vendor: str, product: str) -> str:
    """Who virtualises this machine, by the processor's hypervisor flag and the names in the firmware."""
    named = f"{vendor} {product}".strip()
    flags = _fields(cpuinfo).get("flags", "").split()
    is_guest = any(mark in named.lower() for mark in _GUESTS) and "metal" not in product.lower()
    if "hypervisor" in flags or is_guest:
        return named or "a hypervisor that gives no name"
    return NONE if flags or named else UNKNOWN


def container(cgroup: str, marks: Sequence[str]) -> str:
    """The kind of container, by the marks found and the control groups of the first process."""
    kinds = [*marks, *(kind for part, kind in _CONTAINERS.items() if part in cgroup)]
    return ", ".join(dict.fromkeys(kinds)) or NONE


def meminfo(text: str) -> dict[str, int]:
    """/proc/meminfo in bytes."""
    values = {name: number(value.removesuffix(" kB")) for name, value in _fields(text).items()}
    return {name: value * 1024 for name, value in values.items() if value is not None}


def chosen(text: str) -> str:
    """The word in brackets: madvise of "always [madvise] never"."""
    _, opening, rest = text.partition("[")
    return rest.partition("]")[0] if opening else text or UNKNOWN


def count(ranges: str) -> int:
    """How many numbers a list such as 0-3,8 holds."""
    ends = [part.partition("-") for part in ranges.split(",") if part]
    return sum(int(last or first) - int(first) + 1 for first, _, last in ends)


def control_groups(text: str) -> dict[str, str]:
    """/proc/PID/cgroup as controller to path; the controller of version 2 is the empty name."""
    groups = {}
    for line in text.splitlines():
        match line.split(":", 2):
            case [_, controllers, path]:
                groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def number(text: str | None) -> int | None:
    """The whole number that `text` is; None for anything else, such as "max"."""
    try:
        return int(text or "")
    except ValueError:
        return None


def _folders(groups: dict[str, str], controller: str) -> Iterator[str]:
    """Where a controller's files may lie, from the own group up: a container may show the root alone."""
    for base, key in ((f"sys/fs/cgroup/{controller}", controller), ("sys/fs/cgroup", "")):
        if key in groups:
            own = Path(groups[key])
            yield from (f"{base}/{str(level).strip('/')}".rstrip("/") for level in (own, *own.parents))


def _processor(files: Files, cores: Sequence[int]) -> dict[str, str]:
    cpus, clock = "sys/devices/system/cpu", "sys/devices/system/clocksource/clocksource0"
    governors = {files.text(f"{cpus}/cpu{core}/cpufreq/scaling_governor") for core in cores} - {None}
    off = {"0": "on", "1": "off"}.get(files.text(f"{cpus}/intel_pstate/no_turbo") or "")
    on = {"1": "on", "0": "off"}.get(files.text(f"{cpus}/cpufreq/boost") or "")
    nodes = files.text("sys/devices/system/node/online")
    return {
        "architecture": platform.machine() or UNKNOWN,
        "frequency_governor": ", ".join(sorted(filter(None, governors))) or HIDDEN,
        "turbo": off or on or HIDDEN,
        "smt": {"1": "on", "0": "off"}.get(files.text(f"{cpus}/smt/active") or "", UNKNOWN),
        "numa_nodes": str(count(nodes)) if nodes else UNKNOWN,
        "clock_source": files.text(f"{clock}/current_clocksource") or UNKNOWN,
    }


def _platform(files: Files) -> dict[str, str]:
    dmi = "sys/class/dmi/id"
    return {
        "virtualization": virtualization(
            files.text("proc/cpuinfo") or "",
            files.text(f"{dmi}/sys_vendor") or files.text("sys/hypervisor/type") or "",
            files.text(f"{dmi}/product_name") or "",
        ),
        "container": container(
            files.text("proc/1/cgroup") or "",
            [
                *(kind for mark, kind in _CONTAINER_MARKS.items() if files.exist(mark)),
                *filter(None, [files.text("run/systemd/container")]),
            ],
        ),
    }


def _network(files: Files) -> dict[str, str]:
    net = "proc/sys/net"
    return {
        "tcp_congestion": files.text(f"{net}/ipv4/tcp_congestion_control") or UNKNOWN,
        "tcp_congestion_available": " ".join(congestion_controls(files)) or UNKNOWN,
        "rmem_max": files.text(f"{net}/core/rmem_max") or UNKNOWN,
        "wmem_max": files.text(f"{net}/core/wmem_max") or UNKNOWN,
        "tcp_rmem": " ".join((files.text(f"{net}/ipv4/tcp_rmem") or UNKNOWN).split()),
        "tcp_wmem": " ".join((files.text(f"{net}/ipv4/tcp_wmem") or UNKNOWN).split()),
        "loopback_mtu": files.text("sys/class/net/lo/mtu") or UNKNOWN,
    }


def _room(files: Files) -> dict[str, str]:
    """What there is to take: memory, limits, and how busy the host was."""
    available = meminfo(files.text("proc/meminfo") or "").get("MemAvailable")
    quota = cpu_quota(files)
    limits = [each.limit_bytes for each in memory_limits(files)]
    return {
        "memory_available": f"{available} B" if available is not None else UNKNOWN,
        "load_average": " ".join((files.text("proc/loadavg") or UNKNOWN).split()[:3]),
        "transparent_hugepages": chosen(files.text("sys/kernel/mm/transparent_hugepage/enabled") or ""),
        "cgroup_cpu": f"{quota:g} cores" if quota is not None else NONE,
        "cgroup_memory": f"{min(limits)} B" if limits else NONE,
        "limit_nofile": _limit(resource.RLIMIT_NOFILE),
        "limit_memlock": _limit(resource.RLIMIT_MEMLOCK),
        "limit_nproc": _limit(resource.RLIMIT_NPROC),
    }


def _limit(kind: int) -> str:
    limits = resource.getrlimit(kind)
    soft, hard = ("unlimited" if each == resource.RLIM_INFINITY else str(each) for each in limits)
    return f"{soft} (hard {hard})"


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "tensorwire": tensorwire.version(), "libc": _libc()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or UNKNOWN
    except (ValueError, OSError):  # another libc than glibc
        return UNKNOWN


def _fields(text: str) -> dict[str, str]:
    """Lines of "name: value", the first of each name."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    return fields


def _pairs(text: str) -> dict[str, str]:
    """Lines of "name value"."""
    return dict(line.split(maxsplit=1) for line in text.splitlines() if " " in line)
