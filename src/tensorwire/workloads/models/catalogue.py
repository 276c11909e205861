"""The models by name."""

from tensorwire.workloads.models import Architecture
from tensorwire.workloads.models.chains import alexnet, vgg16
from tensorwire.workloads.models.inception import inception_v4
from tensorwire.workloads.models.resnet import resnet50, resnet152
from tensorwire.workloads.models.small import cnn, softmax

ARCHITECTURES: dict[str, Architecture] = {
    each.name: each for each in (softmax, cnn, alexnet, vgg16, inception_v4, resnet50, resnet152)
}
