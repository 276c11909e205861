"""The seam for a channel written in Python: its module has `open`, an Open. cpp/core/channel.h has the promises."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from tensorwire.collective import Operation


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


Buffers = Sequence[Sequence[memoryview]]
"""Payloads, each as its buffers."""

Reply = Literal["echo", "acknowledge"] | int
"""What a call asks for: the payload back, the count of its bytes, or the answer of this index."""


class Caller(Protocol):
    """Starts calls and collects replies; cpp/core/channel.h has the promises of each method."""

    def prepare(self, payloads: Buffers, answers: Buffers, /) -> None: ...
    def call(self, slot: int, payload: int, reply: Reply, /) -> None: ...
    def wait(self, most: int, timeout_ns: int, /) -> Sequence[tuple[int, int]]:
        """Up to `most` pairs of a slot and the payload bytes that its peer received, or sent back."""
        ...

    def reply(self, slot: int, /) -> Sequence[bytes]: ...


class Endpoint(Protocol):
    """One stack, open on one rank."""

    def caller(self, slots: Sequence[int], /) -> Caller: ...
    def answer_with(self, answers: Buffers, /) -> None: ...
    def served(self) -> tuple[int, int]:
        """Calls and payload bytes served so far."""
        ...

    def settings(self) -> dict[str, str]: ...
    def close(self) -> None: ...


class Part(Protocol):
    """What one rank does in a collective operation, in elements of float32 (cpp/core/collective.h)."""

    operation: Operation
    rank: int
    size: int
    sent: int
    received: int
    to: list[int]
    from_: list[int]
    """What an all-to-all moves to each rank, and from each."""


class Together(Protocol):
    """What the Endpoint of a channel with collective operations has as well."""

    def collective(self, part: Part, /) -> Caller: ...


Open = Callable[[Opening, Callable[[bytes], list[bytes]]], Endpoint]


def python_rank(name: str) -> tuple[str, ...]:
    """The program of a rank of the channel `name`."""
    return (sys.executable, "-m", "tensorwire.rank", name)
