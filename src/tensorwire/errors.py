"""Every failure is one of these types and says in one sentence what is wrong and what to do."""

import difflib
import signal
from collections.abc import Iterable
from typing import ClassVar


class TensorwireError(Exception):
    """Any failure that tensorwire foresees; `exit_code` is what the command line exits with."""

    exit_code: ClassVar[int] = 1


class SpecError(TensorwireError):
    """The request makes no sense: names the field, the value, and what is allowed.

    Not a ValueError: msgspec would replace one that is raised while a value is converted.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, field: str, value: object, allowed: str, sentence: str | None = None) -> None:
        super().__init__(field, value, allowed, sentence)
        self.field = field
        self.value = value
        self.allowed = allowed
        self.sentence = sentence or f"{field} is {value!r}, but must be {allowed}"

    def __str__(self) -> str:
        return self.sentence

    @classmethod
    def unknown(cls, kind: str, name: str, known: Iterable[str]) -> "SpecError":
        """The error for a `name` that is not among the `known` ones of a `kind`, with the closest of them."""
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=1)
        guess = f"; did you mean {close[0]}?" if close else ";"
        listed = ", ".join(names) or "none"
        return cls(kind, name, f"one of {listed}", f"unknown {kind} {name!r}{guess} known: {listed}")


class FileFormatError(TensorwireError):
    """Not one of our files, damaged, or from a newer version."""

    exit_code: ClassVar[int] = 2


class ChannelError(TensorwireError):
    """The stack under test could not do its part."""


class ChannelUnavailable(ChannelError):
    """Not built or not installed here, and how to get it."""

    exit_code: ClassVar[int] = 3


class AddressInUse(ChannelError):
    """Somebody else already listens on the address asked for."""

    exit_code: ClassVar[int] = 3


class PeerLost(ChannelError):
    """The other end went away during a call."""


class TransferTimeout(ChannelError):
    """A call was not done by its deadline."""


class WrongBytes(ChannelError):
    """The bytes that arrived are not the bytes that were sent."""


class WrongPath(ChannelError):
    """The payload did not take the way over the network that was to be measured."""


class LaunchError(TensorwireError):
    """The ranks could not be started, or did not end well."""


class LauncherUnavailable(LaunchError):
    """This machine cannot make the hosts that were asked for, and what it lacks."""

    exit_code: ClassVar[int] = 3


class RankFailed(LaunchError):
    """One rank ended with a failure: its exit status and the last lines of its stderr.

    `status` is as in `subprocess`: an exit code, or minus the number of the signal that killed the rank.
    """

    def __init__(self, rank: int, role: str, host: str, status: int, stderr: str) -> None:
        super().__init__(rank, role, host, status, stderr)
        self.rank = rank
        self.role = role
        self.host = host
        self.status = status
        self.stderr = stderr

    def __str__(self) -> str:
        return f"rank {self.rank} ({self.role} on {self.host}) {_ending(self.status)}{_last_lines(self.stderr)}"


class TaskFailed(LaunchError):
    """A task of a workload ended as it should not: its exit status and the last lines of its stderr."""

    def __init__(self, role: str, status: int, stderr: str) -> None:
        super().__init__(role, status, stderr)
        self.role = role
        self.status = status
        self.stderr = stderr

    def __str__(self) -> str:
        early = " before the others were done" if self.status == 0 else ""
        return f"{self.role} {_ending(self.status)}{early}{_last_lines(self.stderr)}"


class WorkloadUnavailable(TensorwireError):
    """What a workload trains with is not installed here, and how to get it."""

    exit_code: ClassVar[int] = 3


class InstrumentError(TensorwireError):
    """A job could not be watched, or what the instrument wrote could not be read."""


class InstrumentUnavailable(InstrumentError):
    """Not installed here, and how to get it."""

    exit_code: ClassVar[int] = 3


class ExportUnavailable(TensorwireError):
    """A form needs a package that is not installed here, and how to get it."""

    exit_code: ClassVar[int] = 3


class ReportUnavailable(TensorwireError):
    """A report needs a package that is not installed here, and how to get it."""

    exit_code: ClassVar[int] = 3


def _ending(status: int) -> str:
    if status >= 0:
        return f"exited with code {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def _last_lines(stderr: str) -> str:
    said = stderr.strip()
    return f"; its last lines were:\n{said}" if said else " and said nothing"
