"""How long things take to start and to stop, and a server that is started without anybody who calls it."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.seen import CannotMeasure
from benchmarks.traffic import Site
from tensorwire import plan, registry, scratch
from tensorwire.errors import TensorwireError
from tensorwire.launchers import Command
from tensorwire.launchers.local import LocalJob, started
from tensorwire.rendezvous import Joined, Meeting
from tensorwire.spec import Spec

_DEADLINE_SECONDS = 20.0


class Up(Struct, frozen=True, kw_only=True):
    """A rank that came to the rendezvous: where it is going to serve, and how long it took from its start."""

    port: int
    joined_ms: float


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert isinstance(port, int)
        return port


@contextlib.contextmanager
def joined_rank(channel: str, site: Site) -> Iterator[Up]:
    """A serving rank that waits at the rendezvous for a caller who never comes; killed at the end."""
    spec = Spec(channel=channel, host="127.0.0.1", port=free_port())
    benchmark = registry.benchmark(spec.benchmark)
    pattern = benchmark.pattern(benchmark.options())
    try:
        program = registry.channel(channel).command()
    except TensorwireError as wrong:
        raise CannotMeasure(str(wrong)) from wrong
    options = msgspec.to_builtins(registry.channel(channel).options())
    with scratch.directory() as directory, Meeting(pattern.size) as meeting:
        where = plan.Site(rendezvous=meeting.address, hosts=(spec.host,) * pattern.size, cores=site.cores)
        file = directory / "plan.json"
        file.write_bytes(msgspec.json.encode(plan.make(spec, pattern, options, (0,), where)))
        command = Command(
            rank=0, role="ps", argv=(*program, str(file), "0"), environment={"TENSORWIRE_TOKEN": meeting.token}
        )
        begin = time.perf_counter()
        with started(LocalJob(directory), [command]):
            _await_joined(meeting)
            yield Up(port=spec.port, joined_ms=(time.perf_counter() - begin) * 1e3)


@contextlib.contextmanager
def held_server(channel: str, site: Site) -> Iterator[Up]:
    """A serving rank that answers at its port."""
    with joined_rank(channel, site) as up:
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while not _answers(up.port):
            if time.monotonic() > deadline:
                raise CannotMeasure(f"nobody answers at port {up.port}")
        yield up


def joining_ms(channel: str, site: Site) -> float:
    """From the start of a rank's process to its arrival at the rendezvous."""
    with joined_rank(channel, site) as up:
        return up.joined_ms


def help_ms(_: Site) -> float:
    """From the start of `tensorwire --help` to its end."""
    program = Path(sys.executable).with_name("tensorwire")
    if not program.is_file():
        raise CannotMeasure(f"there is no {program}; install tensorwire in this environment")
    begin = time.perf_counter()
    subprocess.run((program, "--help"), stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - begin) * 1e3


def _await_joined(meeting: Meeting) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not any(isinstance(event, Joined) for event in meeting.pump(1.0)):
        if time.monotonic() > deadline:
            raise CannotMeasure("a rank did not come to the rendezvous")


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
