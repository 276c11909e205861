"""The seam for a channel written in Python: its module has `open`, an Open. cpp/core/channel.h has the promises."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Opening(Protocol):
    """What a channel is told when it is opened (cpp/channels/open.h)."""

    rank: int
    size: int
    serves: bool
    host: str
    port: int
    serialized: bool
    spin: bool
    timeout_ns: int
    options: dict[str, Any]


class Caller(Protocol):
    """Starts calls and collects replies; cpp/core/channel.h has the promises of each method."""

    def prepare(self, payloads: Sequence[Sequence[memoryview]], /) -> None: ...
    def call(self, slot: int, payload: int, echo: bool, /) -> None: ...
    def wait(self, most: int, timeout_ns: int, /) -> Sequence[tuple[int, int]]:
        """Up to `most` pairs of a slot and the payload bytes that its peer received or echoed."""
        ...

    def reply(self, slot: int, /) -> Sequence[bytes]: ...


class Endpoint(Protocol):
    """One stack, open on one rank."""

    def caller(self, slots: Sequence[int], /) -> Caller: ...
    def served(self) -> tuple[int, int]:
        """Calls and payload bytes served so far."""
        ...

    def settings(self) -> dict[str, str]: ...
    def close(self) -> None: ...


Open = Callable[[Opening, Callable[[bytes], list[bytes]]], Endpoint]


def python_rank(name: str) -> tuple[str, ...]:
    """The program of a rank of the channel `name`."""
    return (sys.executable, "-m", "tensorwire.rank", name)
