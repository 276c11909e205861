"""Inception-v4 (arXiv 1602.07261, figures 3 to 9), no auxiliary classifier: 42,679,816 parameters, as in timm."""

from tensorwire.workloads.models import Architecture, BatchNorm, Concat, Conv, Dense, Layer, Mean, Padding, Pool, Relu

_Chain = tuple[Layer, ...]


def _conv(filters: int, height: int, width: int, stride: int = 1, padding: Padding = "SAME") -> _Chain:
    return Conv(filters, (height, width), stride, padding, bias=False), BatchNorm(), Relu()


def _average(filters: int) -> _Chain:
    return Pool("AVG", 3, 1, "SAME"), *_conv(filters, 1, 1)


_MAX: _Chain = (Pool("MAX", 3, 2),)

_STEM: _Chain = (
    *(*_conv(32, 3, 3, 2, "VALID"), *_conv(32, 3, 3, 1, "VALID"), *_conv(64, 3, 3)),
    Concat((_MAX, _conv(96, 3, 3, 2, "VALID"))),
    Concat(
        (
            (*_conv(64, 1, 1), *_conv(96, 3, 3, 1, "VALID")),
            (*_conv(64, 1, 1), *_conv(64, 1, 7), *_conv(64, 7, 1), *_conv(96, 3, 3, 1, "VALID")),
        )
    ),
    Concat((_conv(192, 3, 3, 2, "VALID"), _MAX)),
)
_A = Concat(
    (
        _conv(96, 1, 1),
        (*_conv(64, 1, 1), *_conv(96, 3, 3)),
        (*_conv(64, 1, 1), *_conv(96, 3, 3), *_conv(96, 3, 3)),
        _average(96),
    )
)
_REDUCTION_A = Concat(
    (
        _conv(384, 3, 3, 2, "VALID"),
        (*_conv(192, 1, 1), *_conv(224, 3, 3), *_conv(256, 3, 3, 2, "VALID")),
        _MAX,
    )
)
_B = Concat(
    (
        _conv(384, 1, 1),
        (*_conv(192, 1, 1), *_conv(224, 1, 7), *_conv(256, 7, 1)),
        (*_conv(192, 1, 1), *_conv(192, 7, 1), *_conv(224, 1, 7), *_conv(224, 7, 1), *_conv(256, 1, 7)),
        _average(128),
    )
)
_REDUCTION_B = Concat(
    (
        (*_conv(192, 1, 1), *_conv(192, 3, 3, 2, "VALID")),
        (*_conv(256, 1, 1), *_conv(256, 1, 7), *_conv(320, 7, 1), *_conv(320, 3, 3, 2, "VALID")),
        _MAX,
    )
)
_FORK = Concat((_conv(256, 1, 3), _conv(256, 3, 1)))
_C = Concat(
    (
        _conv(256, 1, 1),
        (*_conv(384, 1, 1), _FORK),
        (*_conv(384, 1, 1), *_conv(448, 3, 1), *_conv(512, 1, 3), _FORK),
        _average(256),
    )
)

inception_v4 = Architecture(
    name="inception-v4",
    layers=(*_STEM, *(_A,) * 4, _REDUCTION_A, *(_B,) * 7, _REDUCTION_B, *(_C,) * 3, Mean(), Dense(1000)),
    image_size=299,
    classes=1000,
)
