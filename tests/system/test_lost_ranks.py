"""Ranks that die, hang or never come: a fact of the result, or a sentence; never a hang, and nothing is left."""

import os
import signal
from pathlib import Path

import pytest

from tensorwire.result import Failure, Result
from tensorwire.session import failures
from tests.system import plug_in
from tests.system.conftest import Run, Start
from tests.system.driver import ENDLESS, SHORT, wait_until

PS, WORKER = 0, 1
OUTPUT = ("--output", "r.json")
SWEEP = (
    "--warmup",
    "0s",
    "--duration",
    "1s",
    "--port",
    "0",
    "-c",
    "tcp",
    "--sizes",
    "1,2,3,4",
    "--wait",
    "spin",
    *OUTPUT,
)


def lost(result: Result) -> Failure:
    """The one rank that the driver lost."""
    (failure,) = [each for each in failures(result) if each.stage == "lost"]
    return failure


@pytest.mark.parametrize("channel", ["tcp", "grpc", "grpc-python", "ucx"])
@pytest.mark.parametrize(("rank", "role"), [(PS, "ps"), (WORKER, "worker")])
def test_a_rank_that_is_killed_is_named_in_the_result(start: Start, rank: int, role: str, channel: str) -> None:
    driver = start("run", *ENDLESS, "-c", channel, *OUTPUT)
    os.kill(driver.wait_for_calls()[rank], signal.SIGKILL)
    done = driver.wait()
    assert done.code == 1
    done.said(f"rank {rank} ({role} on", "was killed by SIGKILL")
    assert "result file: r.json" in done.stderr
    assert "failed" in done.stdout
    result = driver.result()
    assert result.status == "complete"
    assert (lost(result).rank, lost(result).type) == (rank, "RankFailed")
    assert [facts.rank for facts in result.repetitions[0].ranks] == [0, 1]
    assert result.repetitions[0].measurements == ()


@pytest.mark.parametrize("rank", [PS, WORKER])
def test_a_sweep_goes_on_after_a_rank_was_killed(start: Start, rank: int) -> None:
    driver = start("run", *SWEEP)
    first = driver.wait_for_calls()
    os.kill(first[rank], signal.SIGKILL)
    done = driver.wait()
    assert done.code == 1
    done.said("was killed by SIGKILL")
    result = driver.result()
    failed = lost(result).point
    measured = {each.point for each in result.repetitions[0].measurements}
    assert measured == {0, 1, 2, 3} - {failed}
    assert failed < 3, "the rank was to be killed before the last point"
    assert result.status == "complete"
    assert {facts.pid for facts in result.repetitions[0].ranks}.isdisjoint(first.values()), "they are those of today"


def test_the_next_repetition_goes_on_after_a_rank_was_killed(start: Start) -> None:
    driver = start("run", *ENDLESS, "--duration", "2s", "--repeat", "2", *OUTPUT)
    os.kill(driver.wait_for_calls()[WORKER], signal.SIGKILL)
    assert driver.wait().code == 1
    first, second = driver.result().repetitions
    assert first.failures
    assert len(second.measurements) == 2
    assert second.failures == ()


def test_a_rank_that_never_joins_is_named(run: Run, home: Path) -> None:
    found = plug_in.install(home / "plug", "absent", plug_in.WORKER_NEVER_JOINS)
    done = run("run", "-c", "absent", *SHORT, "--join-timeout", "500ms", *OUTPUT, **found)
    done.refused(1, "rank 1 (worker) did not join within 0.5 s")
    assert not (home / "r.json").exists()


def test_a_rank_that_fails_at_once_is_named_with_its_last_words(run: Run, home: Path) -> None:
    found = plug_in.install(home / "plug", "broken", "echo cannot find libstack.so >&2\nexit 127\n")
    done = run("run", "-c", "broken", *SHORT, *OUTPUT, **found)
    assert done.code == 1
    done.said("rank 0 (ps on", "exited with code 127")
    assert "cannot find libstack.so" in done.stderr
    assert not (home / "r.json").exists()


def test_a_rank_that_speaks_before_it_works_does_no_harm(run: Run, home: Path) -> None:
    found = plug_in.install(home / "plug", "chatty", 'echo hello\necho warning >&2\nexec "$@"\n')
    done = run("run", "-c", "chatty", *SHORT, "--format", "none", *OUTPUT, **found)
    assert (done.code, done.stdout, done.stderr) == (0, "", "result file: r.json\n")


@pytest.mark.parametrize(("rank", "role"), [(PS, "ps"), (WORKER, "worker")])
def test_a_rank_that_hangs_does_not_hang_the_run(start: Start, rank: int, role: str) -> None:
    driver = start("run", *ENDLESS, "--duration", "3s", "--timeout", "500ms", *OUTPUT)
    os.kill(driver.wait_for_calls()[rank], signal.SIGSTOP)
    done = driver.wait()
    assert done.code == 1
    done.said(f"rank {rank} ({role}) did not finish a stage of the run within")
    types = [failure.type for failure in failures(driver.result())]
    assert types == (["TransferTimeout", "LaunchError"] if rank == PS else ["LaunchError"])


def test_all_ranks_die_with_a_driver_that_is_killed(start: Start, run: Run, home: Path) -> None:
    driver = start("run", *ENDLESS, *OUTPUT)
    driver.wait_for_calls()
    driver.send(signal.SIGKILL)
    assert driver.process.wait() == -signal.SIGKILL
    wait_until(lambda: driver.ranks() == {}, "the end of the ranks")
    assert driver.left_behind() != []
    assert run("run", *SHORT, "-c", "tcp", *OUTPUT).code == 0  # and what was left behind is gone


def test_the_directory_of_a_run_that_goes_on_is_left_alone(start: Start, run: Run) -> None:
    driver = start("run", *ENDLESS)
    driver.wait_for_calls()
    kept = driver.left_behind()
    assert start("run", *SHORT, "-c", "tcp", "--output", "q.json").done().code == 0
    assert driver.left_behind() == kept
    driver.send(signal.SIGINT)
    driver.wait()
