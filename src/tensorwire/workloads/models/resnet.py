"""Residual networks (arXiv 1512.03385), as in Keras: convolutions have biases, the first of a block the stride."""

from tensorwire.workloads.models import Architecture, BatchNorm, Conv, Dense, Layer, Mean, Pool, Relu, Sum


def _normalized(filters: int, size: int, stride: int = 1) -> tuple[Layer, ...]:
    return Conv(filters, (size, size), stride), BatchNorm()


def _block(filters: int, stride: int, shortcut: tuple[Layer, ...]) -> tuple[Layer, ...]:
    inner = (*_normalized(filters, 1, stride), Relu(), *_normalized(filters, 3), Relu(), *_normalized(4 * filters, 1))
    return Sum((shortcut, inner)), Relu()


def _stage(filters: int, count: int, stride: int) -> tuple[Layer, ...]:
    first = _block(filters, stride, _normalized(4 * filters, 1, stride))
    return first + _block(filters, 1, ()) * (count - 1)


def _resnet(name: str, counts: tuple[int, int, int, int]) -> Architecture:
    stages = (_stage(64 << i, count, 1 if i == 0 else 2) for i, count in enumerate(counts))
    return Architecture(
        name=name,
        layers=(
            *(*_normalized(64, 7, 2), Relu(), Pool("MAX", 3, 2, "SAME")),
            *(layer for stage in stages for layer in stage),
            *(Mean(), Dense(1000)),
        ),
        image_size=224,
        classes=1000,
    )


resnet50 = _resnet("resnet50", (3, 4, 6, 3))
resnet152 = _resnet("resnet152", (3, 8, 36, 3))
