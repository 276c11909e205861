"""tensorwire capture as a user types it: the job is left as it is, and its profile comes out."""

import json
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

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
    assert "1 message of 2 buffers" in done.stderr
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


def test_a_profile_whose_file_cannot_be_written_any_more_is_kept_elsewhere(run: Run, home: Path) -> None:
    program = JOB + "import os; os.rmdir('results'); open('results', 'w')"
    (home / "results").mkdir()
    done = run("capture", "-o", "results/job.profile.json", "--", sys.executable, "-c", program)
    assert done.code == 2
    done.said("cannot write the profile results/job.profile.json")
    kept = Path(next(line for line in done.stderr.splitlines() if line.startswith("profile file: "))[14:])
    assert decode(kept.read_bytes()).message_sizes() == {2010: 1}
    shutil.rmtree(kept.parent)


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
    assert {(calls.roles[each.sender], calls.roles[each.receiver]) for each in calls.streams} >= {("worker 0", "ps 0")}


SENDER = """
import socket, sys, threading, time
listening = socket.create_server(("127.0.0.1", 0))
one = socket.create_connection(listening.getsockname())
other, _ = listening.accept()
threading.Thread(target=lambda: any(iter(lambda: not other.recv(65536), True))).start()
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end: one.sendall(bytes(1000))
one.close()
print("done")
"""


def test_what_watching_costs_is_measured_in_one_run(run: Run) -> None:
    times = ("--after", "50ms", "--block", "20ms", "--blocks", "12")
    done = run("capture", "--cost", *times, "--format", "json", "--", sys.executable, "-c", SENDER, "3")
    assert done.code in (0, 4), done.stderr
    said, told = done.stdout.splitlines()
    assert said == "done"
    found = json.loads(told)
    assert [block["on"] for block in found["blocks"][:8]] == [True, False, False, True, True, False, False, True]
    assert sum(block["sent"] for block in found["blocks"]) > 0
    assert all(block["sent"] % 1000 == 0 for block in found["blocks"])
    assert found["own_share"] >= 0
    assert found["progress"] is None or found["progress"]["low"] <= found["progress"]["high"]
    assert (found["verdict"] == "cannot be told") == (done.code == 4)


def test_a_job_that_ends_before_it_was_measured_gives_what_there_is(run: Run) -> None:
    done = run("capture", "--cost", "--", sys.executable, "-c", SENDER + "sys.exit(3)", "0")
    assert done.code == 3
    assert "cannot be told: 0 blocks" in done.stderr
    assert run("capture", "--cost", "--", "true").code == 4


def test_the_cost_is_asked_for_in_words_that_make_sense(run: Run) -> None:
    run("capture", "--cost", "-o", "file", "--", "true").refused(2, "--cost writes no profile")
    run("capture", "--", "true").refused(2, "--output")
    run("capture", "--cost", "--block", "0s", "--", "true").refused(2, "block must be above 0")
    run("capture", "--cost", "--after", "soon", "--", "true").refused(2, "soon")


SERVERS = """
import grpc, os, subprocess, sys, time
from concurrent import futures

class Ps(grpc.GenericRpcHandler):
    def service(self, call):
        size = {"RunGraph": 2, "RecvTensor": 2_000_000}[call.method.rpartition("/")[2]]
        return grpc.unary_unary_rpc_method_handler(lambda request, context: bytes(size))

if len(sys.argv) == 1:
    started = [sys.executable, __file__]
    ps = subprocess.Popen([*started, "ps"], env={**os.environ, "TENSORWIRE_ROLE": "ps 0"}, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True)
    port = ps.stdout.readline().strip()
    subprocess.run([*started, "worker", port, "--job_name=worker", "--task_index", "3"], check=True)
    ps.communicate()
elif sys.argv[1] == "ps":
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((Ps(),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(None).wait()
else:
    with grpc.insecure_channel(f"127.0.0.1:{sys.argv[2]}") as channel:
        run, pull = (channel.unary_unary(f"/tensorflow.WorkerService/{name}") for name in ("RunGraph", "RecvTensor"))
        for step in range(6):
            begun = run.future(bytes(60))
            pull(bytes(100 if step else 900_000))
            begun.result()
            time.sleep(0.1)  # as long as it computes
"""


def trained(run: Run, home: Path, *flags: str) -> Profile:
    (home / "train.py").write_text(SERVERS)
    done = run("capture", "-o", "job.profile.json", *flags, "--", sys.executable, "train.py")
    assert done.code == 0, done.stderr
    return captured(home)


def per_step(seen: Profile) -> list[int]:
    totals = [sum(sizes) for sizes in seen.payloads]
    return [sum(totals[what] for _, _, what, of in seen.messages if of == step) for step in range(len(seen.steps))]


def test_roles_and_steps_of_a_job_are_found(run: Run, home: Path) -> None:
    pytest.importorskip("grpc")
    seen = trained(run, home)
    assert set(seen.roles) == {"ps 0", "worker 3"}
    assert per_step(seen) == [2_000_162] * 4  # the first shipped more, and nobody knows where the last one ended
    assert seen.warmup == 1
    assert len(seen.exchanges) == 12
    text = run("profile", "show", "job.profile.json", "--picture", "job.svg")
    assert "Each of 3 steps moves 2.00 MB, in it 1 buffer of 1 MiB and more: 2.00 MB to the worker" in text.stdout
    assert (home / "job.svg").read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("flags", "steps", "warmup"),
    [
        (("--steps", "none"), 0, 0),
        (("--steps", "marks"), 0, 0),
        (("--steps", "markers", "--warmup-steps", "2"), 4, 2),
        (("--keep-steps", "2"), 2, 0),
    ],
    ids=str,
)
def test_steps_are_found_as_they_are_wanted(
    run: Run, home: Path, flags: tuple[str, ...], steps: int, warmup: int
) -> None:
    pytest.importorskip("grpc")
    seen = trained(run, home, *flags)
    assert (len(seen.steps), seen.warmup) == (steps, warmup)
    if "--keep-steps" in flags:
        assert len(seen.messages) == 8
