"""Models as values: layers that a program of any framework can compute, and what can be told of them without one.

Architectures are the published ones; each module cites what its parameters are counted against.
"""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Literal

import msgspec

from tensorwire.errors import SpecError

Padding = Literal["SAME", "VALID"]
Shape = tuple[int, ...]
FLOAT_BYTES = 4


class Conv(msgspec.Struct, frozen=True):
    """A convolution of `size` (height, width), with a bias unless a normalization follows that has one."""

    filters: int
    size: tuple[int, int]
    stride: int = 1
    padding: Padding = "SAME"
    bias: bool = True


class BatchNorm(msgspec.Struct, frozen=True):
    """Batch normalization with scale and offset; its moving mean and variance are not trained."""


class Dense(msgspec.Struct, frozen=True):
    """A fully connected layer with a bias."""

    units: int


class Pool(msgspec.Struct, frozen=True):
    """The maximum or average of windows of `size` x `size`."""

    kind: Literal["MAX", "AVG"]
    size: int
    stride: int
    padding: Padding = "VALID"


class Relu(msgspec.Struct, frozen=True):
    """max(0, x)."""


class LocalResponse(msgspec.Struct, frozen=True):
    """Local response normalization, as AlexNet and the CIFAR-10 tutorial have it."""


class Mean(msgspec.Struct, frozen=True):
    """The average over all pixels of a channel."""


class Flatten(msgspec.Struct, frozen=True):
    """All numbers of an example in a row."""


class Sum(msgspec.Struct, frozen=True):
    """The sum of what branches make of the same input; an empty branch hands it on."""

    branches: tuple[tuple["Layer", ...], ...]


class Concat(msgspec.Struct, frozen=True):
    """The channels that branches make of the same input, side by side."""

    branches: tuple[tuple["Layer", ...], ...]


Layer = Conv | BatchNorm | Dense | Pool | Relu | LocalResponse | Mean | Flatten | Sum | Concat


class Architecture(msgspec.Struct, frozen=True, kw_only=True):
    """A classifier of square images, with the image size that it was published with."""

    name: str
    layers: tuple[Layer, ...]
    image_size: int
    classes: int
    channels: int = 3

    def image(self, size: int | None) -> Shape:
        """The shape of one image of that size, or of the published one."""
        side = self.image_size if size is None else size
        return side, side, self.channels


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """A variable of 32-bit floats: what it is for, and whether a gradient is computed for it."""

    use: Literal["kernel", "bias", "scale", "offset", "mean", "variance"]
    shape: Shape
    trained: bool = True

    @property
    def count(self) -> int:
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.count * FLOAT_BYTES


def variables(architecture: Architecture, image_size: int | None = None) -> tuple[Variable, ...]:
    """The variables, in the order in which `layers` need them. Raises SpecError when an image is too small for it."""
    try:
        return tuple(_of_chain(architecture.layers, architecture.image(image_size))[0])
    except _TooSmall:
        raise SpecError("image-size", image_size, f"larger: {architecture.name} has no pixel left") from None


def parameters(found: Sequence[Variable]) -> int:
    """How many numbers are trained."""
    return sum(each.count for each in found if each.trained)


class _TooSmall(Exception):
    """A layer has nothing to look at."""


def _of_chain(layers: Sequence[Layer], shape: Shape) -> tuple[list[Variable], Shape]:
    found: list[Variable] = []
    for layer in layers:
        found += _own(layer, shape)
        if isinstance(layer, Sum | Concat):
            parts = [_of_chain(branch, shape) for branch in layer.branches]
            found += [variable for part, _ in parts for variable in part]
            shapes = [after for _, after in parts]
            shape = shapes[0] if isinstance(layer, Sum) else (*shapes[0][:-1], sum(each[-1] for each in shapes))
        else:
            shape = _after(layer, shape)
    return found, shape


def _own(layer: Layer, shape: Shape) -> Iterator[Variable]:
    """The variables of a layer itself."""
    match layer:
        case Conv(filters=filters, size=size, bias=bias):
            yield Variable(use="kernel", shape=(*size, shape[-1], filters))
            if bias:
                yield Variable(use="bias", shape=(filters,))
        case Dense(units=units):
            yield Variable(use="kernel", shape=(shape[-1], units))
            yield Variable(use="bias", shape=(units,))
        case BatchNorm():
            yield Variable(use="scale", shape=shape[-1:])
            yield Variable(use="offset", shape=shape[-1:])
            yield Variable(use="mean", shape=shape[-1:], trained=False)
            yield Variable(use="variance", shape=shape[-1:], trained=False)


def _after(layer: Layer, shape: Shape) -> Shape:
    """The shape of what a layer makes of an example of that shape."""
    match layer:
        case Conv(filters=filters, size=size, stride=stride, padding=padding):
            return (*_windows(shape, size, stride, padding), filters)
        case Pool(size=side, stride=stride, padding=padding):
            return (*_windows(shape, (side, side), stride, padding), shape[-1])
        case Dense(units=units):
            return (units,)
        case Mean():
            return shape[-1:]
        case Flatten():
            return (prod(shape),)
        case _:
            return shape


def _windows(shape: Shape, size: tuple[int, int], stride: int, padding: Padding) -> Iterator[int]:
    for pixels, side in zip(shape[:2], size, strict=True):
        left = pixels if padding == "SAME" else pixels - side + 1
        if left < 1:
            raise _TooSmall
        yield -(-left // stride)
