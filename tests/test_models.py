"""The models are the published ones: their parameters are counted here, without any framework."""

import pytest

from tensorwire.errors import SpecError
from tensorwire.workloads.models import Architecture, Dense, Flatten, Pool, parameters, variables
from tensorwire.workloads.models.catalogue import ARCHITECTURES
from tensorwire.workloads.placement import by_size

MIB = 1 << 20
# Trained, and moving statistics beside them; each where it was published.
COUNTS = {
    "softmax": (7_850, 0),  # 784 * 10 + 10
    "cnn": (1_068_298, 0),  # TensorFlow's CIFAR-10 tutorial
    "alexnet": (61_100_840, 0),  # torchvision
    "vgg16": (138_357_544, 0),  # Keras
    "inception-v4": (42_679_816, 63_168),  # timm, Cadene's and Keras Hub's ports
    "resnet50": (25_583_592, 53_120),  # Keras: 25,636,712 in all
    "resnet152": (60_268_520, 151_424),  # Keras: 60,419,944 in all
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_those_that_were_published(name: str) -> None:
    found = variables(ARCHITECTURES[name])
    assert (parameters(found), sum(each.count for each in found if not each.trained)) == COUNTS[name]


def test_every_model_is_counted() -> None:
    assert COUNTS.keys() == ARCHITECTURES.keys()


def test_the_large_variables_of_resnet152() -> None:
    """What a capture must show: exactly 1 MiB is large."""
    sizes = [each.bytes for each in variables(ARCHITECTURES["resnet152"]) if each.trained]
    assert sum(size >= MIB for size in sizes) == 119
    assert sum(size == MIB for size in sizes) == 71


def test_only_dense_layers_depend_on_the_size_of_images() -> None:
    assert parameters(variables(ARCHITECTURES["resnet50"], 64)) == COUNTS["resnet50"][0]
    assert parameters(variables(ARCHITECTURES["vgg16"], 64)) < COUNTS["vgg16"][0]
    assert variables(ARCHITECTURES["softmax"], 8)[0].shape == (64, 10)


@pytest.mark.parametrize(("name", "size"), [("inception-v4", 64), ("alexnet", 32), ("vgg16", 16)])
def test_an_image_that_a_model_leaves_nothing_of_is_refused(name: str, size: int) -> None:
    with pytest.raises(SpecError, match=f"image-size is {size}, but must be larger: {name} has no pixel left"):
        variables(ARCHITECTURES[name], size)


def test_windows_are_counted_as_tensorflow_does() -> None:
    def left(size: int, stride: int, padding: str) -> int:
        layers = (Pool("MAX", size, stride, padding), Flatten(), Dense(1))  # type: ignore[arg-type]
        model = Architecture(name="any", layers=layers, image_size=10, channels=1, classes=1)
        return variables(model)[0].shape[0]

    assert [left(3, 2, "VALID"), left(3, 2, "SAME"), left(3, 3, "SAME"), left(10, 1, "VALID")] == [16, 25, 16, 1]


def test_variables_are_placed_by_size() -> None:
    assert by_size([4, 3, 3, 2], 1) == (0, 0, 0, 0)
    assert by_size([4, 3, 3, 2], 2) == (0, 1, 1, 0)
    sizes = [each.bytes for each in variables(ARCHITECTURES["resnet152"])]
    assert sum(sizes[::2]) / sum(sizes) == pytest.approx(0.996, abs=0.0005)  # in turns
    for servers in (2, 3, 8):
        loads = [0] * servers
        for size, server in zip(sizes, by_size(sizes, servers), strict=True):
            loads[server] += size
        assert max(loads) - min(loads) < 0.001 * sum(sizes)
