"""gloo, the collectives of PyTorch on CPUs: torch.distributed with the backend gloo, over TCP."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from tensorwire.channels import NoOptions
from tensorwire.channels.python import Opening, Part, python_rank
from tensorwire.channels.torch_collectives import AllGather, Endpoint, check_installed, join
from tensorwire.collective import OPERATIONS
from tensorwire.errors import ChannelError

_EMULATED = {"reduce-scatter": "emulated by PyTorch: an all-reduce of the whole, of which each rank keeps its part"}
"""ProcessGroupGloo::reduce_scatter_tensor_coalesced, as of PyTorch 2.13."""
_INTERFACE = "GLOO_SOCKET_IFNAME"


class Gloo:
    """The channel as the registry knows it."""

    name = "gloo"
    summary = "gloo through PyTorch, on CPUs over TCP: what torch.distributed does without a GPU"
    options = NoOptions
    serializes = False
    collectives = OPERATIONS
    calls = False

    def command(self) -> tuple[str, ...]:
        check_installed(self.name)
        return python_rank(self.name)


channel = Gloo()


class _Cpu:
    """gloo works on memory of the host, and on threads of its own."""

    device = "cpu"

    def done(self, work: Any, part: Part, timeout_ns: int) -> bool:
        if timeout_ns == 0 and part.operation not in _EMULATED:  # what is emulated goes on in `wait` alone
            return bool(work.is_completed()) and bool(work.wait())
        return bool(work.wait(timedelta(milliseconds=max(1, timeout_ns // 1_000_000))))

    def settings(self, part: Part | None) -> dict[str, str]:
        how = _EMULATED.get(part.operation, "native") if part else ""
        return {"transport": "tcp", "collective": how}


def open(opening: Opening, all_gather: AllGather) -> Endpoint:
    """Meets the other ranks and connects to them. Raises ChannelError."""
    from tensorwire import _core

    if opening.host.startswith("unix:"):
        raise ChannelError("channel gloo has no Unix-domain sockets, only TCP; use --host localhost")
    interface = _core.interface_of(opening.host)
    if interface:
        os.environ[_INTERFACE] = interface
    join("gloo", opening, all_gather)
    return Endpoint(_Cpu())
