"""TensorFlow jobs: which processes each has. The programs beside this file import TensorFlow, this one never does."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from tensorwire.errors import SpecError
from tensorwire.workloads import Task, Training, check, names, program
from tensorwire.workloads.models import variables
from tensorwire.workloads.models.catalogue import ARCHITECTURES

ModelName = Literal["softmax", "cnn", "alexnet", "vgg16", "inception-v4", "resnet50", "resnet152"]

_MOST_TASKS = 64
_HOST = "127.0.0.1"
# What TensorFlow says of itself on stderr is not what failed; and the tasks of a job would fight over one GPU.
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "1", "TF_ENABLE_ONEDNN_OPTS": "1", "CUDA_VISIBLE_DEVICES": "-1"}


class Ring(Training, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Workers alone, which send each other their gradients."""

    model: ModelName = "softmax"
    workers: int = 2
    moving_statistics: bool = False
    """Update the moving statistics of batch normalizations in every step, as one does who will use the model."""

    def __post_init__(self) -> None:
        super().__post_init__()
        variables(ARCHITECTURES[self.model], self.image_size)  # an image may be too small


class Servers(Ring, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Workers, and the parameter servers that hold the variables, placed by size."""

    workers: int = 1
    ps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check("ps", self.ps, 1, _MOST_TASKS)
        most = len(variables(ARCHITECTURES[self.model], self.image_size))
        if self.ps > most:
            raise SpecError("ps", self.ps, f"at most {most}: {self.model} has no more variables to place")


class GraphServers:
    """Between-graph replication in sessions, as of TensorFlow 1: every worker pulls, computes and pushes by itself."""

    name = "tf-ps"
    summary = "TensorFlow 1's way: graphs, sessions and parameter servers, asynchronous SGD"
    config = Servers
    extra = "tensorflow"

    def ports(self, config: Servers, /) -> int:
        return config.ps + config.workers

    def tasks(self, config: Servers, ports: Sequence[int], /) -> tuple[Task, ...]:
        peers = _peers({"ps": config.ps, "worker": config.workers}, ports)
        return tuple(
            _task("tf.graph_servers", config, role, peers, trains=role.startswith("worker")) for role in _roles(peers)
        )


class Coordinated:
    """ParameterServerStrategy: a chief schedules steps on workers, which read and update the servers' variables."""

    name = "tf2-ps"
    summary = "TensorFlow 2's ParameterServerStrategy: a chief schedules each step on every worker"
    config = Servers
    extra = "tensorflow"

    def ports(self, config: Servers, /) -> int:
        return 1 + config.ps + config.workers

    def tasks(self, config: Servers, ports: Sequence[int], /) -> tuple[Task, ...]:
        peers = _peers({"chief": 1, "worker": config.workers, "ps": config.ps}, ports)
        return tuple(_task("tf.coordinated", config, role, peers, trains=role == "chief 0") for role in _roles(peers))


class Mirrored:
    """MultiWorkerMirroredStrategy: every worker has all variables; gradients go around a ring."""

    name = "tf-ring"
    summary = "TensorFlow 2's MultiWorkerMirroredStrategy: a ring all-reduce of gradients over gRPC"
    config = Ring
    extra = "tensorflow"

    def ports(self, config: Ring, /) -> int:
        return config.workers

    def tasks(self, config: Ring, ports: Sequence[int], /) -> tuple[Task, ...]:
        peers = _peers({"worker": config.workers}, ports)
        return tuple(_task("tf.mirrored", config, role, peers, trains=True) for role in _roles(peers))


def _peers(counts: dict[str, int], ports: Sequence[int]) -> dict[str, list[str]]:
    """The address of every task, by kind, as TensorFlow's cluster specs have it."""
    left = iter(ports)
    return {kind: [f"{_HOST}:{next(left)}" for _ in range(count)] for kind, count in counts.items()}


def _roles(peers: dict[str, list[str]]) -> tuple[str, ...]:
    return names({kind: len(addresses) for kind, addresses in peers.items()})


def _task(module: str, config: Training, role: str, peers: dict[str, list[str]], trains: bool) -> Task:
    argv = program(module, config, role, peers=msgspec.json.encode(peers).decode())
    return Task(role=role, argv=argv, environment=_QUIET, reports=trains, endless=not trains)


graph_servers = GraphServers()
coordinated = Coordinated()
mirrored = Mirrored()
