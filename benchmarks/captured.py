"""A capture of tf-ps held against what its model must send, and against what gRPC tells of itself meanwhile."""

import functools
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from benchmarks import grpc_trace
from benchmarks.seen import CannotMeasure
from benchmarks.traffic import Site
from tensorwire import cluster, registry
from tensorwire.profile import LARGE_FROM, Message, Profile, Sizes, decode, last_word
from tensorwire.workloads.models import Variable, variables
from tensorwire.workloads.models.catalogue import ARCHITECTURES

PROGRAM = Path(__file__).parent / "programs" / "traced_job.py"
ROLES = ("ps 0", "worker 0")
WORKLOAD = "tf-ps"
EXPECTED_BESIDE = (19, 21)
"""Bytes of the messages with the learning rate, a scalar, and with an empty tensor, by which TensorFlow tells one task
that an operation of another is done."""

_DEADLINE_SECONDS = 300.0
_INLINE_MOST = 1024  # TensorFlow's grpc_tensor_coding: larger tensors are handed to gRPC as slices of their own
_MICROS = 9  # when it was sent: a tag, and a number of 50 to 56 bits


class Capture(Struct, frozen=True, kw_only=True):
    """One server and one worker: the profile, each task's gRPC trace, and the variables that were trained."""

    profile: Profile
    traces: dict[str, str]
    trained: tuple[Variable, ...]

    @property
    def steady(self) -> range:
        return range(self.profile.warmup, len(self.profile.steps))

    def sent(self, sender: str) -> list[Message]:
        roles = [self.profile.roles[stream.sender] for stream in self.profile.streams]
        return [message for message in self.profile.messages if roles[message[1]] == sender]

    def tensors(self, sender: str, step: int) -> list[Sizes]:
        """The slices of each tensor that a role sent in a step."""
        streams = self.profile.streams
        return [
            self.profile.payloads[payload]
            for _, number, payload, of in self.sent(sender)
            if of == step and streams[number].kind == "reply" and last_word(streams[number].method) == "RecvTensor"
        ]

    def beside(self, sender: str, step: int) -> tuple[Counter[Sizes], Counter[Sizes]]:
        """Tensors of a step that no variable asks for, and those that are lacking."""
        seen = Counter(self.tensors(sender, step))
        meant = Counter(message(variable.shape) for variable in self.trained)
        return seen - meant, meant - seen

    def untold(self, sender: str) -> tuple[int, int]:
        """Messages that only one of gRPC and the profile knows, and by how many bytes their DATA frames differ."""
        sizes: list[int] = [sum(self.profile.payloads[message[2]]) for message in self.sent(sender)]
        told, seen = Counter(grpc_trace.sent(self.traces[sender])), Counter(sizes)
        (other,) = set(ROLES) - {sender}
        came = sum(grpc_trace.data_frames(self.traces[other]))
        return ((told - seen) + (seen - told)).total(), abs(came - sum(sizes) - grpc_trace.PREFIX * len(sizes))


def command(**config: object) -> tuple[str, ...]:
    """The job, to be captured where `read` is to find what it tells."""
    return (sys.executable, str(PROGRAM), WORKLOAD, json.dumps(config))


def read(file: Path, model: str, image_size: int | None = None) -> Capture:
    """What a capture of `command` left: the profile's file, and the traces beside it."""
    needed = variables(ARCHITECTURES[model], image_size)
    return Capture(
        profile=decode(file.read_bytes()),
        traces={role: file.with_name(f"{role}.trace").read_text(errors="replace") for role in ROLES},
        trained=tuple(variable for variable in needed if variable.trained),
    )


def message(shape: Sequence[int]) -> Sizes:
    """The slices of TensorFlow's RecvTensorResponse with a tensor of 32-bit floats, as its .proto files have it."""
    content = 4
    for extent in shape:
        content *= extent
    dims = sum(_field(1 + _varint(extent)) for extent in shape)
    within = 2 + _field(dims) + 1 + _varint(content)  # type, shape, and what precedes the content
    around = 1 + _varint(within + content) + within + _MICROS
    return (around, content) if content > _INLINE_MOST else (around + content,)  # type: ignore[return-value]


def _field(length: int) -> int:
    return 1 + _varint(length) + length


def _varint(value: int) -> int:
    return max((value.bit_length() + 6) // 7, 1)


@functools.cache
def _resnet152() -> Capture:
    """A short training of ResNet-152 on small images, which change nothing of what is sent."""
    if lacking := cluster.missing(registry.workload(WORKLOAD)):
        raise CannotMeasure(lacking)
    program = str(Path(sys.executable).with_name("tensorwire"))
    size = 32
    with tempfile.TemporaryDirectory() as directory:
        job = command(model="resnet152", batch=1, image_size=size, steps=4, warmup_steps=2)
        words = (program, "capture", "-o", "job.profile.json", "--", *job)
        done = subprocess.run(
            words, cwd=directory, capture_output=True, text=True, timeout=_DEADLINE_SECONDS, check=False
        )
        if done.returncode:
            raise CannotMeasure(f"the job failed: {done.stderr.strip().splitlines()[-1]}")
        return read(Path(directory) / "job.profile.json", "resnet152", size)


def large_buffers(_: Site) -> float:
    """Of 1 MiB and more in a steady step; infinite unless every step has as many."""
    capture = _resnet152()
    counts = {
        sum(size >= LARGE_FROM for sender in ROLES for sizes in capture.tensors(sender, step) for size in sizes)
        for step in capture.steady
    }
    return float(counts.pop()) if len(counts) == 1 else float("inf")


def odd_bytes(_: Site) -> float:
    """Bytes by which the tensors of the steady steps differ from the model's, but for those of `EXPECTED_BESIDE`."""
    capture = _resnet152()
    apart = 0
    for sender in ROLES:
        for step in capture.steady:
            beside, lacking = capture.beside(sender, step)
            apart += sum(sum(sizes) for sizes in (beside + lacking).elements() if sum(sizes) not in EXPECTED_BESIDE)
    return float(apart)


def untold_bytes(_: Site) -> float:
    """Bytes by which the DATA frames that gRPC says it received differ from the profile, over the whole job."""
    capture = _resnet152()
    return float(sum(capture.untold(sender)[1] for sender in ROLES))


def untold_messages(_: Site) -> float:
    """Messages that gRPC says it sent and the profile does not have with that size, or the other way round."""
    capture = _resnet152()
    return float(sum(capture.untold(sender)[0] for sender in ROLES))
