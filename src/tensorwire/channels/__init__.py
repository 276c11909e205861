"""A channel is a stack under test. It moves bytes: it never warms up, repeats, times or prints.

Law: one native file (or one Python `open`), one module here, one entry point. A library that is missing takes its one
channel away, with a sentence that says what to install. docs/adding-a-channel.md walks through it.
"""

from pathlib import Path
from typing import Protocol

import msgspec

import tensorwire
from tensorwire.collective import Operation
from tensorwire.errors import ChannelUnavailable


class NoOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For a channel that has nothing to choose."""


class Channel(Protocol):
    """What every module of this folder offers under the name in its entry point.

    Options that leave calls no way to ask for a recorded reply have a property `no_answers`: the sentence that says so.
    A channel with collective operations names them in `collectives`; one that has nothing else sets `calls` to False.
    One whose ranks find each other on one machine only sets `apart` to False.
    Options that choose among several rank programs have a `command()` of their own, which goes before the channel's.
    """

    name: str
    summary: str
    options: type[msgspec.Struct]
    serializes: bool
    """Whether `--mode serialized` means something to it."""

    def command(self) -> tuple[str, ...]:
        """The program of one rank, which takes a plan and a rank number. Raises ChannelUnavailable."""
        ...


class Native:
    """A stack whose ranks are an executable of their own, tensorwire-rank-NAME."""

    def __init__(
        self,
        name: str,
        summary: str,
        options: type[msgspec.Struct] = NoOptions,
        serializes: bool = False,
        remedy: str = "",
        collectives: tuple[Operation, ...] = (),
    ) -> None:
        self.name = name
        self.summary = summary
        self.options = options
        self.serializes = serializes
        self.collectives = collectives
        self._remedy = remedy

    def command(self) -> tuple[str, ...]:
        program = installed(f"tensorwire-rank-{self.name}")
        if program is None:
            raise ChannelUnavailable(
                f"channel {self.name} was not built here; {self._remedy}, then install tensorwire again"
            )
        return (str(program),)


def collectives(channel: Channel) -> tuple[Operation, ...]:
    """The collective operations that a channel has."""
    return getattr(channel, "collectives", ())


def calls(channel: Channel) -> bool:
    """Whether it has calls from one rank to another."""
    return getattr(channel, "calls", True)


def apart(channel: Channel) -> bool:
    """Whether its ranks find each other from hosts with networks of their own."""
    return getattr(channel, "apart", True)


def installed(program: str) -> Path | None:
    """Where a native rank program lies, or None."""
    places = (Path(place) / "bin" / program for place in tensorwire.__path__)  # two in an editable install
    return next((path for path in places if path.is_file()), None)
