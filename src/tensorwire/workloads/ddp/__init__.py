"""PyTorch's DistributedDataParallel over gloo, on CPUs: every rank trains a replica, and gradients are all-reduced."""

from collections.abc import Sequence
from typing import Literal, get_args

from tensorwire.errors import SpecError
from tensorwire.workloads import Task, Training, check, names, program

ModelName = Literal["resnet50", "transformer", "mlp"]

_IMAGES = "resnet50"
_ONE_PIXEL = 32
"""Images up to this size leave resnet50's last convolutions as a single pixel."""

_ON_THIS_MACHINE = {"GLOO_SOCKET_IFNAME": "lo", "PYTHONWARNINGS": "ignore:Failed to initialize NumPy"}
"""gloo otherwise listens where the host's name leads; and torch does without NumPy, as do the models."""


class Config(Training, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many ranks train what, and how DDP cuts the gradients into buckets.

    `image_size` is of resnet50 alone; `workers` is the number of ranks, of which one sends nothing.
    """

    model: ModelName = "resnet50"
    workers: int = 2
    bucket_mb: int = 25
    """The most that one all-reduce takes, in MiB; 25 is DDP's own. The first bucket is of 1 MiB at most."""
    seed: int = 1
    """Draws the parameters and, with the rank, the data."""
    trace: str | None = None
    """A directory for the traces that PyTorch itself writes of each rank; steps take longer then."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check("bucket-mb", self.bucket_mb, 1, 1 << 14)
        check("seed", self.seed, 0, (1 << 32) - 1)
        if self.image_size is None:
            return
        if self.model != _IMAGES:
            raise SpecError("image-size", self.image_size, f"left out: {self.model} has no images that could differ")
        if self.batch == 1 and self.image_size <= _ONE_PIXEL:
            allowed = f"2 at least: batch normalization cannot learn from one image of up to {_ONE_PIXEL} pixels"
            raise SpecError("batch", self.batch, allowed)


class Ddp:
    """One process a rank, which meet at one port of rank 0 by the variables that torchrun sets."""

    name = "torch-ddp"
    summary = f"PyTorch DistributedDataParallel over gloo: {', '.join(get_args(ModelName))}"
    config = Config
    extra = "torch"

    def ports(self, config: Config) -> int:
        return 1

    def tasks(self, config: Config, ports: Sequence[int]) -> tuple[Task, ...]:
        met = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(ports[0]), "WORLD_SIZE": str(config.workers)}
        return tuple(
            Task(
                role=role,
                argv=program("ddp.rank", config, role),
                environment={**met, "RANK": str(rank), **_ON_THIS_MACHINE},
                reports=True,
            )
            for rank, role in enumerate(names({"rank": config.workers}))
        )


workload = Ddp()
