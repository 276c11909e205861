"""tensorwire as a user types it: a process of its own, its ranks, and what it leaves behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tensorwire.result import Result, decode

PROGRAM = str(Path(sys.executable).with_name("tensorwire"))
PATIENCE_SECONDS = 60.0
# The CPU time that a rank surely has not had before it makes its calls.
_NATIVE_STARTED_SECONDS = 0.15
_PYTHON_STARTED_SECONDS = 0.9

SHORT = ("--warmup", "0s", "--duration", "100ms", "--port", "0")
ENDLESS = ("--warmup", "0s", "--duration", "10m", "--port", "0", "-c", "tcp", "--buffers", "1", "--wait", "spin")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Looks again and again, until it is so; fails when it does not come to be."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


class Done(msgspec.Struct, frozen=True):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    def refused(self, code: int, *fragments: str) -> None:
        """It ended with one sentence on stderr, that has these fragments, and nothing on stdout."""
        assert self.code == code, self.stderr
        self.said(*fragments)
        assert self.stdout == ""

    def said(self, *fragments: str) -> None:
        """Its stderr has one sentence of tensorwire's, with these fragments, and no trace of Python's."""
        assert "Traceback" not in self.stderr
        (sentence,) = [line for line in self.stderr.splitlines() if line.startswith("tensorwire: ")]
        for fragment in fragments:
            assert fragment in sentence, sentence


class Driver:
    """One command that runs. Everything that it and its ranks write goes below `home`."""

    def __init__(self, home: Path, words: tuple[str, ...], environment: dict[str, str]) -> None:
        self.home = home
        self._stdout, self._stderr = home / "stdout", home / "stderr"
        with self._stdout.open("wb") as out, self._stderr.open("wb") as err:
            self.process = subprocess.Popen(
                [PROGRAM, *words],
                cwd=home,
                env={**os.environ, "TMPDIR": str(home), "COLUMNS": "200", **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def ranks(self) -> dict[int, int]:
        """The process ids of its ranks, by rank: of all that were given a plan from below `home`."""
        found = {}
        for entry in Path("/proc").iterdir():
            words = _words(int(entry.name)) if entry.name.isdigit() else []
            if len(words) > 2 and words[-2].startswith(f"{self.home}/tensorwire-"):
                found[int(words[-1])] = int(entry.name)
        return found

    def wait_for_ranks(self, count: int = 2) -> dict[int, int]:
        wait_until(lambda: self._ended() or len(self.ranks()) == count, f"{count} ranks")
        return self.ranks()

    def wait_for_calls(self, rank: int = 1) -> dict[int, int]:
        """Waits until a rank, which must poll, has worked for longer than it takes to start: the ranks, by then."""
        wait_until(lambda: self._ended() or _works(self.ranks().get(rank)), f"calls of rank {rank}")
        return self.ranks()

    def result(self, file: str = "r.json") -> Result:
        return decode((self.home / file).read_bytes())

    def wait_for_result(self, file: str = "r.json") -> None:
        wait_until(lambda: self._ended() or (self.home / file).exists(), "the first measurement")

    def said(self) -> str:
        """What is on its stderr by now."""
        return self._stderr.read_text()

    def send(self, what: signal.Signals) -> None:
        self.process.send_signal(what)

    def wait(self) -> Done:
        """How it ended; nothing is left of it by then."""
        self.process.wait(PATIENCE_SECONDS)
        assert self.ranks() == {}
        assert self.left_behind() == []
        return self.done()

    def done(self) -> Done:
        return Done(self.process.wait(PATIENCE_SECONDS), self._stdout.read_text(), self._stderr.read_text())

    def left_behind(self) -> list[str]:
        """Scratch directories, and result files that were not finished."""
        return [str(path) for path in self.home.rglob("*") if path.name.startswith(("tensorwire-", "."))]

    def kill(self) -> None:
        """Ends it for certain, with the ranks that it may have left."""
        self.process.kill()
        self.process.wait()
        for pid in self.ranks().values():
            os.kill(pid, signal.SIGKILL)

    def _ended(self) -> bool:
        """Fails when it ended before what is waited for."""
        assert self.process.poll() is None, self._stderr.read_text()
        return False


def _words(pid: int) -> list[str]:
    """The command line of a process; nothing when it is gone, or waits to be."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


def _works(pid: int | None) -> bool:
    """Whether a rank had more CPU time so far than it takes to start."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    had = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return had > (_PYTHON_STARTED_SECONDS if "-m" in _words(pid or 0) else _NATIVE_STARTED_SECONDS)
