"""Collective operations as PyTorch programs use them: torch.distributed, over whichever of its backends.

The rank is Python, driven by the core's loops. PyTorch is imported in the rank alone, and late: it takes seconds.
"""

from __future__ import annotations

import ctypes
import importlib.util
import socket
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Protocol

from tensorwire.channels.python import Buffers, Opening, Part, Reply
from tensorwire.collective import ELEMENT, ROOT
from tensorwire.errors import ChannelError, ChannelUnavailable, PeerLost, TransferTimeout

AllGather = Callable[[bytes], list[bytes]]
_GONE = ("closed by peer", "Connection reset", "Broken pipe", "remote process exited")
_LATE = ("imed out", "timeout")


class Backend(Protocol):
    """What differs between the backends."""

    device: Any
    """Where the tensors are."""

    def done(self, work: Any, part: Part, timeout_ns: int) -> bool:
        """Whether an operation that was started is over, its result in memory, after at most `timeout_ns`."""
        ...

    def settings(self, part: Part | None) -> dict[str, str]: ...


def check_installed(name: str) -> None:
    """Raises ChannelUnavailable when there is no PyTorch; without importing it."""
    if importlib.util.find_spec("torch") is None:
        raise ChannelUnavailable(f"channel {name} needs PyTorch: pip install 'tensorwire[torch]'")


def join(backend: str, opening: Opening, all_gather: AllGather) -> None:
    """Makes the process group of all ranks. Raises ChannelError."""
    from torch import distributed

    timeout = timedelta(milliseconds=max(1, opening.timeout_ns // 1_000_000))
    listening = socket.create_server((opening.host, 0)) if opening.rank == ROOT else None
    port = int(all_gather(str(listening.getsockname()[1]).encode() if listening else b"")[ROOT])
    with translated():
        store = distributed.TCPStore(
            opening.host,
            port,
            opening.size,
            is_master=listening is not None,
            timeout=timeout,
            master_listen_fd=listening.detach() if listening else None,
        )
        distributed.init_process_group(
            backend, store=store, rank=opening.rank, world_size=opening.size, timeout=timeout
        )


class Endpoint:
    """A process group, open on one rank."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._part: Part | None = None

    def collective(self, part: Part, /) -> Caller:
        self._part = part
        return Caller(part, self._backend)

    def caller(self, slots: Sequence[int], /) -> Caller:
        raise ChannelError("this channel has collective operations only")

    def answer_with(self, answers: Buffers, /) -> None:
        """There is nobody to answer."""

    def served(self) -> tuple[int, int]:
        return 0, 0

    def settings(self) -> dict[str, str]:
        import torch

        return {"torch": str(torch.__version__), **self._backend.settings(self._part)}

    def close(self) -> None:
        """The group ends with the process: to take it down would wait for ranks that may be gone."""


class Caller:
    """One rank's calls of one operation. What is reduced or broadcast is so in place, as torch.distributed has it."""

    def __init__(self, part: Part, backend: Backend) -> None:
        self._part = part
        self._backend = backend
        self._start: Callable[[], Any] = lambda: None
        self._work: Any = None
        self._found: Any = None
        """The tensor that holds what this rank finds."""

    def prepare(self, payloads: Buffers, answers: Buffers, /) -> None:
        import torch

        (brings,) = payloads
        given = torch.empty(self._part.sent, dtype=torch.float32)
        if brings:
            ctypes.memmove(given.data_ptr(), bytes(brings[0]), given.numel() * ELEMENT)
        given = given.to(self._backend.device)
        self._start, self._found = _prepared(self._part, given)

    def call(self, slot: int, payload: int, reply: Reply, /) -> None:
        with translated():
            self._work = self._start()

    def wait(self, most: int, timeout_ns: int, /) -> Sequence[tuple[int, int]]:
        with translated():
            if not self._backend.done(self._work, self._part, timeout_ns):
                return ()
        return ((0, self._part.received * ELEMENT),)

    def reply(self, slot: int, /) -> Sequence[bytes]:
        if not self._part.received:
            return ()
        found = self._found.cpu()
        return (ctypes.string_at(found.data_ptr(), found.numel() * ELEMENT),)


def _prepared(part: Part, given: Any) -> tuple[Callable[[], Any], Any]:
    """What starts the operation on what this rank brings, and where it leaves what the rank finds."""
    import torch
    from torch import distributed

    if part.operation == "all-reduce":
        return lambda: distributed.all_reduce(given, async_op=True), given
    if part.operation == "broadcast":
        array = given if part.rank == ROOT else torch.zeros(part.received, dtype=torch.float32, device=given.device)
        return lambda: distributed.broadcast(array, src=ROOT, async_op=True), array
    found = torch.zeros(part.received, dtype=torch.float32, device=given.device)
    if part.operation == "all-gather":
        return lambda: distributed.all_gather_into_tensor(found, given, async_op=True), found
    if part.operation == "reduce-scatter":
        return lambda: distributed.reduce_scatter_tensor(found, given, async_op=True), found
    to, from_ = (part.to, part.from_) if part.operation == "all-to-all-v" else (None, None)
    return lambda: distributed.all_to_all_single(found, given, from_, to, async_op=True), found


class translated:  # noqa: N801  (used as a word: with translated())
    """Turns what PyTorch raises into our errors, in one sentence."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, wrong: BaseException | None, trace: object) -> None:
        if not isinstance(wrong, RuntimeError | ValueError | OSError):
            return
        said = str(wrong).strip().partition("\n")[0]
        if any(word in said for word in _GONE):
            raise PeerLost(f"another rank is gone: {said}") from wrong
        if any(word in said for word in _LATE):
            raise TransferTimeout(said) from wrong
        raise ChannelError(said) from wrong


def poll(is_done: Callable[[], bool], timeout_ns: int) -> bool:
    """Looks once, and then again until the time is up."""
    deadline = time.monotonic_ns() + timeout_ns
    while not is_done():
        if time.monotonic_ns() >= deadline:
            return False
    return True
