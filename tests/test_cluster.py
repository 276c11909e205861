"""A job of small scripts: what they report is heard, whoever fails is blamed, and none of them is left."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tensorwire import cluster, registry
from tensorwire.errors import LaunchError, TaskFailed, WorkloadUnavailable
from tensorwire.units import Nanoseconds
from tensorwire.workloads import Line, Model, Step, Task

PATIENT = Nanoseconds(60_000_000_000)
REPORT = """
import json, os, signal, sys, time
def report(**words):
    os.write(int(os.environ["TENSORWIRE_REPORT_FD"]), json.dumps(words).encode() + b"\\n")
def model():
    report(model="none", parameters=3, bytes=12, variables=[8, 4])
def step(number):
    report(step=number, ns=1000 + number, examples=5)
"""
FOREVER = "signal.pause()"


def task(role: str, script: str, reports: bool = True, endless: bool = False) -> Task:
    argv = (sys.executable, "-S", "-c", REPORT + script)
    return Task(role=role, argv=argv, environment={}, reports=reports, endless=endless)


def server(script: str = FOREVER) -> Task:
    return task("ps 0", script, reports=False, endless=True)


def run(*tasks: Task, timeout: Nanoseconds = PATIENT, told: cluster.Told = lambda role, line: None) -> cluster.Trained:
    return cluster.run(tasks, timeout, told)


def noting(pids: Path, script: str) -> str:
    """A script that first leaves its process id."""
    return f"open(f'{pids}/{{os.getpid()}}', 'w').close()\n{script}"


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    return tmp_path


def assert_none_left(pids: Path, count: int) -> None:
    noted = [file.name for file in pids.iterdir()]
    assert len(noted) == count
    deadline = time.monotonic() + 20
    while left := [pid for pid in noted if runs(pid)]:  # a child of a task, once killed, is nobody's to wait for
        assert time.monotonic() < deadline, left


def runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_tasks_report_is_heard_as_it_comes_and_summed_up(pids: Path) -> None:
    heard: list[tuple[str, Line]] = []
    trained = run(
        server(noting(pids, FOREVER)),
        task("worker 0", noting(pids, "model(); step(0); step(1)")),
        task("worker 1", noting(pids, "step(0)")),
        told=lambda role, line: heard.append((role, line)),
    )
    assert trained.roles == ("ps 0", "worker 0", "worker 1")
    assert trained.model == Model(model="none", parameters=3, bytes=12, variables=(8, 4))
    first, second = (Step(step=number, ns=1000 + number, examples=5) for number in (0, 1))
    assert trained.steps == {"worker 0": (first, second), "worker 1": (first,)}
    assert [line for role, line in heard if role == "worker 0"] == [trained.model, first, second]
    assert_none_left(pids, 3)


def test_a_line_that_comes_in_pieces_is_one_line() -> None:
    reading, writing = os.pipe()
    report = cluster._Report("worker 0", reading)
    for piece in (b'{"step": 0, "ns":', b' 7, "examples": 1}', b'\n{"step": 1'):
        assert report.steps == []
        os.write(writing, piece)
        report.hear(lambda role, line: None)
    assert report.steps == [Step(step=0, ns=7, examples=1)]
    assert not report.ended
    os.close(writing)
    report.hear(lambda role, line: None)
    assert report.ended
    os.close(reading)


def test_a_report_longer_than_a_pipe_is_heard_whole() -> None:
    many = 50_000
    script = f"import json; text = json.dumps(dict(model='m', parameters=1, bytes=1, variables=[1] * {many})) + '\\n'\n"
    write = "data = text.encode()\nwhile data: data = data[os.write(int(os.environ['TENSORWIRE_REPORT_FD']), data):]\n"
    assert len(run(task("worker 0", f"{script}{write}step(0)")).model.variables) == many


def test_what_is_lacking_is_said_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    workload = registry.workload("tf-ps")
    said = "workload tf-ps needs TensorFlow: pip install 'tensorwire[tensorflow]'"
    assert cluster.missing(workload) == said
    with pytest.raises(WorkloadUnavailable) as lacking:
        cluster.train(workload, workload.config(), PATIENT, lambda role, line: None)
    assert str(lacking.value) == said


def test_every_task_knows_its_role() -> None:
    trained = run(task("worker 7", "assert os.environ['TENSORWIRE_ROLE'] == 'worker 7'; model(); step(0)"))
    assert trained.roles == ("worker 7",)


def test_a_task_that_fails_is_named_with_its_status_and_last_words(pids: Path) -> None:
    with pytest.raises(TaskFailed, match=r"^worker 0 exited with code 3; its last lines were:\nno gradient$"):
        run(
            server(noting(pids, FOREVER)),
            task("worker 1", noting(pids, FOREVER)),
            task("worker 0", noting(pids, until(pids, 3) + "print('no gradient', file=sys.stderr); sys.exit(3)")),
        )
    assert_none_left(pids, 3)


def until(pids: Path, count: int) -> str:
    """The beginning of a script that waits for others to have left their process ids."""
    return f"while len(os.listdir('{pids}')) < {count}: time.sleep(0.01)\n"


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "ps 0 was killed by SIGKILL"),
        ("sys.exit(0)", "ps 0 exited with code 0 before the others were done"),
        ("sys.exit(9)", "ps 0 exited with code 9"),
    ],
)
def test_a_server_that_ends_fails_the_job(pids: Path, end: str, said: str) -> None:
    with pytest.raises(TaskFailed, match=f"^{said} and said nothing$"):
        run(server(end), task("worker 0", noting(pids, FOREVER)))
    assert_none_left(pids, len(list(pids.iterdir())))


def test_who_is_late_is_named_with_what_it_did(pids: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passed = [0.0]
    monkeypatch.setattr(cluster, "time", SimpleNamespace(monotonic=lambda: passed[0]))

    def told(role: str, line: Line) -> None:
        if isinstance(line, Step):
            passed[0] = 90.5

    with pytest.raises(LaunchError) as late:
        run(
            server(noting(pids, FOREVER)),
            task("worker 0", noting(pids, f"{until(pids, 3)}model(); step(0); {FOREVER}")),
            task("worker 1", noting(pids, FOREVER)),
            timeout=Nanoseconds(90_000_000_000),
            told=told,
        )
    said = "not done within 90 s: worker 0 (after 1 step), worker 1 (after 0 steps); --timeout gives more"
    assert str(late.value) == said
    assert_none_left(pids, 3)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("model()", "worker 0 ended without having reported a step"),
        ("step(0)", "the job ended without having reported what it trains"),
        (
            "os.write(int(os.environ['TENSORWIRE_REPORT_FD']), b'hello\\n')",
            "worker 0 reported 'hello', which is no line",
        ),
        ("report(step=1)", "missing required field `ns`"),
    ],
)
def test_a_report_that_is_none_is_refused(script: str, said: str) -> None:
    with pytest.raises(LaunchError, match=said):
        run(task("worker 0", script))


def test_an_interruption_leaves_nothing(pids: Path) -> None:
    def interrupt(role: str, line: Line) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(
            task("worker 0", noting(pids, f"{until(pids, 2)}model(); {FOREVER}")),
            server(noting(pids, FOREVER)),
            told=interrupt,
        )
    assert_none_left(pids, 2)


def test_children_of_tasks_are_ended_as_well(pids: Path) -> None:
    child = f"if os.fork() == 0: {noting(pids, '').strip()}; {FOREVER}\n"
    run(task("worker 0", f"{child}{until(pids, 1)}model(); step(0)"), server(f"{child}{FOREVER}"), told=waiting(pids))
    assert_none_left(pids, 2)


def waiting(pids: Path) -> Callable[[str, Line], None]:
    """Hears nothing before both children are there."""

    def told(role: str, line: Line) -> None:
        deadline = time.monotonic() + 20
        while len(os.listdir(pids)) < 2:
            assert time.monotonic() < deadline

    return told
