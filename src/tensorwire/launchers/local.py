"""Ranks as processes of this machine. They die with their parent, however it ends."""

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tensorwire.errors import LaunchError
from tensorwire.launchers import Command, Exit

_STDERR_TAIL = 2000
_GRACE_SECONDS = 5


class LocalJob:
    """Processes that were started here. `stop` kills: a rank holds nothing that it would have to save."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, command: Command) -> None:
        """Raises LaunchError when the program cannot be started."""
        environment = {**os.environ, **command.environment, "TENSORWIRE_PARENT": str(os.getpid())}
        with self._stderr(command.rank).open("wb") as said:
            try:
                self._running[command.rank] = subprocess.Popen(
                    command.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    env=environment,
                    process_group=0,  # a Ctrl-C reaches the driver alone, which ends the ranks
                )
            except OSError as wrong:
                raise LaunchError(f"cannot start rank {command.rank} ({command.argv[0]}): {wrong.strerror}") from wrong

    def exits(self) -> list[Exit]:
        ended = [(rank, process.returncode) for rank, process in self._running.items() if process.poll() is not None]
        for rank, _ in ended:
            del self._running[rank]
        return [Exit(rank=rank, status=status, stderr=self._tail(rank)) for rank, status in ended]

    def host(self, rank: int) -> str:
        return platform.node()

    def stop(self) -> None:
        for process in self._running.values():
            process.kill()
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


class Local:
    """Starts every rank on this machine."""

    name = "local"
    summary = "processes of this machine"

    def start(self, commands: Sequence[Command], directory: Path) -> LocalJob:
        job = LocalJob(directory)
        try:
            for command in commands:
                job.start(command)
        except BaseException:
            job.stop()
            raise
        return job


launcher = Local()
