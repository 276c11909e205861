"""A launcher starts ranks, and ends them. Law: it never knows what the ranks will do."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import msgspec


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One rank to start: its program, and what its environment holds beside the launcher's own."""

    rank: int
    role: str
    argv: tuple[str, ...]
    environment: dict[str, str]


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """A rank that ended: its exit status (minus the signal's number if it was killed) and the end of its stderr."""

    rank: int
    status: int
    stderr: str


class Job(Protocol):
    """Ranks that were started. Leaving it ends those that still run."""

    def exits(self) -> list[Exit]:
        """The ranks that ended since the last call."""
        ...

    def host(self, rank: int) -> str:
        """Where a rank was started."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Launcher(Protocol):
    """What every module of this folder offers under the name in its entry point."""

    name: str
    summary: str

    def start(self, commands: Sequence[Command], directory: Path) -> Job:
        """Starts the ranks; `directory` takes what they print. Raises LaunchError, with none of them left."""
        ...
