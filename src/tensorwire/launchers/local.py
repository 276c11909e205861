"""Ranks as processes of this machine. They die with their parent, however it ends."""

import contextlib
import os
import platform
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tensorwire.errors import LaunchError
from tensorwire.launchers import LOOPBACK, Command, Exit, NoOptions, Place

_STDERR_TAIL = 2000
_GRACE_SECONDS = 5
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


J = TypeVar("J", bound="LocalJob")


class LocalJob:
    """Processes that were started here. `stop` kills: a rank holds nothing that it would have to save.

    A rank's own children are ended with it, or when it has ended.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, command: Command, inherited: Sequence[int] = ()) -> None:
        """Starts a rank, which inherits these descriptors. Raises LaunchError when the program cannot be started."""
        environment = {**os.environ, **command.environment, "TENSORWIRE_PARENT": str(os.getpid())}
        with self._stderr(command.rank).open("wb") as said, _uninterrupted():
            try:
                self._running[command.rank] = subprocess.Popen(
                    command.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    env=environment,
                    pass_fds=inherited,
                    process_group=0,  # a Ctrl-C reaches the driver alone, which ends the ranks
                )
            except OSError as wrong:
                raise LaunchError(f"cannot start rank {command.rank} ({command.argv[0]}): {wrong.strerror}") from wrong

    def exits(self) -> list[Exit]:
        ended = [(rank, process.returncode) for rank, process in self._running.items() if process.poll() is not None]
        for rank, _ in ended:
            _kill_group(self._running.pop(rank).pid)
        return [Exit(rank=rank, status=status, stderr=self._tail(rank)) for rank, status in ended]

    def stop(self) -> None:
        with _uninterrupted():
            for process in self._running.values():
                _kill_group(process.pid)
            for process in self._running.values():
                process.wait(_GRACE_SECONDS)
            self._running.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _stderr(self, rank: int) -> Path:
        return self._directory / f"rank-{rank}.stderr"

    def _tail(self, rank: int) -> str:
        return self._stderr(rank).read_bytes()[-_STDERR_TAIL:].decode(errors="replace").strip()


def started(job: J, commands: Iterable[Command]) -> J:
    """The job with all of these started, or none. Raises LaunchError."""
    try:
        for command in commands:
            job.start(command)
    except BaseException:
        job.stop()
        raise
    return job


class ThisHost:
    """The one host of the launcher `local`, which is up anyway."""

    network = None

    def __init__(self, ranks: int) -> None:
        self.places = (Place(host=platform.node()),) * ranks

    def meeting_address(self, directory: Path) -> str:
        return LOOPBACK

    def start(self, commands: Sequence[Command], directory: Path) -> LocalJob:
        return started(LocalJob(directory), commands)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Local:
    """Starts every rank on this machine."""

    name = "local"
    summary = "processes of this machine"
    options = NoOptions
    own_addresses = False

    def check(self, options: NoOptions) -> None:
        pass

    def hosts(self, options: NoOptions, ranks: int) -> ThisHost:
        return ThisHost(ranks)


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # nobody is left
        os.killpg(leader, signal.SIGKILL)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """A Ctrl-C meanwhile takes effect afterwards: no process may be started and not be known, or not be ended."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    arrived: list[int] = []
    before = {each: signal.signal(each, lambda number, _: arrived.append(number)) for each in _INTERRUPTS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler or signal.SIG_DFL)
        for number in arrived:
            signal.raise_signal(number)


launcher = Local()
