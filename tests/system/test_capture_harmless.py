"""A program runs under the tap exactly as without it: where there is nothing to see, and where there is no room."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tensorwire.capture import capture
from tensorwire.instruments.unseen import unseen
from tensorwire.instruments.wire import instrument
from tests.system.tapped import PAIR, python, sends


def well(home: Path, program: str) -> None:
    done = python(home, program)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "program", ["print('here')", "import sys; sys.exit('gone')", "import os; os.abort()", "open('/nowhere')"]
)
def test_without_sockets_nothing_is_different(home: Path, program: str) -> None:
    plain = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    done = python(home, program)
    assert (done.returncode, done.stdout, done.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    assert list(home.iterdir()) == []


def test_errors_are_those_of_the_system(home: Path) -> None:
    program = """
import socket
end = socket.socket()
for wrong in (lambda: end.send(b"x"), lambda: end.recv(1), lambda: end.connect(("127.0.0.1", 1)), lambda: end.accept()):
    try: wrong()
    except OSError as error: print(error.errno)
"""
    plain = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert python(home, program).stdout == plain.stdout


def test_a_log_that_cannot_be_made_harms_nobody(home: Path) -> None:
    done = python(home / "nowhere", PAIR + "one.send(b'x'); take(1); print('well')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "well\n", "")


def test_a_limit_on_the_size_of_files_kills_nobody(home: Path) -> None:
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))" + PAIR
    for limit in (0, 5000, 20_000):
        done = python(home, limited.format(limit) + "for _ in range(1000): one.send(b'x'); take(1)")
        assert (done.returncode, done.stderr) == (0, "")


STATIC = """
#include <sys/socket.h>
#include <unistd.h>
int main(void) { int fds[2]; return socketpair(AF_UNIX, SOCK_STREAM, 0, fds) || write(fds[0], "x", 1) != 1; }
"""


def compiled(home: Path, source: str, *options: str) -> Path:
    (home / "program.c").write_text(source)
    program = home / "program"
    subprocess.run(["gcc", "-o", program, home / "program.c", *options], check=True, timeout=60)
    return program


def test_a_static_program_runs_unseen(home: Path) -> None:
    program = compiled(home, STATIC, "-static")
    logs_at = home / "logs"
    logs_at.mkdir()
    well(logs_at, f"import subprocess\nsubprocess.run([{str(program)!r}], check=True)")
    assert list(logs_at.iterdir()) == []


def test_a_static_program_that_is_captured_is_told_apart(home: Path) -> None:
    program = str(compiled(home, STATIC, "-static"))
    seen = capture([program], "job", instrument, os.environ)
    assert (seen.status, seen.profile) == (0, None)
    assert f"{program} is statically linked" in seen.lacking
    assert unseen(sys.executable) == ""
    assert unseen("no-such-program") == ""
    assert unseen(str(home / "program.c")) == ""


def test_a_program_with_the_rights_of_another_runs_unseen(home: Path) -> None:
    program = compiled(home, STATIC.replace("int main", "// dynamically linked\nint main"))
    program.chmod(0o4755)
    home.chmod(0o755)
    assert f"{program} runs with the rights of its owner" in unseen(str(program))
    nobody = {"user": 65534, "group": 65534} if os.geteuid() == 0 else {}
    environment = instrument.attach(os.environ, home / "nowhere")
    done = subprocess.run([program], env=environment, capture_output=True, text=True, timeout=60, check=False, **nobody)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


ROOMS = {
    "a full disk": ("mount -t tmpfs -o size=64k none {0} && head -c 100000 /dev/zero >{0}/file 2>/dev/null", 0),
    "a disk that gets full": ("mount -t tmpfs -o size=600k none {0}", 1),
    "no memory to share": ("mount -t tmpfs -o ro none /dev/shm", 1),
    "a disk that takes nothing": ("mount -t tmpfs -o ro none {0}", 0),
}


@pytest.mark.parametrize("room", ROOMS, ids=lambda name: name.replace(" ", "-"))
def test_where_there_is_no_room_a_program_runs_as_it_is(home: Path, room: str) -> None:
    prepare, logged = ROOMS[room]
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system allows no mounts")
    program = home / "program.py"
    program.write_text(PAIR + "for _ in range(20_000): one.send(b'x'); take(1)\nprint('well')")
    where = home / "logs"
    where.mkdir()
    tap = instrument.attach({}, where)
    script = (
        f"({prepare.format(where)}); LD_PRELOAD={tap['LD_PRELOAD']} TENSORWIRE_TAP={tap['TENSORWIRE_TAP']} "
        f"{sys.executable} {program} && ls {where} | grep -c tap"
    )
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.split(), done.stderr) == (["well", str(logged)], "")


def test_a_program_of_c_that_forks_by_itself_is_seen(home: Path) -> None:
    source = """
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
  int fds[2], status;
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds)) return 1;
  pid_t child = vfork();
  if (child == 0) { execl("/bin/true", "true", (char*)0); _exit(1); }
  waitpid(child, &status, 0);
  if (send(fds[0], "abc", 3, 0) != 3) return 2;
  return WEXITSTATUS(status);
}
"""
    program = compiled(home, source)
    logs_at = home / "logs"
    logs_at.mkdir()
    well(logs_at, f"import subprocess\nsubprocess.run([{str(program)!r}], check=True)")
    assert sends(logs_at) == [(3,)]
