"""Real programs with and without the tap: it sees what they send, to the byte, and they do not see it."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tensorwire.benchmarks.p2p import latency
from tensorwire.capture import Captured, capture
from tensorwire.errors import LaunchError
from tensorwire.instruments.tap_log import Mark
from tensorwire.instruments.wire import instrument
from tensorwire.payload import Uniform
from tests.system.driver import PROGRAM
from tests.system.tapped import PAIR, exchanges, logs, payloads, python, received, sends, watched


def test_every_way_to_send_is_counted(home: Path) -> None:
    done = python(
        home,
        PAIR
        + """
import os
one.sendmsg([b"a" * 1000, b"", b"b" * 2000])
one.send(b"c" * 11)
os.write(one.fileno(), b"d" * 22)
os.writev(one.fileno(), [b"e" * 3, b"f" * 4])
one.sendto(b"g" * 55, other.getpeername())
assert other.recv(10, socket.MSG_PEEK)
take(3095)
one.sendmsg([b"h"])
assert os.read(other.fileno(), 10) == b"h"
""",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sends(home) == [(1000, 0, 2000), (11,), (22,), (3, 4), (55,), (1,)]
    assert received(home) == 3096


def test_a_log_tells_what_its_process_was_told(home: Path) -> None:
    config = '{"cluster": {"ps": ["a:1"], "task": ["b:2"]},\n "task": {"type": "ps",\n "index": 0}}'
    told = {"TENSORWIRE_ROLE": "ps 0", "RANK": "2", "TF_CONFIG": config, "HOME": os.environ.get("HOME", "/")}
    environment = instrument.attach({**os.environ, **told}, home)
    program = (sys.executable, "-c", PAIR + "one.send(b'x')", "--job_name=ps")
    subprocess.run(program, env=environment, timeout=60, check=True)
    (log,) = logs(home)
    task = '{"type": "ps",  "index": 0}'
    assert log.head.told == {"TENSORWIRE_ROLE": "ps 0", "RANK": "2", "TF_TASK": task}
    assert log.head.arguments == program


def test_partial_sends_are_counted_once(home: Path) -> None:
    done = python(
        home,
        PAIR
        + """
one.setblocking(False)
data, left = [b"a" * 7_000_000, b"b" * 9_000_000], 16_000_000
while left:
    try:
        left -= (taken := one.sendmsg(data))
    except BlockingIOError:
        other.recv(1 << 20)
        continue
    while data and taken >= len(data[0]): taken -= len(data.pop(0))
    if data: data[0] = data[0][taken:]
""",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(sends(home)) > 1
    assert sum(map(sum, sends(home))) == 16_000_000


def test_threads_do_not_disturb_each_other(home: Path) -> None:
    done = python(
        home,
        """
import socket, threading
listening = socket.create_server(("127.0.0.1", 0))
def serve(end):
    while end.recv(65536): pass
def call(n):
    for _ in range(20):
        with socket.create_connection(listening.getsockname()) as end:
            for _ in range(20): end.send(b"x" * n)
def accept():
    for _ in range(80): threading.Thread(target=serve, args=(listening.accept()[0],)).start()
threads = [threading.Thread(target=accept)] + [threading.Thread(target=call, args=(n + 1,)) for n in range(4)]
for each in threads: each.start()
""",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Counter(sends(home)) == {(n,): 400 for n in (1, 2, 3, 4)}
    assert received(home) == 4000


def test_forks_and_execs_are_followed(home: Path) -> None:
    inner = PAIR + "one.send(b'i' * 33)"
    done = python(
        home,
        PAIR
        + f"""
import os, subprocess, sys
one.send(b"p" * 11)
child = os.fork()
if child == 0:
    one.send(b"c" * 22)
    os._exit(0)
os.waitpid(child, 0)
subprocess.run([sys.executable, "-c", {inner!r}], check=True)
one.send(b"q" * 44)
take(77)
""",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(logs(home)) == 3
    assert sorted(sends(home)) == [(11,), (22,), (33,), (44,)]


def test_a_killed_program_leaves_all_that_it_sent(home: Path) -> None:
    done = python(
        home, PAIR + "import os\nfor _ in range(1000): one.send(b'k' * 10); take(10)\nos.kill(os.getpid(), 9)"
    )
    assert done.returncode == -signal.SIGKILL
    assert sends(home) == [(10,)] * 1000
    assert [log.damage for log in logs(home)] == [""]


def test_a_full_log_counts_what_it_lost(home: Path) -> None:
    environment = instrument.attach({**os.environ, "TENSORWIRE_TAP_CAPACITY": "16384"}, home)
    program = PAIR + "for _ in range(1000): one.send(b'x'); take(1)"
    subprocess.run([sys.executable, "-c", program], env=environment, timeout=60, check=True)
    (log,) = logs(home)
    assert log.damage == ""
    assert len(log.records) + log.head.dropped == 1000 * 2 + 5  # and two opened, one told raw, two closed
    assert log.head.dropped > 1000


def test_the_recording_can_be_paused(home: Path) -> None:
    done = python(
        home,
        PAIR
        + f"""
from pathlib import Path
from tensorwire.instruments.wire import switch
one.send(b"a" * 10)
switch(Path({str(home)!r}), False)
one.send(b"b" * 20)
switch(Path({str(home)!r}), True)
one.send(b"c" * 30)
""",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sends(home) == [(10,), (30,)]


def test_processes_that_meet_at_a_path_are_paired(home: Path) -> None:
    done = python(
        home,
        f"""
import os, socket
listening = socket.socket(socket.AF_UNIX)
listening.bind({str(home / "socket")!r})
listening.listen()
if os.fork() == 0:
    end = socket.socket(socket.AF_UNIX)
    end.connect({str(home / "socket")!r})
    end.send(b"question")
    assert end.recv(10) == b"answer"
    os._exit(0)
end, _ = listening.accept()
assert end.recv(10) == b"question"
end.send(b"answer")
os.wait()
""",
    )
    assert (done.returncode, done.stderr) == (0, "")
    profile = instrument.collect(home)
    assert {(stream.sender, stream.receiver) for stream in profile.streams} == {(0, 1), (1, 0)}


def test_marks_divide_steps(home: Path) -> None:
    done = python(
        home,
        PAIR
        + """
import tensorwire
for number in range(4):
    tensorwire.step()
    one.send(b"x" * (number + 1))
""",
    )
    assert (done.returncode, done.stderr) == (0, "")
    profile = instrument.collect(home)
    assert len(profile.steps) == 3
    assert [step for *_, step in profile.messages] == [0, 1, 2, -1]


def test_forks_and_threads_mark_their_own_steps(home: Path) -> None:
    done = python(
        home,
        """
import os, threading, warnings
import tensorwire
warnings.simplefilter("ignore")  # of forks beside threads
def steps(count):
    for _ in range(count): tensorwire.step()
tensorwire.step()
threads = [threading.Thread(target=steps, args=(500,)) for _ in range(4)]
for each in threads: each.start()
for _ in range(5):
    if os.fork() == 0:
        steps(3)
        os._exit(0)
    assert os.wait()[1] == 0
for each in threads: each.join()
""",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(sum(isinstance(record, Mark) for record in log.records) for log in logs(home)) == [3] * 5 + [2001]
    assert {log.damage for log in logs(home)} == {""}


def test_a_step_leaves_errno_as_it_is(home: Path) -> None:
    program = """
import ctypes, tensorwire
libc = ctypes.CDLL(None, use_errno=True)
libc.close(-1)
tensorwire.step()
print(ctypes.get_errno())
"""
    done = python(home, program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "9\n", "")


def test_a_pair_of_grpcio_is_seen_message_by_message(home: Path) -> None:
    pytest.importorskip("grpc")
    done = python(
        home,
        """
import grpc
from concurrent import futures
class Echo(grpc.GenericRpcHandler):
    def service(self, call):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: request * 2)
server = grpc.server(futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((Echo(),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    call = channel.unary_unary("/t.S/Double")
    for size in (0, 1, 100, 70_000, 1_000_000):
        assert len(call(b"x" * size)) == 2 * size
server.stop(None).wait()
""",
    )
    assert done.returncode == 0, done.stderr
    profile = instrument.collect(home)
    assert payloads(profile, "request") == Counter([(), (1,), (100,), (70_000,), (1_000_000,)])
    replies = payloads(profile, "reply")
    assert sorted(sum(sizes) for sizes in replies.elements()) == [0, 2, 200, 140_000, 2_000_000]
    assert {stream.method for stream in profile.streams if stream.kind != "raw"} == {"/t.S/Double"}
    assert [(asked, sum(sizes)) for (asked,), sizes in exchanges(profile)[1:]] == [
        (size, 2 * size) for size in (1, 100, 70_000, 1_000_000)
    ]


def test_streaming_calls_of_grpcio_are_linked_message_by_message(home: Path) -> None:
    pytest.importorskip("grpc")
    done = python(
        home,
        """
import grpc
from concurrent import futures
class Echo(grpc.GenericRpcHandler):
    def service(self, call):
        return grpc.stream_stream_rpc_method_handler(lambda requests, context: (each * 3 for each in requests))
server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((Echo(),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    triple = channel.stream_stream("/t.S/Triple")
    both = [triple(iter([b"x" * size for size in sizes])) for sizes in ((1, 2, 70_000), (4, 5))]
    for each in both: list(each)
server.stop(None).wait()
""",
    )
    assert done.returncode == 0, done.stderr
    profile = instrument.collect(home)
    assert sorted((sum(asked), sum(told)) for asked, told in exchanges(profile)) == [
        (size, 3 * size) for size in (1, 2, 4, 5, 70_000)
    ]


def test_a_rank_over_grpc_gives_its_payload_back(home: Path) -> None:
    done = watched(
        home,
        PROGRAM,
        "run",
        latency.name,
        "--calls",
        "20",
        "-c",
        "grpc",
        "--port",
        "0",
        "--output",
        str(home / "r.json"),
    )
    assert done.returncode == 0, done.stderr
    profile = instrument.collect(home)
    (asked,) = Uniform().payloads()
    requests, replies = payloads(profile, "request"), payloads(profile, "reply")
    assert set(requests) == {tuple(asked.sizes)}
    assert requests.total() >= 20
    assert {sum(sizes) for sizes in replies} == {asked.total}  # an echo sends what arrived, as it arrived
    assert replies.total() == requests.total()
    request, reply = (next(s for s in profile.streams if s.kind == kind) for kind in ("request", "reply"))
    assert (request.sender, request.receiver) == (reply.receiver, reply.sender)
    assert request.method == reply.method == "/tensorwire.Wire/Echo"
    assert len(profile.exchanges) == requests.total()


def captured(*command: str) -> Captured:
    return capture(command, "job", instrument, os.environ)


def test_a_profile_tells_how_it_came_to_be() -> None:
    job = (sys.executable, "-c", PAIR + "one.send(b'x' * 12)")
    seen = captured(*job)
    assert seen.status == 0
    assert seen.profile is not None
    assert (seen.profile.name, seen.profile.captured.command) == ("job", job)
    assert (seen.profile.captured.program, seen.profile.captured.processes) == (Path(sys.executable).name, 1)
    assert payloads(seen.profile, "raw") == Counter([(12,)])


def test_a_command_keeps_its_status_and_its_signals() -> None:
    assert captured(sys.executable, "-c", "raise SystemExit(7)").status == 7
    kill_parent = "import os, signal; os.kill(os.getppid(), signal.SIGTERM); signal.pause()"
    ended = captured(sys.executable, "-c", kill_parent)
    assert (ended.status, ended.profile) == (-signal.SIGTERM, None)
    assert "no stream sockets" in ended.lacking


def test_a_command_that_is_not_there_cannot_be_captured() -> None:
    with pytest.raises(LaunchError, match="no-such-program"):
        captured("no-such-program")
