"""Packet captures as a user takes and imports them; tcpdump's and the tap's view of one run hold the same messages."""

import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tensorwire.profile import Profile, decode
from tests.system.conftest import Run
from tests.system.driver import PATIENCE_SECONDS, PROGRAM, wait_until

DATA = Path(__file__).parent.parent / "data"
SMALL = str(DATA / "grpc-pair.pcap.gz")
PAIR = str(DATA / "grpc-pair.py")
_LAST = b"the last packet of the capture"


def messages(file: Path) -> Counter[tuple[str, str, int]]:
    """Kind, method and bytes of each message that is gRPC's, and how often it came."""
    profile = decode(file.read_bytes())
    streams = [(profile.streams[stream], sum(profile.payloads[payload])) for _, stream, payload, _ in profile.messages]
    return Counter((stream.kind, stream.method, size) for stream, size in streams if stream.kind != "raw")


def exchanged(file: Path) -> Counter[tuple[int, int]]:
    """The bytes of requests and of the replies that answered them."""
    profile = decode(file.read_bytes())
    return Counter((_bytes(profile, request), _bytes(profile, reply)) for request, reply in profile.exchanges)


def _bytes(profile: Profile, place: int) -> int:
    return sum(profile.payloads[profile.messages[place][2]])


class Packets:
    """tcpdump, at work on the packets of one port."""

    def __init__(self, home: Path, port: int) -> None:
        self.port = port
        self.file = home / "job.pcap"
        self._said = home / "tcpdump"
        words = ["-i", "lo", "-s", "0", "-B", "65536", "--immediate-mode", "-U", "-w", str(self.file)]
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(["tcpdump", *words, "port", str(port)], stderr=said)
        wait_until(lambda: self.process.poll() is not None or "listening" in self._said.read_text(), "tcpdump")

    def finish(self) -> None:
        """Once what was sent last is in the file; all that was sent before it is, then."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(_LAST, ("127.0.0.1", self.port))
        wait_until(self._has_last, "the last packet")
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE_SECONDS)

    def dropped(self) -> bool:
        return "\n0 packets dropped by kernel" not in self._said.read_text()

    def _has_last(self) -> bool:
        with self.file.open("rb") as file:
            file.seek(max(0, self.file.stat().st_size - 4096))
            return _LAST in file.read()


@pytest.fixture
def packets(home: Path) -> Iterator[Packets]:
    if shutil.which("tcpdump") is None:
        pytest.skip("tcpdump is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    watching = Packets(home, port)
    if watching.process.poll() is not None:
        pytest.skip("tcpdump may not capture here")
    yield watching
    watching.process.kill()
    watching.process.wait()


def compare(home: Path, run: Run, packets: Packets, *job: str) -> Counter[tuple[str, str, int]]:
    """What both views of a job have; fails where they differ."""
    done = run("capture", "-o", "tap.json", "--", *job)
    assert done.code == 0, done.stderr
    packets.finish()
    if packets.dropped():
        pytest.skip("tcpdump dropped packets: the machine is too busy")
    done = run("profile", "import", "job.pcap", "-o", "packets.json")
    assert done.code == 0, done.stderr
    assert exchanged(home / "packets.json") == exchanged(home / "tap.json")
    seen = messages(home / "packets.json")
    assert seen == messages(home / "tap.json")
    assert seen
    return seen


def test_packets_and_tap_agree_on_grpcio(home: Path, run: Run, packets: Packets) -> None:
    pytest.importorskip("grpc")
    seen = compare(home, run, packets, sys.executable, PAIR, str(packets.port), "0", "1", "70000", "1000000", "70000")
    assert seen["request", "/t.S/Double", 70_000] == 2
    assert seen["reply", "/t.S/Double", 2_000_000] == 1


def test_packets_and_tap_agree_on_a_run(home: Path, run: Run, packets: Packets) -> None:
    words = ("--calls", "30", "-c", "grpc", "--port", str(packets.port), "--output", "r.json")
    seen = compare(home, run, packets, PROGRAM, "run", "p2p-latency", *words)
    assert {(kind, method) for kind, method, _ in seen} == {
        ("request", "/tensorwire.Wire/Echo"),
        ("reply", "/tensorwire.Wire/Echo"),
    }
    assert seen.total() >= 60


def test_a_capture_becomes_a_profile(run: Run, home: Path) -> None:
    done = run("profile", "import", SMALL, "-o", "p.json")
    assert (done.code, done.stderr) == (0, "profile file: p.json\n")
    for part in ("grpc-pair", "by pcap, processes not known", "10 messages", "Double", "endpoint 0", "endpoint 1"):
        assert part in done.stdout
    assert exchanged(home / "p.json") == Counter([(0, 0), (1, 2), (100, 200), (3000, 6000), (2, 4)])


def test_a_capture_is_known_by_its_bytes(run: Run, home: Path) -> None:
    (home / "trace.json").write_bytes(Path(SMALL).read_bytes())
    assert run("profile", "import", "trace.json", "-o", "p.json").code == 0


def test_what_cannot_be_imported_is_refused(run: Run, home: Path) -> None:
    (home / "none.pcap").write_bytes(b"\xd4\xc3\xb2\xa1" + bytes(20))
    run("profile", "import", "none.pcap", "-o", "p.json").refused(2, "none.pcap has no message in its 0 packets")
    (home / "odd.pcap").write_bytes(b"\xd4\xc3\xb2\xa1" + bytes(20) + b"\xff" * 16)
    run("profile", "import", "odd.pcap", "-o", "p.json").refused(2, "odd.pcap is damaged", "before byte 40")
    (home / "odd.txt").write_text("tcpdump: listening")
    run("profile", "import", "odd.txt", "-o", "p.json").refused(2, "odd.txt is not a trace")
    assert not (home / "p.json").exists()
