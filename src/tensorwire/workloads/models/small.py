"""The models of TensorFlow's first tutorials."""

from tensorwire.workloads.models import Architecture, Conv, Dense, Flatten, LocalResponse, Pool, Relu

softmax = Architecture(
    name="softmax",  # MNIST for ML Beginners: one layer, 7,850 parameters
    layers=(Flatten(), Dense(10)),
    image_size=28,
    channels=1,
    classes=10,
)
cnn = Architecture(
    name="cnn",  # the CIFAR-10 tutorial's, on its crops of 24 pixels: 1,068,298 parameters
    layers=(
        *(Conv(64, (5, 5)), Relu(), Pool("MAX", 3, 2, "SAME"), LocalResponse()),
        *(Conv(64, (5, 5)), Relu(), LocalResponse(), Pool("MAX", 3, 2, "SAME")),
        *(Flatten(), Dense(384), Relu(), Dense(192), Relu(), Dense(10)),
    ),
    image_size=24,
    classes=10,
)
