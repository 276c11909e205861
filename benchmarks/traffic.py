"""What is sent in one run, whoever sends it: every side of a comparison is derived from the same value."""

import os
from pathlib import Path
from typing import Literal

from msgspec import Struct

from tensorwire.benchmarks import Reply
from tensorwire.payload import Payload, Random, Skew, Uniform
from tensorwire.units import Bytes


class Site(Struct, frozen=True, kw_only=True):
    """Where and for how long a run goes on; programs are built in `build`."""

    seconds: float
    warmup: float
    cores: tuple[int, ...]
    build: Path

    @property
    def serving_core(self) -> int:
        return self.cores[0]

    def calling_core(self, pin: Literal["distinct", "same"]) -> int:
        return self.cores[1 % len(self.cores)] if pin == "distinct" else self.cores[0]


class Traffic(Struct, frozen=True, kw_only=True):
    """One payload from one caller to one server, `outstanding` calls in flight."""

    payload: Payload
    reply: Reply
    outstanding: int = 1
    pin: Literal["distinct", "same"] = "distinct"


def site(seconds: float, build: Path) -> Site:
    """This machine; every run is warmed up for a third of its time, at least for a tenth of a second."""
    return Site(
        seconds=seconds, warmup=max(0.1, seconds / 3), cores=tuple(sorted(os.sched_getaffinity(0))), build=build
    )


def one(size: int) -> Payload:
    """A payload of one buffer."""
    return Payload(sizes=(Bytes(size),))


def echo(payload: Payload, pin: Literal["distinct", "same"] = "distinct") -> Traffic:
    """Round trips, one at a time."""
    return Traffic(payload=payload, reply="echo", pin=pin)


def stream_of(payload: Payload, outstanding: int = 4) -> Traffic:
    """Payloads one way as fast as they are acknowledged."""
    return Traffic(payload=payload, reply="acknowledge", outstanding=outstanding)


TINY, MIDDLE, LARGE, HUGE = one(32), one(64 << 10), one(1 << 20), one(4 << 20)
UNIFORM = Uniform().payloads()[0]
SKEW = Skew().payloads()[0]
RANDOM = Random(seed=7).payloads()[0]
