"""What is refused before the first process starts, because this host cannot do it."""

import errno
import ipaddress
import math
import os
import resource
import socket
from itertools import zip_longest
from pathlib import Path

import msgspec

from tensorwire import channels
from tensorwire.benchmarks import Pattern
from tensorwire.channels import Channel
from tensorwire.environment import Files, congestion_controls, meminfo, memory_limits
from tensorwire.errors import AddressInUse, LaunchError, SpecError
from tensorwire.launchers import LOOPBACK, Launcher
from tensorwire.plan import collective, outstanding, ports
from tensorwire.recorded import Replay, Sizes, Steps
from tensorwire.spec import Closed, Mode, Spec
from tensorwire.units import Bytes, format_size

UNIX = "unix"

_PAGE, _LINE = 4096, 64  # alignments of cpp/core/payload.cc
_VIEW = 64  # bytes that describe one buffer: a view, iovecs or a slice
_EMPTY_RANK = 16 << 20  # a rank that holds no payload yet
# Of a payload in flight, both ends together: what arrived, and as much again, which allocators keep when
# stacks free and take anew; serialized, also the message and its bytes. Few small ranks may take more.
_COPIES: dict[Mode, int] = {"non-serialized": 4, "serialized": 6}

_ARRAYS = 6  # of a collective operation, in each rank: brought, found and expected, twice while they are compared

_OWN_FILES = 32  # descriptors of a process beside its connections
_LONGEST_PATH = 107  # bytes of a Unix-domain socket's address
_LAST_PORT = 65535


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What a run takes of a user's limits: files that one process opens, at least and at most; processes."""

    open_files: int
    most_open_files: int
    processes: int


def preflight(spec: Spec, pattern: Pattern, channel: Channel, launcher: Launcher) -> None:
    """Raises SpecError, AddressInUse or LaunchError for what cannot work on this host, with what to do."""
    check_mode(spec, channel)
    check_together(spec, pattern, channel)
    check_steps(spec, pattern)
    check_limits(spec, pattern)
    if launcher.own_addresses:
        check_apart(channel, launcher)
        check_left_out(spec, launcher)
    else:
        check_address(spec, pattern)
    check_congestion(spec)
    check_memory(spec, pattern)


def check_mode(spec: Spec, channel: Channel) -> None:
    """Raises SpecError when serialized messages are asked of a channel that has none."""
    if spec.mode == "serialized" and not channel.serializes:
        sentence = f"channel {channel.name} moves bytes as they are and has no serialized mode"
        raise SpecError("mode", spec.mode, "non-serialized", f"{sentence}; use --mode non-serialized")


def check_together(spec: Spec, pattern: Pattern, channel: Channel) -> None:
    """Raises SpecError when a channel has not what a benchmark is of, calls or a collective operation, or when the
    request has no meaning for one."""
    has, wanted = channels.collectives(channel), pattern.collective
    if wanted is None:
        if not channels.calls(channel):
            sentence = f"channel {channel.name} has collective operations only, and {spec.benchmark} is none"
            raise SpecError("benchmark", spec.benchmark, " or ".join(has), f"{sentence}; use {', '.join(has)}")
        return
    if wanted not in has:
        sentence = f"channel {channel.name} has no {wanted}; tensorwire list channels tells which have"
        raise SpecError("channel", spec.channel, f"one that has {wanted}", sentence)
    if not isinstance(spec.load, Closed) or spec.load.outstanding not in (None, 1):
        raise SpecError(
            "load", "another", "closed with one call in flight: the ranks of an operation wait for each other"
        )
    if spec.threads != 1:
        raise SpecError("threads", spec.threads, f"1 in {spec.benchmark}: a rank takes part once")
    if any(len(payloads) > 1 for payloads in spec.points()):
        raise SpecError("payload", spec.describe_payload(), f"one size after the other in {spec.benchmark}: --sizes")
    for index in range(len(spec.points())):
        collective(spec, pattern, index)


def check_apart(channel: Channel, launcher: Launcher) -> None:
    """Raises SpecError when the ranks of a channel do not find each other from one host to the next."""
    if not channels.apart(channel):
        sentence = (
            f"the ranks of channel {channel.name} find each other on one machine only, not on {launcher.name} hosts"
        )
        raise SpecError("launcher", launcher.name, "local", f"{sentence}; use --launcher local")


def check_replies(spec: Spec, options: msgspec.Struct) -> None:
    """Raises SpecError when recorded replies are wanted, and a channel with these options cannot ask for them."""
    cannot = getattr(options, "no_answers", "")
    if cannot and any(answers is not None for row in spec.replied() for answers in row):
        raise SpecError("option", spec.options, "others", cannot)


def check_steps(spec: Spec, pattern: Pattern) -> None:
    """Raises SpecError when the ranks are not those that the recorded steps are of."""
    steps = spec.payload
    if not isinstance(steps, Steps):
        return
    ps, workers = sum(role.serves for role in pattern.roles), sum(bool(role.calls) for role in pattern.roles)
    if ps != steps.ps:
        raise SpecError("ps", ps, f"{steps.ps}, as in profile {steps.name}: its workers called so many")
    if workers < steps.workers:
        raise SpecError("workers", workers, f"{steps.workers} or more: profile {steps.name} has so many")


def check_limits(spec: Spec, pattern: Pattern) -> None:
    """Raises LaunchError when the limits of this user leave no hope for so many ranks and connections."""
    need = demand(spec, pattern)
    files = soft_limit(resource.RLIMIT_NOFILE)
    if need.open_files > files:
        raise LaunchError(
            f"{pattern.size} ranks need {need.open_files} open files in one process, and the limit is "
            f"{files:.0f}; raise it with: ulimit -n {need.open_files}"
        )
    processes = soft_limit(resource.RLIMIT_NPROC)
    if need.processes > processes and os.geteuid() != 0:  # the limit does not bind root
        raise LaunchError(
            f"{pattern.size} ranks are more than the {processes:.0f} processes that this user may have; "
            f"raise the limit with: ulimit -u {need.processes}"
        )


def check_left_out(spec: Spec, launcher: Launcher) -> None:
    """Raises SpecError when an address is asked of ranks whose hosts have addresses of their own."""
    if spec.host != Spec().host:
        raise SpecError("host", spec.host, f"left out: hosts of launcher {launcher.name} have addresses of their own")


def check_address(spec: Spec, pattern: Pattern) -> None:
    """Raises SpecError when ranks cannot serve at the address and ports, AddressInUse when others do."""
    if is_unix(spec.host):
        _check_unix(spec, pattern)
        return
    host = resolve(spec.host)
    for port in filter(None, _checked_ports(spec, pattern)):
        if not port_is_free(host, port):
            remedy = "choose another first port with --port N, or any free ones with --port 0"
            raise AddressInUse(f"port {port} of {host} is in use; {remedy}")


def check_congestion(spec: Spec) -> None:
    """Raises SpecError for a TCP congestion control that no socket here can have."""
    name = spec.placement.congestion
    if name is None:
        return
    if is_unix(spec.host):
        raise SpecError("congestion", name, "left out where Unix-domain sockets are used: they have none")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
        except PermissionError as wrong:
            allowed = "one that sysctl net.ipv4.tcp_allowed_congestion_control lists"
            sentence = f"this user may not use congestion control {name!r}; use {allowed}"
            raise SpecError("congestion", name, allowed, sentence) from wrong
        except (OSError, ValueError) as wrong:
            raise SpecError.unknown("congestion control", name, congestion_controls(Files())) from wrong


def check_memory(spec: Spec, pattern: Pattern) -> None:
    """Raises SpecError when the payloads of all ranks are more than this machine has memory for."""
    needed, available = needed_memory(spec, pattern), available_memory()
    if needed > available:
        sentence = (
            f"{pattern.size} ranks need about {format_size(needed)} of memory for these payloads, and "
            f"{format_size(available)} are available; "
            "use smaller or fewer buffers, fewer ranks or fewer calls in flight"
        )
        raise SpecError("payload", needed, f"what fits into {format_size(available)}", sentence)


def needed_memory(spec: Spec, pattern: Pattern) -> Bytes:
    """An estimate, rather high than low, of what all ranks hold at the largest point; one at a time is held.

    A calling rank holds its payloads (serialized: a message of each for every thread). To that come memory to
    land in at both ends of each connection, or the copies of each payload in flight, whichever is more.
    """
    if pattern.collective:
        arrays = max(payload.total for payloads in spec.points() for payload in payloads)
        return Bytes(pattern.size * (_EMPTY_RANK + _ARRAYS * arrays))
    largest = max(_needed_by(sent, answers, spec, pattern) for sent, answers in _kept(spec))
    return Bytes(pattern.size * _EMPTY_RANK + largest)


def available_memory(files: Files | None = None) -> Bytes:
    """What can be had without swapping: of the machine, and within the limits of the control groups."""
    files = files or Files()
    machine = meminfo(files.text("proc/meminfo") or "").get("MemAvailable", 2**63 - 1)
    room = (limit.limit_bytes - limit.used_bytes for limit in memory_limits(files))
    return Bytes(max(0, min([machine, *room])))


def demand(spec: Spec, pattern: Pattern) -> Demand:
    """The driver has a connection to each rank; a rank has one to each peer, or each of its threads has."""
    least = [0] * pattern.size
    most = [0] * pattern.size
    for rank, role in enumerate(pattern.roles):
        lanes = _lanes(len(role.calls), spec, pattern)
        least[rank] += len(role.calls)
        most[rank] += lanes
        for peer in role.calls:
            least[peer] += 1
            most[peer] += math.ceil(lanes / len(role.calls))
    return Demand(
        open_files=max(pattern.size, *least) + _OWN_FILES,
        most_open_files=max(pattern.size, *most) + _OWN_FILES,
        processes=pattern.size + 1,
    )


def soft_limit(kind: int) -> float:
    """A resource limit of this process; infinity when there is none."""
    soft, _ = resource.getrlimit(kind)
    return math.inf if soft == resource.RLIM_INFINITY else soft


def is_unix(host: str) -> bool:
    """Whether `host` stands for Unix-domain sockets: "unix", or "unix:DIRECTORY"."""
    return host == UNIX or host.startswith(f"{UNIX}:")


def resolve(host: str) -> str:
    """A numeric address of this machine, 127.0.0.1 if it is among them; Unix-domain sockets as they are.

    Raises SpecError when the name is not known here, or is not this machine's.
    """
    if is_unix(host):
        return host
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as wrong:  # ValueError: not a name at all
        sentence = f"host {host!r} is not known here; give a name or an address of this machine, or unix"
        raise SpecError("host", host, "a name or an address of this machine, or unix", sentence) from wrong
    addresses = [str(address[0]) for *_, address in found]
    for address in sorted(addresses, key=lambda each: each != LOOPBACK):
        if _is_own(address):
            return address
    sentence = f"host {host!r} is no address that ranks of this machine can serve at"
    raise SpecError("host", host, "an address of this machine", f"{sentence}; give one of its own, or localhost")


def port_is_free(host: str, port: int) -> bool:
    """Whether a rank could listen at this numeric address now. Raises SpecError for a privileged port."""
    with _socket(host) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the ranks do
        try:
            probe.bind((host, port))
            probe.listen(1)
        except PermissionError as wrong:
            sentence = f"this user may not listen at port {port}; use --port 1024 or more"
            raise SpecError("port", port, "a port that this user may listen at", sentence) from wrong
        except OSError as wrong:
            if wrong.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def _checked_ports(spec: Spec, pattern: Pattern) -> list[int]:
    numbers = ports(spec, pattern)
    if max(numbers) > _LAST_PORT:
        most = _LAST_PORT + 1 - sum(role.serves for role in pattern.roles)
        sentence = f"the last rank would serve at port {max(numbers)}, and ports end at {_LAST_PORT}"
        remedy = f"use --port {most} or a smaller one, or --port 0"
        raise SpecError("port", spec.port, f"at most {most}", f"{sentence}; {remedy}")
    return numbers


def _check_unix(spec: Spec, pattern: Pattern) -> None:
    if spec.port not in (0, Spec().port):
        raise SpecError("port", spec.port, "left out where Unix-domain sockets are used: they have none")
    if spec.host == UNIX:
        return
    directory = spec.host.removeprefix(f"{UNIX}:")
    if not directory or not Path(directory).is_dir() or not os.access(directory, os.W_OK | os.X_OK):
        raise SpecError("host", spec.host, "unix, or unix: and a directory that can be written to")
    longest = f"{directory}/rank-{pattern.size - 1}.sock"
    if len(os.fsencode(longest)) > _LONGEST_PATH:
        sentence = f"the socket path {longest} has more than {_LONGEST_PATH} bytes"
        remedy = "use a directory with a shorter name"
        raise SpecError("host", spec.host, "a directory with a shorter name", f"{sentence}; {remedy}")


def _is_own(address: str) -> bool:
    """Whether it is one of this machine's. Those that stand for many can be bound to, but not called."""
    meant = ipaddress.ip_address(address.partition("%")[0])
    if meant.is_unspecified or meant.is_multicast:
        return False
    with _socket(address) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _socket(address: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)


def _lanes(peers: int, spec: Spec, pattern: Pattern) -> int:
    """The connections that a rank opens to `peers` others, at most: every thread has its own."""
    slots = peers * outstanding(spec, pattern)
    return min(min(spec.threads, slots) * peers, slots)


Vectors = tuple[Sizes, ...]


def _kept(spec: Spec) -> list[tuple[Vectors, Vectors]]:
    """For each point the payloads that a calling rank keeps, and the answers that every rank does."""
    if isinstance(spec.payload, Replay | Steps) and spec.payload.answers:
        return [(spec.payload.sizes, spec.payload.answers)]
    return [(tuple(payload.sizes for payload in payloads), ()) for payloads in spec.points()]


def _needed_by(payloads: Vectors, answers: Vectors, spec: Spec, pattern: Pattern) -> int:
    held, held_answers = _held(payloads), _held(answers)
    largest = max(map(sum, (*payloads, *answers)))
    messages = sum(map(sum, payloads)) if spec.mode == "serialized" else 0
    needed = pattern.size * held_answers
    for role in (role for role in pattern.roles if role.calls):
        peers = len(role.calls)
        slots = peers * outstanding(spec, pattern)
        landing = _lanes(peers, spec, pattern) * 2 * (held + held_answers)
        in_flight = slots * _COPIES[spec.mode] * largest
        needed += held + min(spec.threads, slots) * messages + max(landing, in_flight)
    return needed


def _held(payloads: Vectors) -> int:
    """Bytes of one set of payloads: buffer i of each is a part of the same memory."""
    if not payloads:
        return 0
    widths = (max(sizes) for sizes in zip_longest(*payloads, fillvalue=0))
    aligned = sum(width + (_PAGE if width >= _PAGE else _LINE) for width in widths)
    return aligned + _PAGE + _VIEW * sum(map(len, payloads))
