"""The end of a report that is inside a task: what a program that trains calls. Imports nothing that trains."""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Self, TypeVar

import msgspec

import tensorwire
from tensorwire import _core
from tensorwire.workloads import Line, Model, Step, Training

C = TypeVar("C", bound=Training)


class Given(msgspec.Struct, frozen=True):
    """What a task was told on its command line: its kind and index are those of its role."""

    config: str
    kind: str
    index: int
    peers: dict[str, list[str]]

    def training(self, kind: type[C]) -> C:
        """The config, as the workload's own type."""
        return msgspec.json.decode(self.config, type=kind)


def given(arguments: Sequence[str] | None = None) -> Given:
    """Reads the command line of a task; from here on it dies with the process that started it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    parser.add_argument("--role", required=True)
    parser.add_argument("--peers", default="{}", help="JSON: the addresses of every kind of task")
    said = parser.parse_args(arguments)
    parent = os.environ.get("TENSORWIRE_PARENT")
    if parent and not _core.die_with(int(parent)):
        sys.exit(1)
    kind, _, index = said.role.partition(" ")
    peers = msgspec.json.decode(said.peers, type=dict[str, list[str]])
    return Given(config=said.config, kind=kind, index=int(index), peers=peers)


class Report:
    """Writes the lines of one task to the descriptor that the driver gave it, or to stdout where there is none."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def here(cls) -> Self:
        return cls(int(os.environ.get("TENSORWIRE_REPORT_FD", sys.stdout.fileno())))

    def model(self, name: str, variables: Sequence[int], parameters: int, other: Sequence[int] = ()) -> None:
        """Says what is trained: sizes in bytes of the trained variables, and of those without a gradient."""
        self._write(
            Model(
                model=name, parameters=parameters, bytes=sum(variables), variables=tuple(variables), other=tuple(other)
            )
        )

    def step(self, step: int, ns: int, examples: int) -> None:
        self._write(Step(step=step, ns=ns, examples=examples))

    def timed(self, count: int, examples: int) -> Iterator[int]:
        """The numbers of `count` steps; each lasts from where it is handed out until the next is asked for.

        They are timed, reported, and marked for a capture.
        """
        for number in range(count):
            tensorwire.step()
            begin = time.perf_counter_ns()
            yield number
            self.step(number, time.perf_counter_ns() - begin, examples)
        tensorwire.step()

    def _write(self, line: Line) -> None:
        left = msgspec.json.encode(line) + b"\n"
        while left:
            left = left[os.write(self._descriptor, left) :]
