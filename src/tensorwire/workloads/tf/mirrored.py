"""A task of tf-ring: python -m tensorwire.workloads.tf.mirrored --config JSON --role ROLE --peers JSON.

Every worker has a copy of all variables. In a step each computes gradients of its own batch, all of them are summed
over a ring, and every copy is updated alike. Images are made once, in each worker.
"""

import os
from collections.abc import Sequence
from typing import Any

import msgspec
import tensorflow as tf

from tensorwire.workloads.models import Architecture, Variable, variables
from tensorwire.workloads.models.catalogue import ARCHITECTURES
from tensorwire.workloads.reporting import Given, Report, given
from tensorwire.workloads.tf import Ring, forward
from tensorwire.workloads.tf.job import check_finite, describe


def main() -> None:
    """Trains and reports."""
    told = given()
    config = told.training(Ring)
    report = Report.here()
    architecture = ARCHITECTURES[config.model]
    needed = variables(architecture, config.image_size)
    strategy = _strategy(told)
    with strategy.scope():
        held = [
            tf.Variable(
                forward.initial(variable, number),
                trainable=variable.trained,
                synchronization=tf.VariableSynchronization.AUTO
                if variable.trained
                else tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.NONE if variable.trained else tf.VariableAggregation.MEAN,
            )
            for number, variable in enumerate(needed)
        ]
        images, classes = forward.examples(architecture, config.batch, config.image_size)
    step = _step(strategy, architecture, held, needed, config.moving_statistics)
    if told.index == 0:
        describe(report, architecture, needed)
    for _ in report.timed(config.warmup_steps + config.steps, config.batch):
        check_finite(step(images, classes))


def _strategy(told: Given) -> Any:
    task = {"type": told.kind, "index": told.index}
    os.environ["TF_CONFIG"] = msgspec.json.encode({"cluster": told.peers, "task": task}).decode()
    ring = tf.distribute.experimental.CommunicationImplementation.RING
    options = tf.distribute.experimental.CommunicationOptions(implementation=ring)
    return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)


def _step(
    strategy: Any, architecture: Architecture, held: Sequence[Any], needed: Sequence[Variable], moving_statistics: bool
) -> Any:
    trained = [each for each, variable in zip(held, needed, strict=True) if variable.trained]

    def replica(images: Any, classes: Any) -> Any:
        with tf.GradientTape() as tape:
            loss, moments = forward.loss(architecture, held, images, classes)
        gradients = tape.gradient(loss, trained)
        context = tf.distribute.get_replica_context()
        for variable, gradient in zip(trained, context.all_reduce(tf.distribute.ReduceOp.MEAN, gradients), strict=True):
            strategy.extended.update(variable, lambda v, g: v.assign_sub(forward.LEARNING_RATE * g), (gradient,))
        for moving, seen in moments if moving_statistics else []:
            moving.assign_sub(forward.drift(moving, seen))
        return loss

    def step(images: Any, classes: Any) -> Any:
        return strategy.run(replica, args=(images, classes))

    return tf.function(step)


if __name__ == "__main__":
    main()
