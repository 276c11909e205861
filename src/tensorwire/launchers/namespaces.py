"""A program that makes hosts out of Linux namespaces and holds them: they go when it does, however it ends.

python -I -S namespaces.py: it reads one line of JSON from stdin, a Wanted, answers on stdout with one line, a list of
Made or {"error": a sentence}, and ends when its stdin does. It is started without site packages, so that it is up in
milliseconds, and knows the standard library alone.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from typing import NamedTuple, TypedDict

_NEW_NS, _NEW_UTS, _NEW_IPC, _NEW_NET = 0x00020000, 0x04000000, 0x08000000, 0x40000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_SET_DEATH_SIGNAL = 1
_CGROUPS = "/sys/fs/cgroup"
_NETFILTER = "/proc/sys/net/bridge/bridge-nf-call-"

_AT_A_TIME = 16

INTERFACE = "eth0"
KINDS = ("net", "uts", "ipc", "mnt")


class Wanted(TypedDict):
    """So many hosts, of these names and addresses, on one switch; `rate` in bits a second, or null for no limit."""

    parent: int
    names: list[str]
    addresses: list[str]
    prefix: int
    mtu: int
    rate: int | None
    burst: int
    limit: int
    apart: bool
    """Whether hosts have memory and a name of their own, as hosts do; a test of the checks asks for less."""
    tools: dict[str, str]


class Made(TypedDict):
    """One host as it was read back: the files of its namespaces, its MTU, and if its ways have a limit, the bits a
    second of each and the bytes that pass at once."""

    namespaces: dict[str, str]
    mtu: int
    send: int | None
    receive: int | None
    burst: int | None


class Refused(Exception):
    """What the kernel or a tool would not do, in its words."""


class _Host(NamedTuple):
    name: str
    address: str
    held: dict[str, int]


class _Task(NamedTuple):
    """What a tool of iproute2 is to do in a network namespace."""

    tool: str
    lines: list[str]
    net: int


class _System:
    """The system calls that Python 3.11 has no name for."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def die_with(self, parent: int) -> None:
        self._libc.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            raise Refused("the driver has ended")

    def unshare(self, flags: int) -> None:
        self._check(self._libc.unshare(flags), "make a namespace")

    def enter(self, namespace: int) -> None:
        self._check(self._libc.setns(namespace, 0), "enter a namespace")

    def mount(self, source: str, target: str, kind: str, flags: int = 0) -> None:
        words = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None)
        self._check(self._libc.mount(*words), f"mount {target}")

    def _check(self, returned: int, doing: str) -> None:
        if returned != 0:
            raise Refused(f"this process may not {doing}: {os.strerror(ctypes.get_errno())}")


class _Maker:
    """Makes a switch and hosts around it. A host is held by the descriptors of its namespaces, and by nothing else."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._system = _System()

    def make(self) -> list[Made]:
        wanted = self._wanted
        self._system.die_with(wanted["parent"])
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # four for each host, and those of the tools at work
        self._system.unshare(_NEW_NS)
        self._system.mount("none", "/", "", _MS_REC | _MS_PRIVATE)  # what hosts mount stays theirs
        home = os.open("/proc/self/ns/mnt", os.O_RDONLY)
        self._system.unshare(_NEW_NET)
        self._no_netfilter()
        switch = os.open("/proc/self/ns/net", os.O_RDONLY)
        hosts = [self._host(*each, home) for each in zip(wanted["names"], wanted["addresses"], strict=True)]
        self._system.enter(home)
        self._wire(switch, hosts)
        return self._read_back(switch, hosts)

    def _host(self, name: str, address: str, home: int) -> _Host:
        self._system.enter(home)
        apart = self._wanted["apart"]
        self._system.unshare(_NEW_NET | _NEW_NS | (_NEW_UTS | _NEW_IPC if apart else 0))
        if apart:
            socket.sethostname(name)
            self._system.mount("tmpfs", "/dev/shm", "tmpfs")
        cgroups = os.open(_CGROUPS, os.O_PATH) if os.path.isdir(_CGROUPS) else -1
        self._system.mount("sysfs", "/sys", "sysfs")  # the interfaces' counters are those of this host
        if cgroups >= 0:
            with contextlib.suppress(Refused):
                self._system.mount(f"/proc/self/fd/{cgroups}", _CGROUPS, "", _MS_BIND | _MS_REC)
            os.close(cgroups)
        return _Host(name, address, {kind: os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in KINDS})

    def _no_netfilter(self) -> None:
        """Frames do not pass the rules for IP packets, which a switch does not have."""
        for kind in ("iptables", "ip6tables", "arptables"):
            with contextlib.suppress(OSError), open(f"{_NETFILTER}{kind}", "w") as file:
                file.write("0")

    def _wire(self, switch: int, hosts: list[_Host]) -> None:
        mtu = self._wanted["mtu"]
        links = ["link add sw type bridge mcast_snooping 0 stp_state 0", "link set sw addrgenmode none up"]
        for number, host in enumerate(hosts):
            theirs = f"name {INTERFACE} mtu {mtu} netns /proc/{os.getpid()}/fd/{host.held['net']}"
            links.append(f"link add p{number} mtu {mtu} type veth peer {theirs}")
            links.append(f"link set p{number} master sw addrgenmode none up")
        self._run([_Task("ip", links, switch)])
        commands = ["link set lo up", f"link set {INTERFACE} addrgenmode none"]
        tasks = []
        for host in hosts:
            address = f"address add {host.address}/{self._wanted['prefix']} dev {INTERFACE}"
            tasks.append(_Task("ip", [*commands, address, f"link set {INTERFACE} up"], host.held["net"]))
        if self._wanted["rate"] is not None:
            tasks.append(_Task("tc", [self._shaping(f"p{number}") for number in range(len(hosts))], switch))
            tasks += [_Task("tc", [self._shaping(INTERFACE)], net) for net in _nets(hosts)]
        self._run(tasks)

    def _shaping(self, interface: str) -> str:
        wanted = self._wanted
        bucket = f"rate {wanted['rate']}bit burst {wanted['burst']} limit {wanted['limit']}"
        return f"qdisc add dev {interface} root tbf {bucket}"

    def _read_back(self, switch: int, hosts: list[_Host]) -> list[Made]:
        ports, *ends = self._run([_Task("tc", ["qdisc show"], each) for each in (switch, *_nets(hosts))])
        links = self._run([_Task("ip", [f"link show {INTERFACE}"], each) for each in _nets(hosts)])
        none = {"rate": None, "burst": None}
        received = _buckets(ports)
        return [
            Made(
                namespaces={kind: f"/proc/{os.getpid()}/fd/{fd}" for kind, fd in host.held.items()},
                mtu=int(json.loads(link)[0]["mtu"]),
                send=_buckets(end).get(INTERFACE, none)["rate"],
                receive=received.get(f"p{number}", none)["rate"],
                burst=received.get(f"p{number}", none)["burst"],
            )
            for number, (host, end, link) in enumerate(zip(hosts, ends, links, strict=True))
        ]

    def _run(self, tasks: list[_Task]) -> list[str]:
        """What the tools print; few at a time, for which any limit on open files is high enough."""
        told: list[str] = []
        for first in range(0, len(tasks), _AT_A_TIME):
            told += _finish([self._start(task) for task in tasks[first : first + _AT_A_TIME]])
        return told

    def _start(self, task: _Task) -> "subprocess.Popen[str]":
        self._system.enter(task.net)
        program = subprocess.Popen(
            [self._wanted["tools"][task.tool], "-j", "-batch", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert program.stdin is not None
        program.stdin.write("\n".join(task.lines) + "\n")
        program.stdin.close()
        program.stdin = None
        return program


def _nets(hosts: list[_Host]) -> list[int]:
    return [host.held["net"] for host in hosts]


def _buckets(told: str) -> "dict[str, dict[str, int | None]]":
    """What `tc -j qdisc show` tells of token buckets: by interface, bits a second and the bytes that pass at once."""
    found = ((each["dev"], each["options"]) for each in json.loads(told or "[]") if each["kind"] == "tbf")
    return {name: {"rate": 8 * int(bucket["rate"]), "burst": int(bucket["burst"])} for name, bucket in found}


def _finish(programs: "list[subprocess.Popen[str]]") -> list[str]:
    """What they print. Raises Refused with the last words of one that fails."""
    told = [(program.communicate(), program) for program in programs]
    for (_, complaint), program in told:
        if program.returncode != 0:
            lines = complaint.strip().splitlines() or [f"exit code {program.returncode}"]
            said = " ".join(line.strip() for line in lines[:2])
            raise Refused(f"{os.path.basename(str(program.args[0]))} says: {said}")  # type: ignore[index]
    return [output for (output, _), _ in told]


def main() -> None:
    """Makes what is wanted, says what came of it, and stays until nobody is at the other end of stdin."""
    try:
        made = json.dumps(_Maker(json.loads(sys.stdin.readline())).make())
    except (Refused, OSError) as wrong:
        made = json.dumps({"error": str(wrong)})
    print(made, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
