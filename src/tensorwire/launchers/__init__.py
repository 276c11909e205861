"""A launcher makes hosts ready, and starts and ends ranks on them. Law: it never knows what the ranks will do."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

from tensorwire.result import Network

LOOPBACK = "127.0.0.1"


class NoOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For a launcher that has nothing to choose."""


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


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a rank runs: its host by name, and the address that it serves at; None: the one that was asked for."""

    host: str
    address: str | None = None


class Job(Protocol):
    """Ranks that were started. Leaving it ends those that still run."""

    def exits(self) -> list[Exit]:
        """The ranks that ended since the last call."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Hosts(Protocol):
    """Hosts that are up. Leaving them takes down what was made for them."""

    places: tuple[Place, ...]
    """Of each rank."""

    @property
    def network(self) -> Network | None:
        """What the hosts turned out to be, where that is worth telling."""
        ...

    def meeting_address(self, directory: Path) -> str:
        """Where the driver is to listen so that all ranks reach it: a numeric address, or unix:PATH in `directory`."""
        ...

    def start(self, commands: Sequence[Command], directory: Path) -> Job:
        """Starts the ranks; `directory` takes what they print. Raises LaunchError, with none of them left."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Launcher(Protocol):
    """What every module of this folder offers under the name in its entry point."""

    name: str
    summary: str
    options: type[msgspec.Struct]
    own_addresses: bool
    """Whether its hosts have addresses of their own; else ranks serve at the one that was asked for, on this host."""

    def check(self, options: Any, /) -> None:
        """Raises LauncherUnavailable for what this machine lacks."""
        ...

    def hosts(self, options: Any, ranks: int, /) -> Hosts:
        """Brings up hosts for so many ranks. Raises LaunchError, with nothing left of them."""
        ...
