"""Hosts made of network namespaces on this one machine, with a switch between them that is as fast as a fabric.

Law: nothing of them has a name on disk or in another namespace. One process holds them (namespaces.py) and dies with
the driver; the kernel takes the rest away.
"""

import contextlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tensorwire.errors import LaunchError, LauncherUnavailable, SpecError
from tensorwire.launchers import Command, Exit, Place, namespaces
from tensorwire.launchers.local import LocalJob, started
from tensorwire.result import HostFacts, Network
from tensorwire.units import parse_bit_rate

FABRICS = {"1gbe": 10**9, "10gbe": 10**10, "25gbe": 25 * 10**9}
_UNLIMITED = "unlimited"
_LEAST_RATE, _MOST_RATE = 10**6, 10**12
_MOST_HOSTS = 128
_LEAST_MTU, _MOST_MTU = 576, 65535
_PREFIX = 16

_BURST_SECONDS, _LEAST_BURST = 0.0002, 70_000  # how late a timer may be; the most that TCP hands down at once
_QUEUE_SECONDS, _LEAST_QUEUE = 0.01, 1 << 20

_TOOLS = {"ip": "iproute2", "tc": "iproute2", "nsenter": "util-linux"}
_ADMIN_PLACES = "/usr/sbin:/sbin"
_CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_NET_ADMIN": 12}
_UP_SECONDS = 60.0
_DOWN_SECONDS = 10.0


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many hosts, and what the network between them lets through."""

    count: int = 2
    """Hosts; ranks are dealt out over them in turn."""
    fabric: str = _UNLIMITED
    """What each host can send and receive: 1gbe, 10gbe, 25gbe, a rate such as 2.5gbit, or unlimited."""
    mtu: int = 1500
    """Of every interface, in bytes."""

    def __post_init__(self) -> None:
        if not 1 <= self.count <= _MOST_HOSTS:
            raise SpecError("hosts", self.count, f"from 1 to {_MOST_HOSTS} emulated ones")
        if not _LEAST_MTU <= self.mtu <= _MOST_MTU:
            raise SpecError("mtu", self.mtu, f"from {_LEAST_MTU} to {_MOST_MTU}")
        self.rate()

    def rate(self) -> int | None:
        """Bits a second, or None where there is no limit."""
        if self.fabric == _UNLIMITED:
            return None
        rate = FABRICS.get(self.fabric) or parse_bit_rate(self.fabric)
        if rate is None or not _LEAST_RATE <= rate <= _MOST_RATE:
            known = ", ".join([*FABRICS, _UNLIMITED])
            raise SpecError("fabric", self.fabric, f"{known}, or a rate from 1mbit to 1000gbit such as 2.5gbit")
        return rate


class EmulatedHosts:
    """Hosts that one process of ours holds, and the ranks' places on them."""

    def __init__(self, options: Options, ranks: int, apart: bool = True) -> None:
        """Brings them up. Raises LaunchError."""
        self._names = tuple(f"host-{number}" for number in range(options.count))
        self._addresses = tuple(address(number) for number in range(options.count))
        self._hosts_of = tuple(rank % options.count for rank in range(ranks))
        self.places = tuple(Place(host=self._names[host], address=self._addresses[host]) for host in self._hosts_of)
        begin = time.monotonic_ns()
        self._holder, self._made = _hold(options, self._names, self._addresses, apart)
        self._up_ns = time.monotonic_ns() - begin

    @property
    def network(self) -> Network:
        hosts = (
            HostFacts(
                name=name,
                address=self._addresses[number],
                ranks=tuple(rank for rank, host in enumerate(self._hosts_of) if host == number),
                interface=namespaces.INTERFACE,
                mtu=made["mtu"],
                send_bits_per_s=made["send"],
                receive_bits_per_s=made["receive"],
                burst_bytes=made["burst"],
            )
            for number, (name, made) in enumerate(zip(self._names, self._made, strict=True))
        )
        return Network(hosts=tuple(hosts), up_ns=self._up_ns)

    @property
    def holder(self) -> int:
        """The process that holds them."""
        return self._holder.pid

    def meeting_address(self, directory: Path) -> str:
        """A socket among the files, which all hosts share: what ranks and driver say to each other is no traffic."""
        return f"unix:{directory}/meeting.sock"

    def inside(self, host: int, argv: Sequence[str]) -> tuple[str, ...]:
        """The command that runs another inside of a host, in the directory where we are."""
        places = self._made[host]["namespaces"]
        enter = {"net": "--net", "uts": "--uts", "ipc": "--ipc", "mnt": "--mount"}
        flags = (f"{enter[kind]}={path}" for kind, path in places.items())
        return (_tool("nsenter"), *flags, "--", "env", f"--chdir={Path.cwd()}", *argv)

    def start(self, commands: Sequence[Command], directory: Path) -> "_Job":
        for command in commands:
            if shutil.which(command.argv[0]) is None:
                raise LaunchError(f"cannot start rank {command.rank} ({command.argv[0]}): No such file or directory")
        return started(_Job(directory, self._holder), (self._inside(command) for command in commands))

    def _inside(self, command: Command) -> Command:
        return msgspec.structs.replace(command, argv=self.inside(self._hosts_of[command.rank], command.argv))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _end(self._holder)


class _Job(LocalJob):
    """Ranks on hosts that somebody holds."""

    def __init__(self, directory: Path, holder: subprocess.Popen[str]) -> None:
        super().__init__(directory)
        self._holder = holder

    def exits(self) -> list[Exit]:
        """Raises LaunchError when the hosts are gone, which ranks would only notice by their timeouts."""
        if self._holder.poll() is not None:
            raise LaunchError("the process that holds the emulated hosts was killed, and the network went with it")
        return super().exits()


class Emulated:
    """Makes the hosts, and starts the ranks in them in turn."""

    name = "emulated"
    summary = "hosts made of namespaces on this machine, with a switch of a chosen speed between them; needs root"
    options = Options
    own_addresses = True

    def check(self, options: Options) -> None:
        for tool, package in _TOOLS.items():
            if shutil.which(tool) is None and shutil.which(tool, path=_ADMIN_PLACES) is None:
                raise LauncherUnavailable(f"emulated hosts need the program {tool}; apt-get install {package}")
        if lacking := _lacking(Path("/proc/self/status").read_text()):
            raise LauncherUnavailable(
                f"emulated hosts are made of namespaces, for which this process lacks {' and '.join(lacking)};"
                " run it as root, in a container that may (docker run --privileged)"
            )

    def hosts(self, options: Options, ranks: int) -> EmulatedHosts:
        return EmulatedHosts(options, ranks)


def address(host: int) -> str:
    """Hosts have the same addresses in every cluster: no two clusters see each other."""
    return f"10.203.{host // 250}.{host % 250 + 1}"


def _lacking(status: str) -> list[str]:
    """The capabilities that a process with this /proc/PID/status has not got, of those that it takes."""
    match = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    has = int(match[1], 16) if match else 0
    return [name for name, bit in _CAPABILITIES.items() if not has >> bit & 1]


def _tool(name: str) -> str:
    return shutil.which(name) or shutil.which(name, path=_ADMIN_PLACES) or name


def _wanted(options: Options, names: Sequence[str], addresses: Sequence[str], apart: bool) -> namespaces.Wanted:
    rate = options.rate()
    per_second = (rate or 0) / 8
    return {
        "parent": os.getpid(),
        "names": list(names),
        "addresses": list(addresses),
        "prefix": _PREFIX,
        "mtu": options.mtu,
        "rate": rate,
        "burst": max(_LEAST_BURST, math.ceil(per_second * _BURST_SECONDS)),
        "limit": max(_LEAST_QUEUE, math.ceil(per_second * _QUEUE_SECONDS)),
        "apart": apart,
        "tools": {tool: _tool(tool) for tool in ("ip", "tc")},
    }


def _hold(
    options: Options, names: Sequence[str], addresses: Sequence[str], apart: bool
) -> tuple[subprocess.Popen[str], list[namespaces.Made]]:
    holder = subprocess.Popen(
        (sys.executable, "-I", "-S", namespaces.__file__),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,  # a Ctrl-C reaches the driver alone
    )
    try:
        assert holder.stdin is not None
        assert holder.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            holder.stdin.write(json.dumps(_wanted(options, names, addresses, apart)) + "\n")
            holder.stdin.flush()
        told = json.loads(holder.stdout.readline() or '{"error": "the process that makes them ended"}')
        if isinstance(told, dict):
            raise LaunchError(f"cannot make emulated hosts: {told['error']}")
    except BaseException:
        _end(holder)
        raise
    return holder, told


def _end(holder: subprocess.Popen[str]) -> None:
    holder.kill()
    for pipe in (holder.stdin, holder.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    holder.wait(_DOWN_SECONDS)


launcher = Emulated()
