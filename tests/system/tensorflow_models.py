"""A program: every model computes a loss and gradients for all that is trained; Keras counts the same parameters."""

import math
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import tensorflow as tf

from tensorwire.workloads.models import parameters, variables
from tensorwire.workloads.models.catalogue import ARCHITECTURES
from tensorwire.workloads.tf import forward

SMALL = {"alexnet": 64, "vgg16": 32, "inception-v4": 75, "resnet50": 32, "resnet152": 32}
KERAS = {"vgg16": "VGG16", "resnet50": "ResNet50", "resnet152": "ResNet152"}


def step(name, held, needed):
    architecture = ARCHITECTURES[name]
    images, classes = forward.examples(architecture, 2, SMALL.get(name))
    with tf.GradientTape() as tape:
        loss, moments = forward.loss(architecture, held, images, classes)
    trained = [each for each, variable in zip(held, needed, strict=True) if variable.trained]
    gradients = tape.gradient(loss, trained)
    assert all(gradient is not None for gradient in gradients), name
    assert [each.shape for each in gradients] == [each.shape for each in trained], name
    assert len(moments) == sum(not variable.trained for variable in needed), name
    for variable, gradient in zip(trained, gradients, strict=True):
        variable.assign_sub(forward.LEARNING_RATE * gradient)
    return float(loss)


for name, architecture in ARCHITECTURES.items():
    needed = variables(architecture, SMALL.get(name))
    held = [tf.Variable(forward.initial(variable, n), trainable=variable.trained) for n, variable in enumerate(needed)]
    losses = [step(name, held, needed) for _ in range(5 if name in ("softmax", "cnn") else 1)]
    assert all(map(math.isfinite, losses)), (name, losses)
    assert losses == sorted(losses, reverse=True), (name, losses)
    print(name, losses, flush=True)

for name, theirs in KERAS.items():
    model = getattr(tf.keras.applications, theirs)(weights=None)
    trained = sum(math.prod(each.shape) for each in model.trainable_weights)
    needed = variables(ARCHITECTURES[name])
    assert (model.count_params(), trained) == (sum(each.count for each in needed), parameters(needed)), name
    shapes = sorted(tuple(each.shape) for each in model.weights)
    assert shapes == sorted(variable.shape for variable in needed), name
