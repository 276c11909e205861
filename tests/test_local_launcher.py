"""What local processes have beside what every launcher promises."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tensorwire.launchers import Command
from tensorwire.launchers.local import LocalJob, started


def shell(rank: int, script: str) -> Command:
    return Command(rank=rank, role="ps", argv=("/bin/sh", "-c", script), environment={})


def ended_of(directory: Path, script: str) -> str:
    """What a rank said on stderr until it ended."""
    with started(LocalJob(directory), [shell(0, script)]) as job:
        deadline = time.monotonic() + 20
        while not (exits := job.exits()):
            assert time.monotonic() < deadline
            time.sleep(0.005)
    return exits[0].stderr


def test_a_rank_knows_whom_to_die_with(tmp_path: Path) -> None:
    assert ended_of(tmp_path, "echo $TENSORWIRE_PARENT $PPID >&2; exit 1") == f"{os.getpid()} {os.getpid()}"


def test_a_rank_is_out_of_reach_of_our_terminal(tmp_path: Path) -> None:
    said = ended_of(tmp_path, "ps -o pgid= -p $$ >&2 || cut -d' ' -f5 /proc/$$/stat >&2; exit 1")
    assert int(said.split()[-1]) != os.getpgrp()


def test_a_rank_has_default_signals_whatever_ours_are(tmp_path: Path) -> None:
    """Those that are held back while it starts are not held back in the rank."""
    said = ended_of(tmp_path, "grep -E 'SigBlk|SigIgn' /proc/self/status >&2; exit 1")
    interrupts = (1 << (signal.SIGINT - 1)) | (1 << (signal.SIGTERM - 1))
    assert [int(line.split()[1], 16) & interrupts for line in said.splitlines()] == [0, 0]


def test_a_signal_that_comes_while_ranks_start_leaves_none(tmp_path: Path) -> None:
    """Each rank interrupts us as soon as it runs: at the worst moment, when we may not know it yet."""
    script = f"echo $$ > {tmp_path}/pid-$RANK; kill -INT {os.getpid()}; exec sleep 600"
    commands = [
        Command(rank=rank, role="ps", argv=("/bin/sh", "-c", script), environment={"RANK": str(rank)})
        for rank in range(20)
    ]
    with pytest.raises(KeyboardInterrupt):
        interrupted(commands, tmp_path)
    for file in tmp_path.glob("pid-*"):
        if text := file.read_text():
            assert not Path(f"/proc/{text.strip()}").exists()


def interrupted(commands: list[Command], directory: Path) -> None:
    """Waits for the signal, if it has not come while the ranks were started."""
    with started(LocalJob(directory), commands):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            time.sleep(0.005)


def test_ranks_can_be_started_from_any_thread(tmp_path: Path) -> None:
    program = f"""
import threading
from pathlib import Path
from tensorwire.launchers import Command
from tensorwire.launchers.local import LocalJob, started

def run():
    command = Command(rank=0, role="ps", argv=("/bin/sh", "-c", "exit 0"), environment={{}})
    with started(LocalJob(Path({str(tmp_path)!r})), [command]) as job:
        while not (exits := job.exits()):
            pass
    print(exits[0].status)

thread = threading.Thread(target=run)
thread.start()
thread.join()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "0\n"
