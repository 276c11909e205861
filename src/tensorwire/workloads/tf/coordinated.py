"""A task of tf2-ps: python -m tensorwire.workloads.tf.coordinated --config JSON --role ROLE --peers JSON.

In a step the chief schedules one function on each worker and waits for all of them. The function reads every variable
from its server, computes, and has each server subtract its gradients. Images are made once, in each worker.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import tensorflow as tf

from tensorwire.workloads.models import Architecture, Variable, variables
from tensorwire.workloads.models.catalogue import ARCHITECTURES
from tensorwire.workloads.placement import by_size
from tensorwire.workloads.reporting import Given, Report, given
from tensorwire.workloads.tf import Servers, forward
from tensorwire.workloads.tf.job import check_finite, describe, serve


def main() -> None:
    """Serves for ever, or schedules and reports, as the role says."""
    told = given()
    if told.kind == "chief":
        _coordinate(told, told.training(Servers), Report.here())
    else:
        serve(told)


def _coordinate(told: Given, config: Servers, report: Report) -> None:
    architecture = ARCHITECTURES[config.model]
    needed = variables(architecture, config.image_size)
    strategy = _strategy(told)
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    held = _hold(strategy, needed, config.ps)
    step = _step(architecture, held, needed, config.moving_statistics)
    data = iter(coordinator.create_per_worker_dataset(lambda: _data(architecture, config)))
    describe(report, architecture, needed)
    for _ in report.timed(config.warmup_steps + config.steps, config.batch * config.workers):
        losses = [coordinator.schedule(step, args=(data,)) for _ in range(config.workers)]
        coordinator.join()
    for loss in losses:
        check_finite(loss.fetch())


def _strategy(told: Given) -> Any:
    task = {"type": told.kind, "index": told.index}
    os.environ["TF_CONFIG"] = msgspec.json.encode({"cluster": told.peers, "task": task}).decode()
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver(rpc_layer="grpc")
    return tf.distribute.ParameterServerStrategy(resolver)


def _hold(strategy: Any, needed: Sequence[Variable], servers: int) -> list[Any]:
    """The variables, each on its server: the innermost creator has the last word, after the strategy's turn-taking."""
    held = []
    for number, (variable, place) in enumerate(
        zip(needed, by_size([each.bytes for each in needed], servers), strict=True)
    ):
        device = f"/job:ps/task:{place}/device:CPU:0"
        with tf.variable_creator_scope(_on(device)), strategy.scope():
            held.append(tf.Variable(lambda v=variable, n=number: forward.initial(v, n), trainable=variable.trained))
    return held


def _on(device: str) -> Callable[..., Any]:
    def create(next_creator: Callable[..., Any], **how: Any) -> Any:
        with tf.device(device):
            return next_creator(**how)

    return create


def _data(architecture: Architecture, config: Servers) -> Any:
    batch = forward.examples(architecture, config.batch, config.image_size)
    return tf.data.Dataset.from_tensors(batch).repeat()


def _step(architecture: Architecture, held: Sequence[Any], needed: Sequence[Variable], moving_statistics: bool) -> Any:
    trained = [each for each, variable in zip(held, needed, strict=True) if variable.trained]

    def step(data: Any) -> Any:
        images, classes = next(data)
        with tf.GradientTape() as tape:
            loss, moments = forward.loss(architecture, held, images, classes)
        for variable, gradient in zip(trained, tape.gradient(loss, trained), strict=True):
            variable.assign_sub(forward.LEARNING_RATE * gradient)
        for moving, seen in moments if moving_statistics else []:
            moving.assign_sub(forward.drift(moving, seen))
        return loss

    return tf.function(step)


if __name__ == "__main__":
    main()
