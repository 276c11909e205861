"""Ports of this machine that nobody else takes between the moment they are chosen and the moment a task listens."""

import contextlib
import errno
import random
import socket
from collections.abc import Iterator
from pathlib import Path

from tensorwire.errors import AddressInUse

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST = 10_000
_LEAST, _MOST = 1024, 65535


@contextlib.contextmanager
def reserved(count: int) -> Iterator[tuple[int, ...]]:
    """So many ports that are free, while the block lasts.

    They lie outside of the range from which the kernel takes ports for outgoing connections, so that none of those
    gets in between; and they are marked, for this network namespace, by the name of a Unix-domain socket that other
    drivers look for. Raises AddressInUse when there are not so many.
    """
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        for port in _candidates(_EPHEMERAL.read_text()):
            if len(ports) == count:
                break
            if (mark := _mark(port)) is not None:
                if _is_free(port):
                    held.enter_context(mark)
                    ports.append(port)
                else:
                    mark.close()
        if len(ports) < count:
            raise AddressInUse(
                f"the job needs {count} free ports outside of the ephemeral range, and only {len(ports)} are there;"
                f" narrow {_EPHEMERAL} or end what listens"
            )
        yield tuple(ports)


def _candidates(ephemeral: str) -> list[int]:
    """The ports below the ephemeral range in a random order, or those above it where none are below."""
    low, high = map(int, ephemeral.split())
    below = range(min(_FIRST, max(low - 1000, _LEAST)), low)
    ports = list(below) or list(range(high + 1, _MOST + 1))
    random.shuffle(ports)
    return ports


def _mark(port: int) -> socket.socket | None:
    """A name that one process of a network namespace can hold; the kernel frees it when the process ends."""
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        mark.bind(f"\0tensorwire-port-{port}")
    except OSError:
        mark.close()
        return None
    return mark


def _is_free(port: int) -> bool:
    """Whether a server could listen at the port, on every address."""
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                if family is socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((address, port))
        except OSError as wrong:
            if wrong.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):  # a host without IPv6
                return False
    return True
