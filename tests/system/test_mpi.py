"""What MPI meets in the field: ranks that are killed or hang, other runs beside, an mpirun or a library that is not
there, transports that it does not have. One sentence each, and nothing is left."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tensorwire.channels.mpi import Options
from tensorwire.errors import ChannelUnavailable
from tensorwire.registry import channel
from tensorwire.result import decode
from tensorwire.session import failures
from tests.system.conftest import Run, Start
from tests.system.driver import ENDLESS, SHORT, wait_until

try:
    channel("mpi").command()
except ChannelUnavailable as unavailable:
    pytest.skip(str(unavailable), allow_module_level=True)

MPI = ("-c", "mpi", "--output", "r.json")
LARGE = ("--buffers", "4MiB,10,10KiB")
_SEGMENTS = ("vader_segment", "sm_segment", "mpich_shar_tmp")


@pytest.fixture(params=["openmpi", "mpich"])
def mpi(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The words that choose an implementation; those that were not built are skipped with a sentence."""
    try:
        Options(implementation=request.param).command()
    except ChannelUnavailable as missing:
        pytest.skip(str(missing))
    return (*MPI, "-o", f"implementation={request.param}")


@pytest.fixture
def openmpi(run: Run) -> tuple[str, ...]:
    try:
        Options(implementation="openmpi").command()
    except ChannelUnavailable as missing:
        pytest.skip(str(missing))
    return (*MPI, "-o", "implementation=openmpi")


def helpers(home: Path) -> list[str]:
    """Processes with something below `home` in their command line, and files that MPI makes."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if f"{home}/tensorwire-".encode() in words:
            found.append(words.decode())
    return found + [str(path) for path in home.glob("ompi.*/pid.*")]


@pytest.fixture(autouse=True)
def leaves_nothing(home: Path) -> Iterator[None]:
    before = segments()
    yield
    wait_until(lambda: helpers(home) == [], "the end of mpirun and of its directory")
    wait_until(lambda: segments() <= before, "the end of shared memory")


def segments() -> set[str]:
    """Memory that MPI ranks share, of this user's runs."""
    return {path.name for path in Path("/dev/shm").iterdir() if path.name.startswith(_SEGMENTS)}


@pytest.mark.parametrize("wait", ["block", "spin"])
@pytest.mark.parametrize("over", ["shm", "tcp"])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_is_named(start: Start, mpi: tuple[str, ...], rank: int, over: str, wait: str) -> None:
    driver = start("run", *ENDLESS, *mpi, *LARGE, "-o", f"transport={over}", "--wait", wait)
    os.kill(driver.wait_for_calls()[rank], signal.SIGKILL)
    done = driver.wait()
    assert done.code == 1
    done.said(f"rank {rank} (", "was killed by SIGKILL")


def test_a_rank_that_is_killed_while_bytes_are_put_is_named(start: Start, mpi: tuple[str, ...]) -> None:
    driver = start("run", *ENDLESS, *mpi, *LARGE, "-o", "one_sided=true")
    os.kill(driver.wait_for_calls()[0], signal.SIGKILL)
    done = driver.wait()
    assert done.code == 1
    done.said("rank 0 (", "was killed by SIGKILL")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_sweep_goes_on_after_a_rank_was_killed(start: Start, mpi: tuple[str, ...], rank: int) -> None:
    sweep = ("--warmup", "0s", "--duration", "1s", "--port", "0", "--sizes", "1,2,3,4", "--wait", "spin")
    driver = start("run", *sweep, *mpi)
    os.kill(driver.wait_for_calls()[rank], signal.SIGKILL)
    assert driver.wait().code == 1
    result = driver.result()
    (lost,) = (each.point for each in failures(result) if each.stage == "lost")
    assert {each.point for each in result.repetitions[0].measurements} == {0, 1, 2, 3} - {lost}


@pytest.mark.parametrize("over", ["shm", "tcp"])
def test_a_rank_that_hangs_does_not_hang_the_run(start: Start, mpi: tuple[str, ...], over: str) -> None:
    words = ("--duration", "3s", "--timeout", "500ms", "-o", f"transport={over}")
    driver = start("run", *ENDLESS, *mpi, *words)
    os.kill(driver.wait_for_calls()[0], signal.SIGSTOP)
    done = driver.wait()
    assert done.code == 1
    done.said("rank 0 (ps) did not finish a stage of the run within")
    assert [failure.type for failure in failures(driver.result())] == ["TransferTimeout", "LaunchError"]


def test_all_of_it_ends_with_a_driver_that_is_killed(start: Start, mpi: tuple[str, ...]) -> None:
    driver = start("run", *ENDLESS, *mpi)
    driver.wait_for_calls()
    driver.send(signal.SIGKILL)
    assert driver.process.wait() == -signal.SIGKILL
    wait_until(lambda: driver.ranks() == {}, "the end of the ranks")


def test_two_runs_at_once_do_not_meet(start: Start, mpi: tuple[str, ...]) -> None:
    words = ("run", "ps-throughput", "--workers", "2", "--warmup", "0s", "--duration", "1s", "--port", "0", *mpi)
    drivers = [start(*words, "--output", f"{name}.json") for name in ("a", "b")]
    assert [driver.done().code for driver in drivers] == [0, 0]
    for driver, name in zip(drivers, ("a", "b"), strict=True):
        assert failures(driver.result(f"{name}.json")) == []


@pytest.mark.parametrize("over", ["shm", "tcp"])
def test_the_transport_that_was_asked_for_is_told(run: Run, home: Path, mpi: tuple[str, ...], over: str) -> None:
    done = run("run", *SHORT, *mpi, "-o", f"transport={over}")
    assert done.code == 0, done.stderr
    result = decode((home / "r.json").read_bytes())
    assert failures(result) == []
    assert {facts.settings["transport"] for facts in result.repetitions[0].ranks} == {over}
    assert f"transport {over}" in done.stdout
    assert (" on lo" in done.stdout) == (over == "tcp")


@pytest.mark.parametrize("words", ["transport=warp", "implementation=lam", "strategy=all", "coalesce_below=4GiB"])
def test_options_that_make_no_sense_are_refused(run: Run, words: str) -> None:
    run("run", *SHORT, *MPI, "-o", words).refused(2, "channel mpi", words.partition("=")[0])


def test_a_transport_that_this_mpich_was_built_without_is_refused(run: Run) -> None:
    try:
        Options(implementation="mpich").command()
    except ChannelUnavailable as missing:
        pytest.skip(str(missing))
    codes = {}
    for over in ("ucx", "ofi"):
        done = run("run", *SHORT, *MPI, "-o", "implementation=mpich", "-o", f"transport={over}")
        codes[over] = done.code
        if done.code:
            done.refused(3, f"this MPICH was built without {over}", "shm or tcp")
    assert 0 in codes.values(), "it has one of the two"


def test_ranks_that_mpi_finds_no_way_between_are_named(run: Run, openmpi: tuple[str, ...]) -> None:
    done = run("run", *SHORT, *openmpi, OMPI_MCA_pml="ob1", OMPI_MCA_btl="self")
    assert done.code == 1
    done.said("exited with code 1; its last lines were:")
    # Open MPI 4.1 now and then garbles its reason on the way to mpirun, and says that instead.
    reasons = ("MPI_ERRORS_ARE_FATAL", "unable to reach each other", "unreachable", "show_help.c")
    assert any(reason in done.stderr for reason in reasons), done.stderr


def test_an_mpirun_that_is_not_there_is_named_with_what_to_install(run: Run, openmpi: tuple[str, ...]) -> None:
    done = run("run", *SHORT, *openmpi, PATH="/nonexistent")
    done.refused(3, "mpirun", "apt-get install openmpi-bin")


def test_an_mpirun_that_fails_is_told_with_its_words(run: Run, home: Path, openmpi: tuple[str, ...]) -> None:
    (home / "mpirun.openmpi").write_text("#!/bin/sh\necho there are no slots >&2\nexit 3\n")
    (home / "mpirun.openmpi").chmod(0o755)
    done = run("run", *SHORT, *openmpi, PATH=f"{home}:{os.environ['PATH']}")
    done.refused(3, "mpirun ended before the ranks had joined: there are no slots")


def test_a_library_that_cannot_be_loaded_is_named(run: Run, home: Path, openmpi: tuple[str, ...]) -> None:
    (home / "libmpi.so.40").write_text("not a library")
    done = run("run", *SHORT, *openmpi, LD_LIBRARY_PATH=str(home))
    assert done.code == 1
    done.said("exited with code 127")
    assert "libmpi.so.40" in done.stderr


def test_it_does_not_serve_at_unix_sockets_and_says_what_to_use(run: Run) -> None:
    run("run", *SHORT, *MPI, "--host", "unix").refused(1, "channel mpi does not serve at unix sockets", "transport=shm")
