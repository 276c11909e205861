"""The taps of a job that runs: paused, timed and read from outside, by the heads of their logs."""

import mmap
import struct
import time
from pathlib import Path
from types import TracebackType

import msgspec

from tensorwire.errors import FileFormatError
from tensorwire.instruments.tap_log import (
    ENABLED_AT,
    HEADER_BYTES,
    TIMED_AT,
    Counters,
    decode_counters,
    decode_head,
)

_INT = struct.Struct("<I")
_LAST = 1 << 31


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A process of the job, and its counters as they are now."""

    program: str
    counters: Counters


class Taps:
    """Those below a directory, also of processes that begin later. To be closed, or used in a `with`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._heads: dict[Path, tuple[str, mmap.mmap]] = {}
        self._state = (True, False)
        self.find()

    def find(self) -> None:
        """Looks for processes that are new, and tells them what the others were told."""
        for path in self._directory.glob("*.tap"):
            if path not in self._heads and (head := _head(path)):
                self._heads[path] = head
                if self._state != (True, False):
                    self._tell(head[1])

    def set(self, on: bool, timed: bool = False) -> None:
        """Lets the recording go on or pauses it, and has the taps take their own time or not."""
        self._state = (on, timed)
        self.find()
        for _, head in self._heads.values():
            self._tell(head)

    def processes(self) -> dict[Path, Process]:
        """By their logs."""
        return {
            path: Process(program=program, counters=decode_counters(head))
            for path, (program, head) in self._heads.items()
        }

    def close(self) -> None:
        for _, head in self._heads.values():
            head.close()
        self._heads.clear()

    def __enter__(self) -> "Taps":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _tell(self, head: mmap.mmap) -> None:
        on, timed = self._state
        _INT.pack_into(head, TIMED_AT, timed)
        (awake,) = _INT.unpack_from(head, ENABLED_AT)
        if on != bool(awake):  # and another number after each pause
            _INT.pack_into(head, ENABLED_AT, time.monotonic_ns() // 1000 % _LAST + 1 if on else 0)


def _head(path: Path) -> tuple[str, mmap.mmap] | None:
    """None while a process is about to begin its log."""
    with path.open("r+b") as file:
        try:
            program = decode_head(file.read(HEADER_BYTES)).program
        except FileFormatError:
            return None
        return program, mmap.mmap(file.fileno(), HEADER_BYTES)
