"""Everything by which a program can send, receive, share and close sockets: the tap sees it, and nothing else."""

from collections import Counter
from pathlib import Path

import pytest

from tensorwire.instruments.wire import instrument
from tests.system.tapped import PAIR, logs, payloads, python, received, sends

LIBC = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
class Part(ctypes.Structure): _fields_ = [("base", ctypes.c_char_p), ("size", ctypes.c_size_t)]
class Message(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_size", ctypes.c_uint32), ("parts", ctypes.POINTER(Part)),
                ("count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_size", ctypes.c_size_t),
                ("flags", ctypes.c_int)]
class Each(ctypes.Structure): _fields_ = [("message", Message), ("size", ctypes.c_uint)]
def parts(*sizes): return (Part * len(sizes))(*[Part(bytes(size), size) for size in sizes])
def each(*all): return (Each * len(all))(*[Each(Message(parts=one, count=len(one))) for one in all])
"""


def well(home: Path, program: str) -> None:
    done = python(home, program)
    assert (done.returncode, done.stderr) == (0, "")


def test_calls_for_several_messages_are_counted(home: Path) -> None:
    well(
        home,
        PAIR
        + LIBC
        + """
assert libc.sendmmsg(one.fileno(), each(parts(10, 20), parts(30)), 2, 0) == 2
assert libc.recvmmsg(other.fileno(), each(parts(40), parts(50)), 1, 0, None) == 1
assert libc.pwritev2(one.fileno(), parts(1, 2), 2, ctypes.c_long(-1), 0) == 3
assert libc.preadv2(other.fileno(), parts(1, 2), 2, ctypes.c_long(-1), 0) == 3
assert libc.pwritev64v2(one.fileno(), parts(4), 1, ctypes.c_long(-1), 0) == 4
assert libc.preadv64v2(other.fileno(), parts(24), 1, ctypes.c_long(-1), 0) == 24
""",
    )
    assert sends(home) == [(10, 20), (30,), (1, 2), (4,)]
    assert received(home) == 40 + 3 + 24


@pytest.mark.parametrize("call", ["__write(one.fileno(), b'x' * 5, 5)", "__send(one.fileno(), b'x' * 5, 5, 0)"])
def test_other_names_of_the_same_calls_are_counted(home: Path, call: str) -> None:
    well(home, PAIR + LIBC + f"assert libc.{call} == 5; assert libc.__read(other.fileno(), bytes(9), 9) == 5")
    assert (sends(home), received(home)) == ([(5,)], 5)


@pytest.mark.parametrize("name", ["fcntl", "fcntl64", "__fcntl"])
def test_a_descriptor_that_fcntl_made_is_of_the_same_connection(home: Path, name: str) -> None:
    program = """
import fcntl
again = libc.{}(one.fileno(), {}, 100)
assert again >= 100
one.close()
os.write(again, b"x" * 7)
take(7)
"""
    for command in ("fcntl.F_DUPFD", "fcntl.F_DUPFD_CLOEXEC"):
        well(home, PAIR + LIBC + program.format(name, command))
    assert sends(home) == [(7,)] * 2


def test_other_commands_of_fcntl_do_what_they_did(home: Path) -> None:
    well(
        home,
        PAIR
        + """
import fcntl, os, struct
flags = fcntl.fcntl(one, fcntl.F_GETFL)
fcntl.fcntl(one, fcntl.F_SETFL, flags | os.O_NONBLOCK)
assert fcntl.fcntl(one, fcntl.F_GETFL) & os.O_NONBLOCK
with open("/proc/self/exe", "rb") as file:
    fcntl.lockf(file, fcntl.LOCK_SH)
try: fcntl.fcntl(9999, fcntl.F_GETFD)
except OSError as wrong: assert wrong.errno == 9
""",
    )


CLOSERS = {
    "close": "libc.close(fd)",
    "__close": "libc.__close(fd)",
    "fclose": "libc.fdopen.restype = ctypes.c_void_p; libc.fclose(ctypes.c_void_p(libc.fdopen(fd, b'r+')))",
    "close_range": "libc.close_range(fd, fd, 0)",
    "closefrom": "libc.closefrom(fd)",
}


@pytest.mark.parametrize("closer", CLOSERS.values(), ids=CLOSERS)
def test_a_file_that_takes_the_number_of_a_closed_socket_is_none(home: Path, closer: str) -> None:
    well(
        home,
        PAIR
        + LIBC
        + f"""
fd = one.detach()
os.write(fd, b"x" * 3)
take(3)
{closer}
assert os.open("/dev/null", os.O_WRONLY) == fd
assert os.write(fd, b"y" * 5) == 5
""",
    )
    assert sends(home) == [(3,)]


def test_what_takes_the_place_of_a_socket_by_dup2_is_none(home: Path) -> None:
    well(
        home,
        PAIR + LIBC + "os.dup2(os.open('/dev/null', os.O_WRONLY), one.fileno()); os.write(one.fileno(), b'y' * 5)",
    )
    assert sends(home) == []


def test_a_range_that_is_only_marked_stays_open(home: Path) -> None:
    well(
        home,
        PAIR + LIBC + "assert libc.close_range(one.fileno(), one.fileno(), 4) == 0; one.send(b'x' * 6); take(6)",
    )
    assert sends(home) == [(6,)]


def test_pairs_of_sockets_are_seen_in_parent_and_child(home: Path) -> None:
    well(
        home,
        """
import os, socket
here, there = socket.socketpair()
if os.fork() == 0:
    there.send(b"c" * 5)
    assert there.recv(9) == b"p" * 4
    os._exit(0)
assert here.recv(9) == b"c" * 5
here.send(b"p" * 4)
os.wait()
""",
    )
    assert sorted(sends(home)) == [(4,), (5,)]
    assert received(home) == 9


def test_pairs_that_carry_no_stream_are_none_of_ours(home: Path) -> None:
    well(home, "import socket\na, b = socket.socketpair(type=socket.SOCK_DGRAM)\na.send(b'x'); b.recv(9)")
    assert list(home.iterdir()) == []


def test_what_a_file_or_a_pipe_sends_is_counted(home: Path) -> None:
    well(
        home,
        PAIR
        + LIBC
        + """
with open("/proc/self/exe", "rb") as file:
    assert os.sendfile(one.fileno(), file.fileno(), 0, 1000) == 1000
    assert libc.sendfile64(one.fileno(), file.fileno(), None, ctypes.c_size_t(500)) == 500
reading, writing = os.pipe()
os.write(writing, b"x" * 70)
assert os.splice(reading, one.fileno(), 70) == 70
take(1500)
assert os.splice(other.fileno(), writing, 70) == 70
""",
    )
    assert sends(home) == [(1000,), (500,), (70,)]
    assert received(home) == 1570


def test_a_file_in_the_midst_of_grpc_is_done_without(home: Path) -> None:
    well(
        home,
        PAIR
        + """
import os, struct
def frame(kind, flags, stream, content):
    return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content
def head(size): return struct.pack(">I", size + 5)[1:] + bytes([0, 0, 0, 0, 0, 1]) + struct.pack(">BI", 0, size)
one.send(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + frame(4, 0, 0, b""))
with open("/proc/self/exe", "rb") as file:
    one.send(head(1000))
    os.sendfile(one.fileno(), file.fileno(), 0, 1000)
    one.send(frame(0, 0, 3, bytes(5)))
    os.sendfile(one.fileno(), file.fileno(), 0, 77)
one.send(b"z" * 11)
""",
    )
    profile = instrument.collect(home)
    assert payloads(profile, "request") == Counter([(1000,), ()])
    assert payloads(profile, "raw") == Counter([(77,), (11,)])


def test_sending_without_a_copy_is_counted_once(home: Path) -> None:
    well(
        home,
        PAIR
        + """
ZEROCOPY, MSG_ZEROCOPY, MSG_ERRQUEUE = 60, 0x4000000, 0x2000
one.setsockopt(socket.SOL_SOCKET, ZEROCOPY, 1)
sent = one.send(b"x" * 100_000, MSG_ZEROCOPY)
take(sent)
one.setblocking(False)
try: one.recvmsg(1, 200, MSG_ERRQUEUE)
except BlockingIOError: pass
""",
    )
    assert sum(map(sum, sends(home))) == received(home) > 0


def test_a_connection_that_begins_with_data_is_counted(home: Path) -> None:
    well(
        home,
        """
import socket
listening = socket.create_server(("127.0.0.1", 0))
end = socket.socket()
sent = end.sendto(b"x" * 9, socket.MSG_FASTOPEN, listening.getsockname())
end.send(b"y" * 4)
""",
    )
    assert sends(home)[-1] == (4,)


def test_sockets_that_a_program_was_started_with_are_seen(home: Path) -> None:
    well(
        home,
        PAIR
        + """
import os, subprocess, sys
job = f"import os; os.write({one.fileno()}, b'x' * 13)"
subprocess.run([sys.executable, "-c", job], pass_fds=[one.fileno()], check=True)
subprocess.run([sys.executable, "-c", "print('y' * 20)"], stdout=one, check=True)
take(13 + 21)
""",
    )
    assert sends(home) == [(13,)]  # standard streams are none of ours


def test_sockets_that_come_by_message_are_seen(home: Path) -> None:
    well(
        home,
        """
import os, socket
here, there = socket.socketpair()
if os.fork() == 0:
    _, (fd,), _, _ = socket.recv_fds(there, 1, 1)
    os.write(fd, b"x" * 17)
    os._exit(0)
listening = socket.create_server(("127.0.0.1", 0))
one = socket.create_connection(listening.getsockname())
socket.send_fds(here, [b"!"], [one.fileno()])
os.wait()
""",
    )
    assert sorted(sends(home)) == [(1,), (17,)]


def test_steps_of_a_program_that_never_sends_need_no_sockets(home: Path) -> None:
    well(home, "import tensorwire\ntensorwire.step()")
    (log,) = logs(home)
    assert [type(record).__name__ for record in log.records] == ["Mark"]


@pytest.mark.parametrize(
    "start",
    [
        "subprocess.run([sys.executable, '-c', job], check=True)",  # vfork
        "os.waitpid(os.posix_spawn(sys.executable, [sys.executable, '-c', job], os.environ), 0)",
        "subprocess.run([sys.executable, '-c', job], check=True, preexec_fn=lambda: None)",  # fork
        "os.system(f'exec {sys.executable} -c \"$JOB\"')",
    ],
)
def test_however_a_program_is_started_it_is_seen_and_its_parent_goes_on(home: Path, start: str) -> None:
    inner = PAIR + "one.send(b'i' * 33)"
    well(home, PAIR + f"import os, subprocess, sys\njob = os.environ['JOB'] = {inner!r}\n{start}\none.send(b'p' * 9)")
    assert sorted(sends(home)) == [(9,), (33,)]


def test_a_connection_of_grpc_is_followed_again_after_a_pause(home: Path) -> None:
    well(
        home,
        PAIR
        + f"""
import struct
from pathlib import Path
from tensorwire.instruments.wire import switch
def frame(kind, flags, stream, content):
    return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content
def call(stream, size):
    return frame(1, 4, stream, b"\\x82") + frame(0, 1, stream, struct.pack(">BI", 0, size) + bytes(size))
one.send(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + frame(4, 0, 0, b""))
one.send(call(1, 100))
one.send(call(3, 200)[:150])
switch(Path({str(home)!r}), False)
one.send(call(3, 200)[150:])
one.send(call(5, 300)[:150])
switch(Path({str(home)!r}), True)
one.send(call(5, 300)[150:])
one.send(call(7, 400))
""",
    )
    profile = instrument.collect(home)
    assert payloads(profile, "request") == Counter([(100,), (400,)])
    assert payloads(profile, "raw") == Counter()
    assert any("paused" in note for note in profile.captured.notes)
