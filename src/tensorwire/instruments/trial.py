"""Turns the watching of a running job on and off, and keeps what it did meanwhile."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from tensorwire.cost import Block, Cost, Own, order
from tensorwire.instruments.taps import Process
from tensorwire.units import Bytes, Nanoseconds

_LOOK_NS = 100_000_000
"""How often new processes are looked for, that must be told what the others were told."""


class Watched(Protocol):
    """The taps of a job."""

    def find(self) -> None: ...
    def set(self, on: bool, timed: bool = False) -> None: ...
    def processes(self) -> dict[Path, Process]: ...


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """For how long: until the first block, since the job first sent anything, and each block."""

    after_ns: Nanoseconds
    block_ns: Nanoseconds


class Trial:
    """Called as often as it asks for. Rows of blocks follow each other, each after a block in which the taps take their
    own time; the one in which the job ends is left out. It ends itself when a log is full, for then less is done."""

    def __init__(self, taps: Watched, times: Times, clock: Callable[[], int]) -> None:
        self._taps = taps
        self._clock = clock
        self._blocks: list[Block] = []
        self._own: dict[Path, Own] = {}
        self._notes: list[str] = []
        self._course = self._run(times)
        self._due = next(self._course)

    def __call__(self) -> float:
        """Does what is due, and tells after how many seconds it wants to be called again."""
        while (now := self._clock()) >= self._due:
            self._due = next(self._course)
        self._taps.find()
        return min(self._due - now, _LOOK_NS) / 1e9

    def cost(self, least: int) -> Cost:
        """What was measured until now."""
        return Cost(least=least, blocks=tuple(self._blocks), own=tuple(self._own.values()), notes=tuple(self._notes))

    def _run(self, times: Times) -> Iterator[int]:
        """Yields the time until which nothing is to be done."""
        while not _sent(self._taps.processes()):
            yield self._clock() + _LOOK_NS
        yield self._clock() + times.after_ns
        row = 0
        while not any(process.counters.dropped for process in self._taps.processes().values()):
            yield from self._timed(times.block_ns)
            for on in order():
                yield from self._block(row, on, times.block_ns)
            row += 1
        self._taps.set(False)
        self._notes.append("a log was full: what came after it was not measured")
        while True:
            yield self._clock() + 1_000_000_000

    def _block(self, row: int, on: bool, length_ns: int) -> Iterator[int]:
        self._taps.set(on)
        begin, before = self._clock(), _sent(self._taps.processes())
        yield begin + length_ns
        sent, ns = _sent(self._taps.processes()) - before, self._clock() - begin
        self._blocks.append(Block(row=row, on=on, ns=Nanoseconds(ns), sent=Bytes(sent)))

    def _timed(self, length_ns: int) -> Iterator[int]:
        self._taps.set(True, timed=True)
        begin, before = self._clock(), self._taps.processes()
        yield begin + length_ns
        over, after = self._clock() - begin, self._taps.processes()
        for path, process in after.items():
            self._own[path] = _added(self._own.get(path), process, before.get(path), over)


def _sent(processes: Mapping[Path, Process]) -> int:
    return sum(process.counters.sent for process in processes.values())


def _added(known: Own | None, process: Process, before: Process | None, over: int) -> Own:
    """With what the tap took in a block: each call was timed with one reading of the clock in it, which is left out."""
    now, then = process.counters, before.counters if before else None
    calls = now.own_calls - (then.own_calls if then else 0)
    took = now.own_ns - (then.own_ns if then else 0) - calls * now.clock_ps // 1000
    return Own(
        program=process.program,
        ns=Nanoseconds((known.ns if known else 0) + max(took, 0)),
        calls=(known.calls if known else 0) + calls,
        over_ns=Nanoseconds((known.over_ns if known else 0) + over),
    )
