"""A workload is a real training job: a few processes on this machine, on data that is made on the spot.

Law: the module that names a workload says only which processes there are; nothing is imported here that trains. What
trains is a program of its own, `python -m tensorwire.workloads.PROGRAM`, which reports through `reporting`.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from tensorwire.errors import SpecError

_MOST_TASKS = 64
_MOST_STEPS = 1_000_000
_MOST_EXAMPLES = 65536


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a job.

    `reports`: it writes lines, Model and Step, to the descriptor in the variable TENSORWIRE_REPORT_FD.
    `endless`: it serves until it is ended, like a TensorFlow server; the job is done when the others are.
    """

    role: str
    argv: tuple[str, ...]
    environment: dict[str, str] = {}
    reports: bool = False
    endless: bool = False


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a report, once: what is trained. `variables` are the trained variables' sizes in bytes, in order."""

    model: str
    parameters: int
    bytes: int
    variables: tuple[int, ...] = ()
    other: tuple[int, ...] = ()
    """Sizes of variables that no gradient is computed for, such as moving statistics; not among the parameters."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a report: step number `step` of this task, from 0 and warm-up included, took `ns`."""

    step: int
    ns: int
    examples: int


Line = Model | Step


def read_line(text: bytes) -> Line:
    """A line of a report. Raises msgspec.MsgspecError for anything else."""
    words = msgspec.json.decode(text, type=dict[str, Any])
    return msgspec.convert(words, Model) if "model" in words else msgspec.convert(words, Step)


class Training(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every workload is asked for; each has a config of its own that adds to it."""

    model: str = ""
    workers: int = 1
    batch: int = 32
    """Examples in a step of one worker."""
    image_size: int | None = None
    """Pixels of a side of the square images; None: what the model was published with."""
    steps: int = 10
    """Steps of each worker that count."""
    warmup_steps: int = 3
    """Steps before them that do not."""

    def __post_init__(self) -> None:
        check("workers", self.workers, 1, _MOST_TASKS)
        check("batch", self.batch, 1, _MOST_EXAMPLES)
        check("steps", self.steps, 1, _MOST_STEPS)
        check("warmup-steps", self.warmup_steps, 0, _MOST_STEPS)
        if self.image_size is not None:
            check("image-size", self.image_size, 8, 4096)


class Workload(Protocol):
    """What every module of this folder offers under the name in its entry point."""

    name: str
    summary: str
    config: type[Training]
    extra: str
    """The extra of tensorwire that must be installed, by the name of the module that it brings; nothing if none."""

    def ports(self, config: Any, /) -> int:
        """How many ports its tasks listen on."""
        ...

    def tasks(self, config: Any, ports: Sequence[int], /) -> tuple[Task, ...]:
        """The processes of the job, which meet at these ports of this machine."""
        ...


def check(field: str, value: int, least: int, most: int) -> None:
    """Raises SpecError unless the value is within the bounds."""
    if not least <= value <= most:
        raise SpecError(field, value, f"from {least} to {most}")


def program(module: str, config: Training, role: str, **words: object) -> tuple[str, ...]:
    """The command line of a task: a module of this folder, told its config and role, and `words` as further flags."""
    flags = [text for word, value in words.items() for text in (f"--{word.replace('_', '-')}", str(value))]
    said = msgspec.json.encode(config).decode()
    return (sys.executable, "-m", f"{__name__}.{module}", "--config", said, "--role", role, *flags)


def names(roles: Mapping[str, int]) -> tuple[str, ...]:
    """Roles by kind, numbered from 0: ps 0, ps 1, worker 0."""
    return tuple(f"{kind} {index}" for kind, count in roles.items() for index in range(count))
