"""The large models without branches: AlexNet and VGG-16."""

from tensorwire.workloads.models import Architecture, Conv, Dense, Flatten, Layer, Pool, Relu

_HEAD: tuple[Layer, ...] = (Flatten(), Dense(4096), Relu(), Dense(4096), Relu(), Dense(1000))


def _block(filters: int, count: int) -> tuple[Layer, ...]:
    return (*((Conv(filters, (3, 3)), Relu()) * count), Pool("MAX", 2, 2))


alexnet = Architecture(
    name="alexnet",  # one tower (Krizhevsky, arXiv 1404.5997), 61,100,840 parameters as in torchvision
    layers=(
        *(Conv(64, (11, 11), stride=4), Relu(), Pool("MAX", 3, 2)),
        *(Conv(192, (5, 5)), Relu(), Pool("MAX", 3, 2)),
        *(Conv(384, (3, 3)), Relu(), Conv(256, (3, 3)), Relu(), Conv(256, (3, 3)), Relu(), Pool("MAX", 3, 2)),
        *_HEAD,
    ),
    image_size=224,
    classes=1000,
)
vgg16 = Architecture(
    name="vgg16",  # configuration D of arXiv 1409.1556, 138,357,544 parameters as in Keras
    layers=(*_block(64, 2), *_block(128, 2), *_block(256, 3), *_block(512, 3), *_block(512, 3), *_HEAD),
    image_size=224,
    classes=1000,
)
