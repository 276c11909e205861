"""TensorFlow's workloads, for real, where TensorFlow is installed."""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmarks import captured
from tests.system import jobs
from tests.system.conftest import Run, Start
from tests.system.driver import wait_until

pytestmark = pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs pip install 'tensorwire[tensorflow]'")

IN_TIME = ("--timeout", "3m")


def trained(run: Run, name: str, *words: str) -> Any:
    done = run("workload", "run", name, *words, *IN_TIME, "--format", "json")
    assert done.code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ["tf-ps", "tf2-ps", "tf-ring"])
def test_it_trains(run: Run, home: Path, name: str) -> None:
    said = trained(run, name, "--workers", "1", "--steps", "4", "--warmup-steps", "1", "--batch", "8")
    assert said["model"]["variables"] == [31_360, 40]
    assert said["total"]["steps"] == 4
    assert said["total"]["examples_per_second"] > 0
    jobs.wait_for_none(home)


@pytest.mark.parametrize(
    ("name", "more", "reporting"),
    [("tf-ps", ("--ps", "2"), 2), ("tf2-ps", ("--ps", "2"), 1), ("tf-ring", (), 2)],
)
def test_it_trains_with_several_of_each(run: Run, name: str, more: tuple[str, ...], reporting: int) -> None:
    words = ("--model", "resnet50", "--image-size", "32", "--batch", "1", "--workers", "2", "--steps", "1")
    said = trained(run, name, *words, "--warmup-steps", "1", "-o", "moving_statistics=true", *more)
    assert said["model"]["parameters"] == 25_583_592
    assert len(said["step_ns"]) == reporting
    assert said["total"]["steps"] == reporting


@pytest.mark.parametrize(
    ("name", "role"), [("tf-ps", "ps 0"), ("tf2-ps", "ps 0"), ("tf2-ps", "worker 0"), ("tf-ring", "worker 1")]
)
def test_a_task_that_is_killed_fails_the_job_and_leaves_nothing(start: Start, home: Path, name: str, role: str) -> None:
    driver = start("workload", "run", name, "--steps", "1000000", *IN_TIME)
    wait_until(lambda: driver.process.poll() is not None or "training softmax" in driver.said(), "training")
    os.kill(jobs.tasks(home)[role], signal.SIGKILL)
    driver.wait().refused(1, f"{role} was killed by SIGKILL")
    jobs.wait_for_none(home)


def test_models_compute_and_agree_with_keras(home: Path) -> None:
    """In a process of its own: TensorFlow does not suit the strictness of tests about warnings."""
    program = Path(__file__).with_name("tensorflow_models.py")
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(params=["softmax", "cnn"])
def capture(request: pytest.FixtureRequest, run: Run, home: Path) -> captured.Capture:
    """A job of one server and one worker, captured while gRPC tells of itself."""
    job = captured.command(model=request.param, batch=2, steps=3, warmup_steps=2)
    done = run("capture", "-o", "job.profile.json", "--", *job)
    assert done.code == 0, done.stderr
    return captured.read(home / "job.profile.json", request.param)


def test_a_capture_tells_to_the_byte_what_a_step_moves(capture: captured.Capture) -> None:
    """Every variable once to the worker, every gradient once to the server, by slices; and what gRPC itself tells."""
    assert sorted(capture.profile.roles) == sorted(captured.ROLES)
    assert len(capture.profile.steps) == 5
    assert len(capture.steady) > 1
    for step in capture.steady:
        beside, lacking = capture.beside("worker 0", step)
        assert [sum(sizes) for sizes in beside.elements()] == [captured.EXPECTED_BESIDE[0]]
        assert not lacking
        beside, lacking = capture.beside("ps 0", step)
        assert {sum(sizes) for sizes in beside} <= {captured.EXPECTED_BESIDE[1]}
        assert not lacking
    assert [capture.untold(role) for role in captured.ROLES] == [(0, 0), (0, 0)]
