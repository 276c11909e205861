"""NCCL through PyTorch: torch.distributed with the backend nccl, a GPU for each rank."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorwire.channels import NoOptions
from tensorwire.channels.python import Opening, Part, python_rank
from tensorwire.channels.torch_collectives import AllGather, Endpoint, check_installed, join, poll
from tensorwire.collective import OPERATIONS
from tensorwire.errors import ChannelUnavailable

_DRIVER = Path("/proc/driver/nvidia/version")


class Nccl:
    """The channel as the registry knows it."""

    name = "nccl"
    summary = "NCCL through PyTorch: a GPU for each rank"
    options = NoOptions
    serializes = False
    collectives = OPERATIONS
    calls = False

    def command(self) -> tuple[str, ...]:
        if not _DRIVER.exists():
            raise ChannelUnavailable(
                "channel nccl needs NVIDIA GPUs, and this host has no driver for any; use --channel gloo or mpi"
            )
        check_installed(self.name)
        return python_rank(self.name)


channel = Nccl()


class _Gpu:
    """An operation is over when the device is done with it: an event behind it on the stream tells."""

    def __init__(self, device: Any) -> None:
        import torch

        self.device = device
        self._event = torch.cuda.Event()
        self._awaited: Any = None

    def done(self, work: Any, part: Part, timeout_ns: int) -> bool:
        if self._awaited is not work:  # once: the stream waits for the operation, and the event for the stream
            work.wait()
            self._event.record()
            self._awaited = work
        return poll(self._event.query, timeout_ns)

    def settings(self, part: Part | None) -> dict[str, str]:
        import torch

        version = ".".join(map(str, torch.cuda.nccl.version()))
        return {
            "transport": "nccl",
            "collective": "native" if part else "",
            "nccl": version,
            "gpu": torch.cuda.get_device_name(self.device),
        }


def open(opening: Opening, all_gather: AllGather) -> Endpoint:
    """Takes the GPU of this rank's number and meets the others. Raises ChannelUnavailable, ChannelError."""
    import torch
    from torch import distributed

    if not torch.cuda.is_available() or not distributed.is_nccl_available():
        raise ChannelUnavailable(
            f"channel nccl needs a PyTorch that was built with CUDA and a GPU that it can use; "
            f"this one is {torch.__version__}"
        )
    gpus = torch.cuda.device_count()
    if opening.rank >= gpus:
        raise ChannelUnavailable(
            f"channel nccl needs a GPU for each rank, and this host has {gpus} for {opening.size}; use fewer --ranks"
        )
    device = torch.device("cuda", opening.rank)
    torch.cuda.set_device(device)
    join("nccl", opening, all_gather)
    return Endpoint(_Gpu(device))
