"""What every launcher promises: it starts commands, tells how each ended, and leaves none behind."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tensorwire import registry
from tensorwire.errors import LaunchError
from tensorwire.launchers import Command, Exit, Job, Launcher


@pytest.fixture(params=registry.names("launcher"))
def launcher(request: pytest.FixtureRequest) -> Launcher:
    return registry.launcher(request.param)


def shell(rank: int, script: str, **environment: str) -> Command:
    return Command(rank=rank, role="worker", argv=("/bin/sh", "-c", script), environment=environment)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.005)


def ends(job: Job, count: int) -> list[Exit]:
    """The exits of `count` ranks, in the order of the ranks."""
    seen: list[Exit] = []

    def all_ended() -> bool:
        seen.extend(job.exits())
        return len(seen) >= count

    wait_until(all_ended, f"the end of {count} ranks")
    return sorted(seen, key=lambda each: each.rank)


def runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_its_name_is_that_of_its_entry_point(launcher: Launcher) -> None:
    assert registry.launcher(launcher.name) is launcher
    assert launcher.summary


def test_it_tells_how_each_rank_ended(launcher: Launcher, tmp_path: Path) -> None:
    commands = [shell(0, "exit 0"), shell(1, "echo boom >&2; exit 3"), shell(2, "kill -9 $$")]
    with launcher.start(commands, tmp_path) as job:
        assert ends(job, 3) == [
            Exit(rank=0, status=0, stderr=""),
            Exit(rank=1, status=3, stderr="boom"),
            Exit(rank=2, status=-9, stderr=""),
        ]
        assert job.exits() == []
        assert job.host(0)


def test_of_much_stderr_it_keeps_the_end(launcher: Launcher, tmp_path: Path) -> None:
    script = "i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done; echo the end >&2; exit 1"
    with launcher.start([shell(0, script)], tmp_path) as job:
        (ended,) = ends(job, 1)
    assert ended.stderr.endswith("the end")
    assert len(ended.stderr) < 5000


def test_bytes_on_stderr_that_are_no_text_do_no_harm(launcher: Launcher, tmp_path: Path) -> None:
    with launcher.start([shell(0, r"printf '\377\376 oops' >&2; exit 1")], tmp_path) as job:
        assert ends(job, 1)[0].stderr.endswith("oops")


def test_a_rank_has_the_environment_of_its_command_and_of_the_launcher(
    launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TW_TEST_INHERITED", "yes")
    with launcher.start([shell(4, 'echo "$TOKEN $TW_TEST_INHERITED" >&2; exit 1', TOKEN="a b")], tmp_path) as job:
        assert ends(job, 1) == [Exit(rank=4, status=1, stderr="a b yes")]


def test_a_rank_reads_nothing_from_the_terminal(launcher: Launcher, tmp_path: Path) -> None:
    with launcher.start([shell(0, "read line; exit $?")], tmp_path) as job:
        assert ends(job, 1)[0].status == 1


def test_what_a_rank_prints_does_not_reach_our_stdout(
    launcher: Launcher, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with launcher.start([shell(0, "echo chatter; echo chatter >&2")], tmp_path) as job:
        ends(job, 1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("script", ["exec sleep 600", "trap '' TERM INT; echo $$ > {}; while :; do sleep 1; done"])
def test_leaving_ends_the_ranks_that_still_run(launcher: Launcher, script: str, tmp_path: Path) -> None:
    files = [tmp_path / f"pid-{rank}" for rank in range(3)]
    commands = [
        shell(rank, f"echo $$ > {file}.new; mv {file}.new {file}; {script.format('/dev/null')}")
        for rank, file in enumerate(files)
    ]
    with launcher.start(commands, tmp_path) as job:
        wait_until(lambda: all(file.exists() for file in files), "the start of all ranks")
        pids = [int(file.read_text()) for file in files]
        assert all(map(runs, pids))
        assert job.exits() == []
    assert not any(map(runs, pids))


def test_an_exception_ends_the_ranks_too(launcher: Launcher, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    job = launcher.start([shell(0, f"echo $$ > {file}.new; mv {file}.new {file}; exec sleep 600")], tmp_path)

    def interrupted() -> None:
        with job:
            wait_until(file.exists, "the start of the rank")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not runs(int(file.read_text()))


def test_a_program_that_does_not_exist_is_a_launch_error(launcher: Launcher, tmp_path: Path) -> None:
    missing = Command(rank=1, role="ps", argv=(str(tmp_path / "no-such-program"),), environment={})
    with pytest.raises(LaunchError, match=r"rank 1.*no-such-program.*No such file"):
        launcher.start([shell(0, "exec sleep 600"), missing], tmp_path)


def test_ranks_need_not_be_native(launcher: Launcher, tmp_path: Path) -> None:
    python = Command(rank=0, role="ps", argv=(sys.executable, "-c", "raise SystemExit(7)"), environment={})
    with launcher.start([python], tmp_path) as job:
        assert ends(job, 1)[0].status == 7
