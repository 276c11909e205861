"""tensorwire capture as a user types it: the job is left as it is, and its profile comes out."""

import sys
from collections import Counter
from pathlib import Path

from tensorwire import profile, replay
from tensorwire.profile import Profile, decode, encode
from tests import profiles
from tests.system.conftest import Run
from tests.system.driver import PROGRAM

JOB = """
import socket, sys
listening = socket.create_server(("127.0.0.1", 0))
one = socket.create_connection(listening.getsockname())
one.sendmsg([b"a" * 10, b"b" * 2000])
print(sys.stdin.read() + "done")
"""


def captured(home: Path) -> Profile:
    return decode((home / "job.profile.json").read_bytes())


def test_the_job_runs_as_it_is_and_its_profile_comes_out(run: Run, home: Path) -> None:
    done = run("capture", "-o", "job.profile.json", "--", sys.executable, "-c", JOB)
    assert (done.code, done.stdout) == (0, "done\n")
    assert "profile file: job.profile.json\n" in done.stderr
    assert "1 messages of 2 buffers" in done.stderr
    seen = captured(home)
    assert (seen.name, seen.payloads) == ("job", ((10, 2000),))
    assert seen.captured.command == (sys.executable, "-c", JOB)


def test_options_of_the_job_are_its_own(run: Run, home: Path) -> None:
    done = run("capture", "-o", "job.profile.json", "--name", "mine", sys.executable, "-c", JOB, "--name", "its", "-o")
    assert done.code == 0, done.stderr
    assert captured(home).name == "mine"
    assert captured(home).captured.command[-3:] == ("--name", "its", "-o")


def test_a_job_that_fails_fails_the_capture_and_leaves_its_profile(run: Run, home: Path) -> None:
    done = run("capture", "-o", "job.profile.json", "--", sys.executable, "-c", JOB + "sys.exit(7)")
    assert done.code == 7
    done.said("exited with code 7")
    assert captured(home).message_sizes() == {2010: 1}


def test_a_job_that_is_killed_leaves_its_profile(run: Run, home: Path) -> None:
    done = run("capture", "-o", "job.profile.json", "--", sys.executable, "-c", JOB + "import os; os.abort()")
    assert done.code == 128 + 6
    done.said("was killed by signal 6")
    assert captured(home).message_sizes() == {2010: 1}


def test_a_job_that_sends_nothing_has_no_profile(run: Run, home: Path) -> None:
    run("capture", "-o", "job.profile.json", "--", "true").refused(1, "no stream sockets")
    done = run("capture", "-o", "job.profile.json", "--", "false")
    assert done.code == 1
    done.said("false exited with code 1, and there is no profile")
    assert not (home / "job.profile.json").exists()


def test_a_job_that_is_not_there_is_named(run: Run) -> None:
    run("capture", "-o", "p.json", "--", "no-such-program").refused(1, "no-such-program")


def test_a_file_that_cannot_be_written_is_refused_before_the_job_starts(run: Run, home: Path) -> None:
    run("capture", "-o", ".", "--", "touch", "started").refused(2, "cannot write the profile .: it is a directory")
    assert not (home / "started").exists()


def test_a_captured_replay_gives_the_profile_back(run: Run, home: Path) -> None:
    """The measured calls are acknowledged; those of the untimed check are echoed."""
    asked = profiles.profile((5, 6), (70_000,), (5, 6), (2, 3, 4), (2_000_000,))
    (home / "asked.json").write_bytes(encode(asked))
    words = ("--payload", "asked.json", "--order", "exact", "--calls", "20", "--port", "0", "--format", "none")
    replayed = (PROGRAM, "run", "p2p-bandwidth", "-c", "grpc", *words, "--warmup", "0s", "--output", "r.json")
    done = run("capture", "-o", "job.profile.json", "--", *replayed)
    assert done.code == 0, done.stderr
    calls = profile.only(captured(home), "request")
    sent = Counter(calls.payloads[message[2]] for message in profile.only(calls, "Acknowledge").messages)
    assert sent == {(5, 6): 8, (70_000,): 4, (2, 3, 4): 4, (2_000_000,): 4}
    again = replay.exact(profile.only(calls, "Acknowledge")).scheme
    assert replay.fidelity(asked, again).wasserstein == 0
