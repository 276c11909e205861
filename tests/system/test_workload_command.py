"""tensorwire workload, with a workload of somebody else's that trains nothing: every way in which a job can end."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.system import jobs
from tests.system.conftest import Run, Start
from tests.system.driver import wait_until

BOTH = {"ps 0", "worker 0"}
FAIL = "sys.exit('out of memory') if given.kind == 'worker' else serve()"


@pytest.fixture
def toy(home: Path) -> dict[str, str]:
    return jobs.install(home / "toy")


def test_it_is_listed_with_its_options(run: Run, toy: dict[str, str]) -> None:
    for words in (("workload", "list"), ("list", "workloads")):
        listed = run(*words, **toy).stdout
        assert "toy" in listed
        assert "trains nothing" in listed
        assert "model=tiny workers=1 batch=32 image_size steps=10 warmup_steps=3 servers=1" in listed
    (row,) = [
        row for row in json.loads(run("workload", "list", "--format", "json", **toy).stdout) if row["name"] == "toy"
    ]
    assert row["defaults"]["servers"] == 1
    assert row["missing"] is None


def test_the_steps_that_count_are_shown(run: Run, toy: dict[str, str], home: Path) -> None:
    words = ("--workers", "2", "--steps", "4", "--warmup-steps", "2", "--batch", "8", "-o", "servers=2")
    done = run("workload", "run", "toy", *words, "--format", "json", **toy)
    assert done.code == 0, done.stderr
    assert "training tiny, 3 parameters" in done.stderr
    said = json.loads(done.stdout)
    assert said["tasks"] == ["ps 0", "ps 1", "worker 0", "worker 1"]
    assert said["model"] == {"model": "tiny", "parameters": 3, "bytes": 12, "variables": [8, 4], "other": [2]}
    assert {role: len(steps) for role, steps in said["step_ns"].items()} == {"worker 0": 4, "worker 1": 4}
    for role, numbers in said["reports"].items():
        assert numbers["examples_per_second"] == pytest.approx(4 * 8 * 1e9 / sum(said["step_ns"][role]))
    both = [numbers["examples_per_second"] for numbers in said["reports"].values()]
    assert said["total"]["examples_per_second"] == pytest.approx(sum(both))
    assert said["total"]["steps"] == 8
    jobs.wait_for_none(home)


def test_the_table_has_a_row_for_each_task_that_reports(run: Run, toy: dict[str, str]) -> None:
    done = run("workload", "run", "toy", "--workers", "2", **toy)
    assert done.code == 0, done.stderr
    assert "tiny, 3 parameters" in done.stdout
    assert "2 trained, 12 B; 1 without a gradient, 2 B" in done.stdout
    rows = [line.split()[:3] for line in done.stdout.splitlines() if line.startswith(("worker", "all"))]
    assert [row[:-1] if row[0] == "all" else row for row in rows] == [
        ["worker", "0", "10"],
        ["worker", "1", "10"],
        ["all", "20"],
    ]


def test_what_makes_no_sense_is_refused(run: Run, toy: dict[str, str]) -> None:
    run("workload", "run", "tou", **toy).refused(2, "unknown workload 'tou'", "did you mean toy")
    run("workload", "run", "toy", "--ps", "2", **toy).refused(2, "workload toy: unknown option 'ps'")
    run("workload", "run", "toy", "--batch", "0", **toy).refused(
        2, "workload toy: batch is 0, but must be from 1 to 65536"
    )
    run("workload", "run", "toy", "--steps", "x", **toy).refused(2, "steps", "'x'", "a whole number")
    run("workload", "run", "toy", "--timeout", "soon", **toy).refused(2, "timeout is 'soon'")


def test_what_is_not_installed_is_said(run: Run, home: Path) -> None:
    lacking = jobs.install(home / "toy", extra="nonesuch")
    run("workload", "run", "toy", **lacking).refused(
        3, "workload toy needs nonesuch: pip install 'tensorwire[nonesuch]'"
    )
    assert "not here: workload toy needs nonesuch" in run("workload", "list", **lacking).stdout


def test_a_task_that_fails_is_named(run: Run, home: Path) -> None:
    done = run("workload", "run", "toy", **jobs.install(home / "toy", FAIL))
    done.refused(1, "worker 0 exited with code 1; its last lines were:")
    assert done.stderr.endswith("out of memory\n")
    jobs.wait_for_none(home)


def test_a_job_that_hangs_is_ended_in_time(run: Run, home: Path) -> None:
    done = run("workload", "run", "toy", "--timeout", "1s", **jobs.install(home / "toy", jobs.HANG))
    done.refused(1, "not done within 1 s: worker 0 (after 0 steps); --timeout gives more")
    jobs.wait_for_none(home)


@pytest.mark.parametrize("what", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing(start: Start, home: Path, what: signal.Signals) -> None:
    driver = start("workload", "run", "toy", **jobs.install(home / "toy", jobs.HANG))
    jobs.wait_for_tasks(driver, BOTH)
    driver.send(what)
    driver.wait().refused(1, "interrupted")
    jobs.wait_for_none(home)


def test_tasks_die_with_a_driver_that_is_killed(start: Start, home: Path) -> None:
    ready = f"open(f'{home}/ready-{{given.kind}}', 'w').close(); serve()"
    driver = start("workload", "run", "toy", **jobs.install(home / "toy", ready))
    jobs.wait_for_tasks(driver, BOTH)
    wait_until(lambda: len(list(home.glob("ready-*"))) == 2, "both tasks at work")
    driver.send(signal.SIGKILL)
    jobs.wait_for_none(home)


def test_a_server_that_is_killed_fails_the_job(start: Start, home: Path) -> None:
    driver = start("workload", "run", "toy", **jobs.install(home / "toy", jobs.HANG))
    os.kill(jobs.wait_for_tasks(driver, BOTH)["ps 0"], signal.SIGKILL)
    driver.wait().refused(1, "ps 0 was killed by SIGKILL")
    jobs.wait_for_none(home)
