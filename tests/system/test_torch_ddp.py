"""A job of torch-ddp: what the tap saw, what PyTorch's own traces say, and the model's gradients are one number."""

import contextlib
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from tensorwire.imports import kineto
from tensorwire.instruments.tap_log import Log, Mark, Send, decode
from tensorwire.instruments.wire import instrument
from tensorwire.profile import Profile
from tensorwire.units import Bytes
from tests.system import jobs
from tests.system.conftest import Start
from tests.system.driver import PROGRAM, wait_until

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")

MLP = 4 * 669_706  # bytes of its gradients
STEPS, WARMUP = 3, 2
PREAMBLE = 48  # what gloo sends before each piece of a buffer, and to say that it is ready for one


class Ran(msgspec.Struct, frozen=True):
    """One job: what it printed, the logs of its ranks and the profile of these, and those from traces of both kinds."""

    bucket_mb: int
    report: dict[str, object]
    ranks: list[Log]
    captured: Profile
    kineto: list[Profile]
    execution: list[Profile]


@pytest.fixture(scope="module", params=[25, 1], ids=["one bucket", "two buckets"])
def ran(request: pytest.FixtureRequest) -> Iterator[Ran]:
    words = ["--model", "mlp", "--steps", str(STEPS), "--warmup-steps", str(WARMUP), "--bucket-mb", str(request.param)]
    with TemporaryDirectory(prefix="tw") as place:
        home = Path(place)
        command = [PROGRAM, "workload", "run", "torch-ddp", *words, "-o", f"trace={home}", "--format", "json"]
        environment = instrument.attach(os.environ, home)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        logs = [decode(path.read_bytes()) for path in sorted(home.glob("*.tap"))]
        yield Ran(
            request.param,
            json.loads(done.stdout),
            [log for log in logs if any(isinstance(record, Mark) for record in log.records)],
            instrument.collect(home),
            *([imported(home / f"rank-{rank}.{kind}.json") for rank in (0, 1)] for kind in ("kineto", "execution")),
        )


def imported(trace: Path) -> Profile:
    return kineto.profile(trace.read_bytes(), "job")


def sent_in_steps(log: Log) -> list[list[int]]:
    """Of each step that counts: the bytes of each system call beside gloo's preambles."""
    marks = [record.at_ns for record in log.records if isinstance(record, Mark)]
    sends = [record for record in log.records if isinstance(record, Send)]
    return [
        [sum(send.sizes) - PREAMBLE * (send.sizes[0] == PREAMBLE) for send in sends if begin <= send.at_ns < end]
        for begin, end in list(pairwise(marks))[WARMUP:]
    ]


def in_steps(profile: Profile, sender: int) -> dict[int, int]:
    """The bytes that a role sent in each step that counts."""
    found = Counter[int]()
    for _, stream, payload, step in profile.messages:
        if profile.streams[stream].sender == sender and step >= len(profile.steps) - STEPS:
            found[step] += sum(profile.payloads[payload])
    return found


def test_the_report_tells_the_model(ran: Ran) -> None:
    assert ran.report["tasks"] == ["rank 0", "rank 1"]
    model = ran.report["model"]
    assert isinstance(model, dict)
    assert (model["parameters"], model["bytes"], model["other"]) == (MLP // 4, MLP, [])
    assert model["variables"] == [4 * 784 * 512, 4 * 512, 4 * 512 * 512, 4 * 512, 4 * 512 * 10, 4 * 10]


def test_a_rank_of_two_sends_its_gradients_once_in_each_step_to_the_byte(ran: Ran) -> None:
    """Half of them to be summed by the other, and the half that it summed itself."""
    assert len(ran.ranks) == 2
    for log in ran.ranks:
        assert [sum(step) for step in sent_in_steps(log)] == [MLP] * STEPS


def test_the_profile_has_the_same_without_the_framing(ran: Ran) -> None:
    assert ran.captured.roles == ("rank 0", "rank 1")
    assert len(ran.captured.steps) == WARMUP + STEPS
    streams = {ran.captured.streams[message[1]] for message in ran.captured.steady}
    assert {(stream.kind, stream.method) for stream in streams} == {("message", "gloo")}
    assert {(stream.sender, stream.receiver) for stream in streams} == {(0, 1), (1, 0)}
    for rank in (0, 1):
        assert in_steps(ran.captured, rank) == dict.fromkeys(range(WARMUP, WARMUP + STEPS), MLP)


def test_traces_say_the_same_as_the_wire(ran: Ran) -> None:
    for rank, seen in enumerate(ran.kineto):
        assert seen.roles == (f"rank {rank}", "group 0 of 2")
        assert {(stream.kind, stream.method) for stream in seen.streams} == {("collective", "all_reduce")}
        assert in_steps(seen, 0) == dict.fromkeys(range(STEPS), MLP)


def test_an_execution_trace_has_the_same_collectives_without_times(ran: Ran) -> None:
    for timed, seen in zip(ran.kineto, ran.execution, strict=True):
        assert seen.roles == ("rank", "group 0 of 2")
        assert buckets(seen) == buckets(timed)


def test_the_bucket_cap_cuts_the_gradients(ran: Ran) -> None:
    """The first bucket is of the gradients that are ready first, which are the last layers'."""
    first, rest = 4 * (512 * 512 + 512 + 512 * 10 + 10), 4 * (784 * 512 + 512)
    expected = [(MLP,)] if ran.bucket_mb == 25 else [(first,), (rest,)]
    for seen in ran.kineto:
        assert buckets(seen) == dict.fromkeys(expected, STEPS)


def buckets(seen: Profile) -> Counter[tuple[Bytes, ...]]:
    """How often which were all-reduced. In which order gloo's threads begin with those of a step is theirs."""
    return Counter(seen.payloads[message[2]] for message in seen.messages)


@pytest.mark.parametrize("victim", ["rank 0", "rank 1"])
def test_a_killed_rank_ends_the_job_in_one_sentence(start: Start, home: Path, victim: str) -> None:
    words = ("--model", "mlp", "--steps", "1000000", "--batch", "1")
    driver = start("workload", "run", "torch-ddp", *words)
    tasks = jobs.wait_for_tasks(driver, {"rank 0", "rank 1"})
    wait_until(lambda: driver.process.poll() is not None or trains(home), "training")
    os.kill(tasks[victim], signal.SIGKILL)
    done = driver.wait()
    assert (done.code, done.stdout) == (1, "")
    done.said(f"{victim} was killed by SIGKILL")
    assert jobs.tasks(home) == {}


def test_an_interrupt_ends_both_ranks(start: Start, home: Path) -> None:
    driver = start("workload", "run", "torch-ddp", "--model", "mlp", "--steps", "1000000", "--batch", "1")
    jobs.wait_for_tasks(driver, {"rank 0", "rank 1"})
    wait_until(lambda: driver.process.poll() is not None or trains(home), "training")
    driver.send(signal.SIGINT)
    done = driver.wait()
    assert (done.code, done.stdout) == (1, "")
    done.said("interrupted")
    jobs.wait_for_none(home)


def test_nobody_listens_beyond_this_machine(start: Start, home: Path) -> None:
    driver = start("workload", "run", "torch-ddp", "--model", "mlp", "--steps", "1000000", "--batch", "1")
    tasks = jobs.wait_for_tasks(driver, {"rank 0", "rank 1"})
    wait_until(lambda: driver.process.poll() is not None or trains(home), "training")
    assert listening(tasks["rank 0"]) == {"0100007F"}  # 127.0.0.1, as the kernel writes it


def listening(pid: int) -> set[str]:
    """The addresses on which a process listens."""
    links = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed in the meantime
            links.append(os.readlink(entry))
    inodes = {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:[")}
    lines = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()]
    return {fields[1].partition(":")[0] for fields in lines[1:] if fields[3] == "0A" and fields[9] in inodes}


def trains(home: Path) -> bool:
    return "training mlp" in (home / "stderr").read_text()
