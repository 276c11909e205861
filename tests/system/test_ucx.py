"""What UCX meets in the field: ranks that are killed, little memory to share or to lock, libraries and transports that
are not there. One sentence each, or a run that works all the same."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tensorwire.errors import ChannelUnavailable
from tensorwire.registry import channel
from tensorwire.result import decode
from tensorwire.session import failures
from tests.system.conftest import Run, Start
from tests.system.driver import ENDLESS, PROGRAM, SHORT

try:
    channel("ucx").command()
except ChannelUnavailable as unavailable:
    pytest.skip(str(unavailable), allow_module_level=True)

UCX = ("-c", "ucx", "--output", "r.json")
LARGE = ("--buffers", "4MiB,10,10KiB")


def transport(home: Path) -> set[str]:
    """What the ranks of the last run say that they used."""
    result = decode((home / "r.json").read_bytes())
    assert failures(result) == []
    return {facts.settings["transport"] for facts in result.repetitions[0].ranks}


@pytest.mark.parametrize("wait", ["block", "spin"])
@pytest.mark.parametrize("api", ["am", "tag"])
@pytest.mark.parametrize("over", ["shm", "tcp"])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_is_named(start: Start, rank: int, over: str, api: str, wait: str) -> None:
    options = ("-o", f"transport={over}", "-o", f"api={api}")
    driver = start("run", *ENDLESS, *UCX, *LARGE, *options, "--wait", wait)
    os.kill(driver.wait_for_calls()[rank], signal.SIGKILL)
    done = driver.wait()
    assert done.code == 1
    done.said(f"rank {rank} (", "was killed by SIGKILL")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_sweep_goes_on_after_a_rank_was_killed(start: Start, rank: int) -> None:
    sweep = ("--warmup", "0s", "--duration", "1s", "--port", "0", "--sizes", "1,2,3,4", "--wait", "spin")
    driver = start("run", *sweep, *UCX)
    os.kill(driver.wait_for_calls()[rank], signal.SIGKILL)
    assert driver.wait().code == 1
    result = driver.result()
    (lost,) = (each.point for each in failures(result) if each.stage == "lost")
    assert {each.point for each in result.repetitions[0].measurements} == {0, 1, 2, 3} - {lost}


@pytest.mark.parametrize("over", ["shm", "tcp"])
def test_a_rank_that_hangs_does_not_hang_the_run(start: Start, over: str) -> None:
    words = ("--duration", "3s", "--timeout", "500ms", "-o", f"transport={over}")
    driver = start("run", *ENDLESS, *UCX, *words)
    os.kill(driver.wait_for_calls()[0], signal.SIGSTOP)
    done = driver.wait()
    assert done.code == 1
    done.said("rank 0 (ps) did not finish a stage of the run within")
    assert [failure.type for failure in failures(driver.result())] == ["TransferTimeout", "LaunchError"]


def test_two_runs_at_once_do_not_meet(start: Start, home: Path) -> None:
    words = ("run", "ps-throughput", "--workers", "2", "--warmup", "0s", "--duration", "1s", "--port", "0", "-c", "ucx")
    drivers = [start(*words, "--output", f"{name}.json") for name in ("a", "b")]
    assert [driver.done().code for driver in drivers] == [0, 0]
    for driver, name in zip(drivers, ("a", "b"), strict=True):
        assert failures(driver.result(f"{name}.json")) == []


@pytest.mark.parametrize(("over", "used"), [("tcp", {"tcp"}), ("posix", {"shm (posix)"}), ("sysv", {"shm (sysv)"})])
def test_the_transport_that_was_asked_for_is_the_one_that_is_used(
    run: Run, home: Path, over: str, used: set[str]
) -> None:
    done = run("run", *SHORT, *UCX, "-o", f"transport={over}")
    assert done.code == 0, done.stderr
    assert transport(home) == used


def test_nothing_that_goes_through_shared_memory_is_said_to_cross_an_interface(run: Run, home: Path) -> None:
    done = run("run", *SHORT, *UCX, "-o", "transport=shm")
    assert "shm (" in done.stdout
    assert " on lo" not in done.stdout


@pytest.mark.parametrize("name", ["warp", "tcp,warp"])
def test_a_transport_that_is_not_there_is_named_with_those_that_are(run: Run, home: Path, name: str) -> None:
    run("run", *SHORT, *UCX, "-o", f"transport={name}").refused(3, "has no transport warp here; it has", "tcp")
    assert not (home / "r.json").exists()


def test_transports_without_a_way_to_the_peer_are_said_to_have_none(run: Run) -> None:
    done = run("run", *SHORT, *UCX, "-o", "transport=self")
    assert done.code == 1
    assert "UCX finds no way to the peer over transport self" in done.stdout + done.stderr


@pytest.mark.parametrize("words", ["transport=", "transport=tcp shm", "devices=a,", "seg_size=1KiB", "api=rma"])
def test_options_that_make_no_sense_are_refused(run: Run, words: str) -> None:
    run("run", *SHORT, *UCX, "-o", words).refused(2, "channel ucx", words.partition("=")[0])


def test_a_library_that_is_not_there_is_refused(run: Run) -> None:
    run("run", *SHORT, *UCX, "-o", "library=/nonexistent").refused(2, "'/nonexistent'", "pypi", "libucp.so")


def test_a_file_that_is_no_library_is_named(run: Run, home: Path) -> None:
    (home / "libucp.so").write_text("not a library")
    run("run", *SHORT, *UCX, "-o", f"library={home}/libucp.so").refused(3, f"{home}/libucp.so", "apt-get install")


VERSION = "void ucp_get_version(unsigned *a, unsigned *b, unsigned *c) { *a = %d; *b = %d; *c = 7; }"


@pytest.mark.parametrize(("major", "minor"), [(1, 9), (2, 0)])
def test_a_library_of_another_version_is_named(run: Run, home: Path, major: int, minor: int) -> None:
    build_library(home, VERSION % (major, minor))
    done = run("run", *SHORT, *UCX, "-o", f"library={home}/libucp.so")
    done.refused(3, f"{home}/libucp.so is UCX {major}.{minor}.7", "built against UCX 1.")


def test_a_library_that_is_not_ucx_is_named(run: Run, home: Path) -> None:
    build_library(home, "int nothing;")
    run("run", *SHORT, *UCX, "-o", f"library={home}/libucp.so").refused(3, "has no ucp_get_version")


def build_library(home: Path, source: str) -> None:
    compiler = shutil.which("cc") or pytest.skip("there is no C compiler")
    (home / "fake.c").write_text(source)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", home / "libucp.so", home / "fake.c"], check=True)


def within(home: Path, setting: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A run after a shell did `setting`, in namespaces of its own where it needs root."""
    environment = {**os.environ, "TMPDIR": str(home), "COLUMNS": "200"}
    script = f'{setting} && exec "$@"'
    argv = ["sh", "-c", script, "sh", PROGRAM, "run", *SHORT, *UCX, *words]
    if "mount" in setting:
        if os.geteuid() != 0 or shutil.which("unshare") is None:
            pytest.skip("only root may mount, and unshare is needed")
        argv = ["unshare", "--mount", *argv]
    return subprocess.run(argv, cwd=home, env=environment, capture_output=True, text=True, timeout=60)


def test_little_memory_that_may_be_locked_is_enough_without_rdma(home: Path) -> None:
    done = within(home, "ulimit -l 64", "--buffers", "4MiB")
    assert done.returncode == 0, done.stderr
    assert transport(home) <= {"shm (cma, sysv)", "shm (cma, posix)", "shm (posix)", "shm (sysv)", "tcp"}


FULL = "mount -t tmpfs -o size=64k tmpfs /dev/shm"


@pytest.mark.parametrize("words", [(), ("-o", "transport=posix")], ids=str)
def test_a_full_dev_shm_is_named(home: Path, words: tuple[str, ...]) -> None:
    done = within(home, FULL, *words)
    assert done.returncode == 3
    (sentence,) = done.stderr.splitlines()
    assert "cannot open transport" in sentence
    assert "df /dev/shm" in sentence


@pytest.mark.parametrize("over", ["tcp", "sysv"])
def test_a_full_dev_shm_does_not_matter_to_other_transports(home: Path, over: str) -> None:
    done = within(home, FULL, "-o", f"transport={over}")
    assert done.returncode == 0, done.stderr
