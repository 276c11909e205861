"""A task of tf-ps: python -m tensorwire.workloads.tf.graph_servers --config JSON --role ROLE --peers JSON.

A step of a worker is one run of its session: every trained variable is read from its server, every gradient is sent
back, and the server subtracts it. Moving statistics stay on the servers; with `moving_statistics` each worker also
sends what its batch saw. Images are made once, in the worker.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tensorwire.workloads.models import Variable, variables
from tensorwire.workloads.models.catalogue import ARCHITECTURES
from tensorwire.workloads.placement import by_size
from tensorwire.workloads.reporting import Given, Report, given
from tensorwire.workloads.tf import Servers, forward
from tensorwire.workloads.tf.job import check_finite, describe, serve, server, threads

v1 = tf.compat.v1
_POLL_SECONDS = 1


def main() -> None:
    """Serves for ever, or trains and reports, as the role says."""
    told = given()
    if told.kind == "ps":
        serve(told)
    else:
        _train(told, told.training(Servers), Report.here())


def _train(told: Given, config: Servers, report: Report) -> None:
    v1.disable_eager_execution()
    architecture = ARCHITECTURES[config.model]
    needed = variables(architecture, config.image_size)
    here = server(told, v1.ConfigProto())
    with tf.device(f"/job:worker/task:{told.index}/device:CPU:0"):
        held = _hold(needed, config.ps)
        images, classes = (_local(each) for each in forward.examples(architecture, config.batch, config.image_size))
        loss, moments = forward.loss(architecture, held, images, classes)
        step = _update(loss, held, needed, moments if config.moving_statistics else [])
    if told.index == 0:
        describe(report, architecture, needed)
    with _session(here.target, told.index) as session:
        for _ in report.timed(config.warmup_steps + config.steps, config.batch):
            _, seen = session.run((step, loss))
            check_finite(seen)


def _hold(needed: Sequence[Variable], servers: int) -> list[Any]:
    """The variables, each on its server."""
    held = []
    for number, (variable, place) in enumerate(
        zip(needed, by_size([each.bytes for each in needed], servers), strict=True)
    ):
        with tf.device(f"/job:ps/task:{place}/device:CPU:0"):
            begin = forward.initial(variable, number)
            held.append(
                v1.Variable(begin, name=f"{variable.use}-{number}", trainable=variable.trained, use_resource=False)
            )
    return held


def _local(value: Any) -> Any:
    return v1.Variable(value, trainable=False, collections=[v1.GraphKeys.LOCAL_VARIABLES], use_resource=False)


def _update(loss: Any, held: Sequence[Any], needed: Sequence[Variable], moments: forward.Moments) -> Any:
    """One step of plain gradient descent, each variable updated on its own server."""
    trained = [each for each, variable in zip(held, needed, strict=True) if variable.trained]
    pairs = zip(tf.gradients(loss, trained), trained, strict=True)
    updates = [v1.train.GradientDescentOptimizer(forward.LEARNING_RATE).apply_gradients(pairs)]
    for moving, seen in moments:
        with tf.device(moving.device):
            updates.append(moving.assign_sub(forward.drift(moving, seen)))
    return tf.group(*updates)


def _session(target: str, index: int) -> Any:
    """A session that knows the servers and this worker alone; the first worker initializes, the others wait for it."""
    config = threads(v1.ConfigProto(device_filters=["/job:ps", f"/job:worker/task:{index}"]))
    manager = v1.train.SessionManager(
        local_init_op=v1.local_variables_initializer(),
        ready_op=v1.report_uninitialized_variables(v1.global_variables()),
        recovery_wait_secs=_POLL_SECONDS,
    )
    if index == 0:
        return manager.prepare_session(target, init_op=v1.global_variables_initializer(), config=config)
    return manager.wait_for_session(target, config=config)


if __name__ == "__main__":
    main()
