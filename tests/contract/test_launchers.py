"""What every launcher promises: it starts commands, tells how each ended, and leaves none behind."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tensorwire import registry
from tensorwire.errors import LaunchError, LauncherUnavailable
from tensorwire.launchers import Command, Exit, Job, Launcher
from tensorwire.rendezvous import Meeting


@pytest.fixture(params=registry.names("launcher"))
def launcher(request: pytest.FixtureRequest) -> Launcher:
    found = registry.launcher(request.param)
    try:
        found.check(found.options())
    except LauncherUnavailable as wrong:
        pytest.skip(str(wrong))
    return found


@contextlib.contextmanager
def start(launcher: Launcher, commands: Sequence[Command], directory: Path) -> Iterator[Job]:
    """On hosts for as many ranks as there are numbers."""
    ranks = 1 + max(command.rank for command in commands)
    with launcher.hosts(launcher.options(), ranks) as hosts, hosts.start(commands, directory) as job:
        yield job


CONNECT = """
import socket
def connect(address):
    kind, _, place = address.rpartition(":")
    if kind != "unix":
        return socket.create_connection((kind, int(place)), timeout=20)
    unix = socket.socket(socket.AF_UNIX)
    unix.connect(place)
    return unix
"""


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


def test_every_rank_has_a_place_and_knows_the_host_that_it_is_on(launcher: Launcher, tmp_path: Path) -> None:
    with launcher.hosts(launcher.options(), 5) as hosts:
        assert len(hosts.places) == 5
        assert launcher.own_addresses == all(place.address is not None for place in hosts.places)
        with hosts.start([shell(rank, "uname -n >&2; exit 1") for rank in range(5)], tmp_path) as job:
            assert [each.stderr for each in ends(job, 5)] == [place.host for place in hosts.places]


def test_every_rank_reaches_the_driver(launcher: Launcher, tmp_path: Path) -> None:
    with launcher.hosts(launcher.options(), 3) as hosts, Meeting(3, hosts.meeting_address(tmp_path)) as meeting:
        program = "import sys; sys.exit(7 * (connect(sys.argv[1]).recv(5)[4:] == b'C'))"
        python = Command(
            rank=2, role="ps", argv=(sys.executable, "-c", CONNECT + program, meeting.address), environment={}
        )
        with hosts.start([python], tmp_path) as job:
            seen: list[Exit] = []

            def welcomed() -> bool:
                meeting.pump(0)
                seen.extend(job.exits())
                return bool(seen)

            wait_until(welcomed, "the end of a rank that looked for the driver")
    assert seen[0].status == 7, seen[0].stderr


def test_it_tells_how_each_rank_ended(launcher: Launcher, tmp_path: Path) -> None:
    commands = [shell(0, "exit 0"), shell(1, "echo boom >&2; exit 3"), shell(2, "kill -9 $$")]
    with start(launcher, commands, tmp_path) as job:
        assert ends(job, 3) == [
            Exit(rank=0, status=0, stderr=""),
            Exit(rank=1, status=3, stderr="boom"),
            Exit(rank=2, status=-9, stderr=""),
        ]
        assert job.exits() == []


def test_of_much_stderr_it_keeps_the_end(launcher: Launcher, tmp_path: Path) -> None:
    script = "i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done; echo the end >&2; exit 1"
    with start(launcher, [shell(0, script)], tmp_path) as job:
        (ended,) = ends(job, 1)
    assert ended.stderr.endswith("the end")
    assert len(ended.stderr) < 5000


def test_bytes_on_stderr_that_are_no_text_do_no_harm(launcher: Launcher, tmp_path: Path) -> None:
    with start(launcher, [shell(0, r"printf '\377\376 oops' >&2; exit 1")], tmp_path) as job:
        assert ends(job, 1)[0].stderr.endswith("oops")


def test_a_rank_has_the_environment_of_its_command_and_of_the_launcher(
    launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TW_TEST_INHERITED", "yes")
    with start(launcher, [shell(4, 'echo "$TOKEN $TW_TEST_INHERITED" >&2; exit 1', TOKEN="a b")], tmp_path) as job:
        assert ends(job, 1) == [Exit(rank=4, status=1, stderr="a b yes")]


def test_a_rank_reads_nothing_from_the_terminal(launcher: Launcher, tmp_path: Path) -> None:
    with start(launcher, [shell(0, "read line; exit $?")], tmp_path) as job:
        assert ends(job, 1)[0].status == 1


def test_what_a_rank_prints_does_not_reach_our_stdout(
    launcher: Launcher, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with start(launcher, [shell(0, "echo chatter; echo chatter >&2")], tmp_path) as job:
        ends(job, 1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("script", ["exec sleep 600", "trap '' TERM INT; echo $$ > {}; while :; do sleep 1; done"])
def test_leaving_ends_the_ranks_that_still_run(launcher: Launcher, script: str, tmp_path: Path) -> None:
    files = [tmp_path / f"pid-{rank}" for rank in range(3)]
    commands = [
        shell(rank, f"echo $$ > {file}.new; mv {file}.new {file}; {script.format('/dev/null')}")
        for rank, file in enumerate(files)
    ]
    with start(launcher, commands, tmp_path) as job:
        wait_until(lambda: all(file.exists() for file in files), "the start of all ranks")
        pids = [int(file.read_text()) for file in files]
        assert all(map(runs, pids))
        assert job.exits() == []
    assert not any(map(runs, pids))


def test_an_exception_ends_the_ranks_too(launcher: Launcher, tmp_path: Path) -> None:
    file = tmp_path / "pid"

    def interrupted() -> None:
        with start(launcher, [shell(0, f"echo $$ > {file}.new; mv {file}.new {file}; exec sleep 600")], tmp_path):
            wait_until(file.exists, "the start of the rank")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not runs(int(file.read_text()))


def test_a_program_that_does_not_exist_is_a_launch_error(launcher: Launcher, tmp_path: Path) -> None:
    missing = Command(rank=1, role="ps", argv=(str(tmp_path / "no-such-program"),), environment={})
    commands = [shell(0, "exec sleep 600"), missing]
    expected = pytest.raises(LaunchError, match=r"rank 1.*no-such-program.*No such file")
    with expected, start(launcher, commands, tmp_path):
        pass


def test_ranks_need_not_be_native(launcher: Launcher, tmp_path: Path) -> None:
    python = Command(rank=0, role="ps", argv=(sys.executable, "-c", "raise SystemExit(7)"), environment={})
    with start(launcher, [python], tmp_path) as job:
        assert ends(job, 1)[0].status == 7
