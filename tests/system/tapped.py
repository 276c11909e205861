"""Runs programs under the tap, and reads what it saw."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tensorwire.instruments.tap_log import Log, Receive, Send, decode
from tensorwire.instruments.wire import instrument
from tensorwire.profile import Profile

PAIR = """
import socket, threading
listening = socket.create_server(("127.0.0.1", 0))
one = socket.create_connection(listening.getsockname())
other, _ = listening.accept()
def take(size, end=other):
    while size: size -= len(end.recv(min(size, 65536)))
"""


def watched(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = instrument.attach(os.environ, home)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def python(home: Path, program: str) -> subprocess.CompletedProcess[str]:
    return watched(home, sys.executable, "-c", program)


def logs(home: Path) -> list[Log]:
    return [decode(path.read_bytes()) for path in sorted(home.glob("*.tap"))]


def sends(home: Path) -> list[tuple[int, ...]]:
    return [record.sizes for log in logs(home) for record in log.records if isinstance(record, Send)]


def received(home: Path) -> int:
    return sum(record.bytes for log in logs(home) for record in log.records if isinstance(record, Receive))


def payloads(profile: Profile, kind: str) -> Counter[tuple[int, ...]]:
    return Counter(
        tuple(profile.payloads[payload])
        for _, stream, payload, _ in profile.messages
        if profile.streams[stream].kind == kind
    )


def exchanges(profile: Profile) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The buffers of each request and of its reply, in the order of the requests."""
    sizes = [tuple(profile.payloads[message[2]]) for message in profile.messages]
    return [(sizes[request], sizes[reply]) for request, reply in profile.exchanges]
