"""What the tasks of all TensorFlow jobs have in common."""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tensorwire.workloads.models import Architecture, Variable, parameters
from tensorwire.workloads.reporting import Given, Report

_INTER_OP_THREADS = 4  # a server whose few threads all wait for tensors would serve nobody


def threads(config: Any) -> Any:
    """A session's config with threads that do for a machine of few cores."""
    config.inter_op_parallelism_threads = _INTER_OP_THREADS
    return config


def serve(given: Given) -> None:
    """A TensorFlow server at this task's address, for ever."""
    server(given, tf.compat.v1.ConfigProto()).join()


def server(given: Given, config: Any) -> Any:
    """A TensorFlow server at this task's address."""
    cluster = tf.train.ClusterSpec(given.peers)
    return tf.distribute.Server(
        cluster, job_name=given.kind, task_index=given.index, protocol="grpc", config=threads(config)
    )


def describe(report: Report, architecture: Architecture, found: Sequence[Variable]) -> None:
    """Reports what is trained."""
    trained = [each.bytes for each in found if each.trained]
    report.model(architecture.name, trained, parameters(found), [each.bytes for each in found if not each.trained])


def check_finite(loss: Any) -> None:
    """Training that has diverged is no training: fails the task."""
    if not math.isfinite(float(loss)):
        raise SystemExit(f"the loss became {float(loss)}")
