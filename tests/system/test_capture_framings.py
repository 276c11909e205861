"""What the tap makes of protocols: messages where it can follow them, and no byte lost where it cannot."""

import importlib.util
import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tensorwire.benchmarks.p2p import bandwidth, latency
from tensorwire.instruments.wire import instrument
from tensorwire.payload import Uniform
from tensorwire.profile import Profile
from tests.system.driver import PROGRAM
from tests.system.tapped import PAIR, exchanges, payloads, python, sends, watched

TLS = """
import os, socket, ssl, threading
listening = socket.create_server(("127.0.0.1", 0))
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain(*os.environ["CERTIFICATE"].split(":"))
client = ssl.create_default_context(cafile=os.environ["CERTIFICATE"].split(":")[0])
one = socket.create_connection(listening.getsockname())
other, _ = listening.accept()
def serve():
    global served
    served = server.wrap_socket(other, server_side=True)
serving = threading.Thread(target=serve)
serving.start()
one = client.wrap_socket(one, server_hostname="localhost")
serving.join()
def take(size, end=None):
    while size: size -= len((end or served).recv(min(size, 65536)))
"""

GLOO = """
import os, sys, torch, torch.distributed as dist
rank = int(sys.argv[1])
os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=sys.argv[2])
dist.init_process_group("gloo", rank=rank, world_size=2)
for _ in range(3): dist.all_reduce(torch.ones(250_000))
dist.destroy_process_group()
"""


@pytest.fixture
def tls(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERTIFICATE", f"{certificate[0]}:{certificate[1]}")


def well(home: Path, program: str) -> Profile:
    done = python(home, program)
    assert (done.returncode, done.stderr) == (0, "")
    return instrument.collect(home)


def methods(profile: Profile, kind: str) -> set[str]:
    return {stream.method for stream in profile.streams if stream.kind == kind}


@pytest.mark.parametrize("benchmark", [latency, bandwidth])
def test_a_rank_over_tcp_gives_its_payload_back(home: Path, benchmark: object) -> None:
    name = str(getattr(benchmark, "name", ""))
    where = ("--port", "0", "--output", str(home / "r.json"))
    done = watched(home, PROGRAM, "run", name, "--calls", "20", "-c", "tcp", *where)
    assert done.returncode == 0, done.stderr
    profile = instrument.collect(home)
    (asked,) = Uniform().payloads()
    request = tuple(asked.sizes)
    assert set(payloads(profile, "request")) == {request}
    assert payloads(profile, "request").total() >= 20
    assert payloads(profile, "reply").total() == payloads(profile, "request").total()
    untimed = (request, request)  # the bytes are checked by an echo
    assert set(exchanges(profile)) == ({untimed} if benchmark is latency else {untimed, (request, ())})
    kinds = {"echo"} if benchmark is latency else {"echo", "acknowledge"}
    assert methods(profile, "request") == methods(profile, "reply") == kinds


def test_what_looked_like_gloo_is_lost_by_nobody(home: Path) -> None:
    profile = well(
        home,
        PAIR
        + """
import struct
def operation(size): return struct.pack("<6Q", 48 + size, 1, 7, 0, size, 0)
one.send(struct.pack("<Q", 3))
one.sendmsg([operation(2000), b"d" * 2000])
one.send(struct.pack("<6Q", 48, 3, 7, 0, 2000, 0))
one.sendmsg([operation(10), b"d" * 4])
one.send(b"d" * 6 + b"x" * 40)
one.send(b"y" * 50)
""",
    )
    assert payloads(profile, "message") == Counter([(2000,), (10,)])
    assert methods(profile, "message") == {"gloo"}
    assert sum(sum(sizes) for sizes in payloads(profile, "raw").elements()) == 40 + 50
    assert any("stopped to be readable" in note for note in profile.captured.notes)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_a_reduction_of_pytorch_over_gloo_sends_what_its_algorithm_must(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])
    environment = instrument.attach(os.environ, home)
    command = [sys.executable, "-c", GLOO]
    ranks = [subprocess.Popen([*command, str(rank), port], env=environment) for rank in range(2)]
    assert [rank.wait(60) for rank in ranks] == [0, 0]
    check_reductions(instrument.collect(home))


def check_reductions(profile: Profile) -> None:
    """A ring of two ranks sends half of the 1,000,000 bytes to be reduced and half of the sums: 1,000,000 from each."""
    sent: Counter[int] = Counter()
    for _, stream, payload, _ in profile.messages:
        if profile.streams[stream].kind == "message":
            sent[profile.streams[stream].sender] += sum(profile.payloads[payload])
    assert sorted(sent.values()) == [3_000_000, 3_000_000]


@pytest.mark.usefixtures("tls")
def test_what_a_program_gives_openssl_is_seen_in_place_of_what_is_sent(home: Path) -> None:
    profile = well(home, TLS + "one.sendall(b'x' * 5); one.sendall(b'y' * 100_000); take(100_005)")
    assert payloads(profile, "raw") == Counter([(5,), (100_000,)])
    assert sum(map(sum, sends(home))) > 100_005  # as system calls, what is encrypted is seen as well
    assert not any("encrypted" in note for note in profile.captured.notes)


@pytest.mark.usefixtures("tls")
def test_grpc_that_a_program_gives_openssl_is_seen_message_by_message(home: Path) -> None:
    profile = well(
        home,
        TLS
        + """
import struct
def frame(kind, flags, stream, content):
    return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content
def message(size): return struct.pack(">BI", 0, size) + bytes(size)
path = b"/a.S/M"
one.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + frame(4, 0, 0, b""))
take(33)
one.sendall(frame(1, 4, 1, b"\\x44" + bytes([len(path)]) + path) + frame(0, 1, 1, message(300)))
served.sendall(frame(4, 0, 0, b"") + frame(1, 4, 1, b"\\x88") + frame(0, 0, 1, message(7)))
""",
    )
    assert payloads(profile, "request") == Counter([(300,)])
    assert payloads(profile, "reply") == Counter([(7,)])
    assert methods(profile, "request") == {"/a.S/M"}
    assert payloads(profile, "raw") == Counter()


@pytest.mark.usefixtures("tls")
def test_what_was_encrypted_out_of_sight_is_records_and_said(home: Path) -> None:
    """A program that moves the bytes itself, as asyncio does, and one that has its own OpenSSL look the same."""
    profile = well(
        home,
        TLS.partition("one = client")[0]
        + """
coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
hidden = client.wrap_bio(coming, going, server_hostname="localhost")
while True:
    try: hidden.do_handshake()
    except ssl.SSLWantReadError: pass
    else: break
    one.sendall(going.read())
    coming.write(one.recv(65536))
one.sendall(going.read())
serving.join()
hidden.write(b"x" * 1000)
one.sendall(going.read())
size = 0
while size < 1000: size += len(served.recv(65536))
""",
    )
    records = [sizes for sizes in payloads(profile, "raw").elements() if sum(sizes) >= 1000]
    assert len(records) == 1
    assert 1000 < sum(records[0]) < 1100
    assert "tls" in methods(profile, "raw")
    assert any("encrypted" in note and "without TLS" in note for note in profile.captured.notes)
