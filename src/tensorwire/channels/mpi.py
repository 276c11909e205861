"""MPI: messages that are prepared beforehand, or one-sided puts. The native half is cpp/channels/mpi.cc.

Open MPI and MPICH have different binary interfaces, so there is a rank program for each that was found at build time.
"""

from typing import Literal

import msgspec

from tensorwire.channels import Native, installed
from tensorwire.collective import OPERATIONS
from tensorwire.errors import ChannelUnavailable, SpecError
from tensorwire.units import Bytes

_IMPLEMENTATIONS = {"openmpi": "libopenmpi-dev openmpi-bin", "mpich": "libmpich-dev"}  # in order of preference
_LARGEST = 2**31 - 1


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How MPI is used. What is not said here it takes from its own environment variables."""

    implementation: Literal["auto", "openmpi", "mpich"] = "auto"
    """Which MPI; auto: Open MPI, or else MPICH, of those that were there at build time."""
    transport: Literal["auto", "shm", "tcp", "ucx", "ofi"] = "auto"
    """What it may move bytes over: shared memory, TCP, or what UCX or libfabric find; auto: its own choice."""
    strategy: Literal["coalesce", "iov", "per-buffer"] = "coalesce"
    """Small buffers packed into one message, a derived datatype over the buffers, or a message for each buffer."""
    coalesce_below: Bytes = Bytes(2**16)
    """Buffers smaller than this are packed together; larger ones are messages of their own."""
    one_sided: bool = False
    """Payloads are put into the peer's memory (MPI_Put), and a small message says that they are there."""
    persistent: bool | None = None
    """Messages are prepared beforehand (MPI_Send_init), or each is told anew (MPI_Isend). None: what costs less, which
    is to tell anew with Open MPI, and to prepare with MPICH."""

    def __post_init__(self) -> None:
        if not 0 <= self.coalesce_below <= _LARGEST:
            raise SpecError("coalesce_below", self.coalesce_below, f"from 0 to {_LARGEST}")

    def command(self) -> tuple[str, ...]:
        """The rank program of the implementation. Raises ChannelUnavailable."""
        return _program(*_IMPLEMENTATIONS) if self.implementation == "auto" else _program(self.implementation)


def _program(*implementations: str) -> tuple[str, ...]:
    """The first of these that was built."""
    for each in implementations:
        if program := installed(f"tensorwire-rank-mpi-{each}"):
            return (str(program),)
    asked = f" for {implementations[0]}" if len(implementations) == 1 else ""
    packages = " or ".join(_IMPLEMENTATIONS[each] for each in implementations)
    raise ChannelUnavailable(
        f"channel mpi was not built here{asked}; apt-get install {packages}, then install tensorwire again"
    )


class Mpi(Native):
    """Its rank program is one of several. Its ranks join one world through their machine's own loopback."""

    apart = False

    def command(self) -> tuple[str, ...]:
        return _program(*_IMPLEMENTATIONS)


channel = Mpi(
    name="mpi",
    summary="MPI, Open MPI's or MPICH's: prepared messages, derived datatypes, or one-sided puts",
    options=Options,
    collectives=OPERATIONS,
)
