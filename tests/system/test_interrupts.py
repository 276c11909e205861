"""Ctrl-C at any moment: a sentence, exit code 1, a valid result of what was measured, and nothing left."""

import signal
from pathlib import Path

import pytest

from tests.system import plug_in
from tests.system.conftest import Start
from tests.system.driver import ENDLESS

OUTPUT = ("--output", "r.json")
SIGNALS = pytest.mark.parametrize("what", [signal.SIGINT, signal.SIGTERM])


@SIGNALS
def test_while_the_ranks_come_up(start: Start, home: Path, what: signal.Signals) -> None:
    found = plug_in.install(home / "plug", "absent", plug_in.WORKER_NEVER_JOINS)
    driver = start("run", *ENDLESS, "-c", "absent", *OUTPUT, **found)
    driver.wait_for_ranks()
    driver.send(what)
    driver.wait().refused(1, "interrupted")
    assert not (home / "r.json").exists()


@SIGNALS
@pytest.mark.parametrize("channel", ["tcp", "grpc", "grpc-python"])
def test_during_the_warm_up(start: Start, home: Path, what: signal.Signals, channel: str) -> None:
    driver = start("run", *ENDLESS, "-c", channel, "--warmup", "10m", *OUTPUT)
    driver.wait_for_calls()
    driver.send(what)
    driver.wait().refused(1, "interrupted")
    assert not (home / "r.json").exists()


@SIGNALS
def test_during_the_first_measurement(start: Start, home: Path, what: signal.Signals) -> None:
    driver = start("run", *ENDLESS, *OUTPUT)
    driver.wait_for_calls()
    driver.send(what)
    driver.wait().refused(1, "interrupted")
    assert not (home / "r.json").exists()


@SIGNALS
def test_what_was_measured_before_is_kept_and_shown(start: Start, what: signal.Signals) -> None:
    sizes = ",".join(str(size) for size in range(1, 101))
    words = ("--warmup", "0s", "--duration", "300ms", "--port", "0", "-c", "tcp", "--sizes", sizes)
    driver = start("run", *words, "--format", "csv", *OUTPUT)
    driver.wait_for_result()
    driver.send(what)
    done = driver.wait()
    assert done.code == 1
    done.said("interrupted")
    assert "result file: r.json" in done.stderr
    result = driver.result()
    assert result.status == "partial"
    assert 1 <= len({each.point for each in result.repetitions[0].measurements}) < 100
    assert done.stdout == start("show", "r.json", "--format", "csv").wait().stdout


def test_before_anything_is_started(start: Start) -> None:
    """A moment that cannot be chosen: whatever it is, a driver that is told to end ends, and leaves nothing."""
    driver = start("run", *ENDLESS, *OUTPUT)
    driver.send(signal.SIGTERM)
    assert driver.wait().code in (1, -signal.SIGTERM)
