"""Models computed with TensorFlow's operations, the same in graphs and eagerly, under any strategy."""

from collections.abc import Iterator, Sequence
from math import prod, sqrt
from typing import Any

import tensorflow as tf

from tensorwire.workloads.models import (
    Architecture,
    BatchNorm,
    Concat,
    Conv,
    Dense,
    Flatten,
    Layer,
    LocalResponse,
    Mean,
    Pool,
    Relu,
    Sum,
    Variable,
)

Tensor = Any
_EPSILON = 1e-3
_DECAY = 0.99
LEARNING_RATE = 1e-3


def initial(variable: Variable, seed: int) -> Tensor:
    """What a variable begins with: kernels as He et al. draw them, everything else 0 or 1."""
    if variable.use == "kernel":
        bound = sqrt(6 / prod(variable.shape[:-1]))
        return tf.random.stateless_uniform(variable.shape, seed=(seed, 1), minval=-bound, maxval=bound)
    return tf.ones(variable.shape) if variable.use in ("scale", "variance") else tf.zeros(variable.shape)


def examples(architecture: Architecture, batch: int, image_size: int | None) -> tuple[Tensor, Tensor]:
    """A batch of made-up images and their classes: the same ones everywhere."""
    images = tf.random.stateless_uniform((batch, *architecture.image(image_size)), seed=(7, 2))
    classes = tf.random.stateless_uniform((batch,), seed=(7, 3), maxval=architecture.classes, dtype=tf.int32)
    return images, classes


def loss(
    architecture: Architecture, variables: Sequence[Any], images: Tensor, classes: Tensor
) -> tuple[Tensor, "Moments"]:
    """The mean cross entropy of a batch, and what its batch normalizations saw.

    `variables` has a tensor or variable for each that the architecture has, in its order.
    """
    left = iter(variables)
    moments: Moments = []
    logits = _chain(architecture.layers, left, images, moments)
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=classes, logits=logits)
    return tf.reduce_mean(each), moments


Moments = list[tuple[Any, Tensor]]
"""Moving statistics, each with what a batch adds to it."""


def drift(moving: Any, seen: Tensor) -> Tensor:
    """What is to be taken from a moving statistic after a batch."""
    return (moving - seen) * (1 - _DECAY)


def _chain(layers: Sequence[Layer], left: Iterator[Any], x: Tensor, moments: Moments) -> Tensor:
    for layer in layers:
        if isinstance(layer, Sum | Concat):
            parts = [_chain(branch, left, x, moments) for branch in layer.branches]
            x = tf.add_n(parts) if isinstance(layer, Sum) else tf.concat(parts, axis=-1)
        else:
            x = _one(layer, left, x, moments)
    return x


def _one(layer: Layer, left: Iterator[Any], x: Tensor, moments: Moments) -> Tensor:
    match layer:
        case Conv(stride=stride, padding=padding, bias=bias):
            x = tf.nn.conv2d(x, next(left), strides=stride, padding=padding)
            return tf.nn.bias_add(x, next(left)) if bias else x
        case Dense():
            return tf.nn.bias_add(tf.matmul(x, next(left)), next(left))
        case BatchNorm():
            return _normalize(left, x, moments)
        case Pool(kind=kind, size=size, stride=stride, padding=padding):
            return tf.nn.pool(x, [size] * 2, kind, strides=[stride] * 2, padding=padding)
        case Relu():
            return tf.nn.relu(x)
        case LocalResponse():
            return tf.nn.local_response_normalization(x, depth_radius=4, bias=1.0, alpha=0.001 / 9, beta=0.75)
        case Mean():
            return tf.reduce_mean(x, axis=(1, 2))
        case Flatten():
            return tf.reshape(x, (-1, prod(x.shape[1:])))
        case _:
            raise AssertionError(layer)


def _normalize(left: Iterator[Any], x: Tensor, moments: Moments) -> Tensor:
    scale, offset, mean, variance = (next(left) for _ in range(4))
    x, seen_mean, seen_variance = tf.compat.v1.nn.fused_batch_norm(x, scale, offset, epsilon=_EPSILON)
    moments += [(mean, seen_mean), (variance, seen_variance)]
    return x
