"""What processes are called: by what they were told, in a fixed order of what counts more."""

import pytest

from tensorwire.instruments.roles import names, role
from tensorwire.instruments.tap_log import Head


def head(*arguments: str, **told: str) -> Head:
    return Head(
        pid=1,
        parent_pid=0,
        start_realtime_ns=0,
        start_monotonic_ns=0,
        used=0,
        dropped=0,
        program="python",
        told=told,
        arguments=arguments,
    )


@pytest.mark.parametrize(
    ("told", "arguments", "name"),
    [
        ({"TENSORWIRE_ROLE": "ps 3", "RANK": "1"}, (), "ps 3"),
        ({"TENSORWIRE_ROLE": "  the\nchief "}, (), "the chief"),
        ({"TF_TASK": '{"type": "worker", "index": 1}', "RANK": "0"}, ("--job_name=ps",), "worker 1"),
        ({"TF_TASK": '{"type": "chief", "index": "0"}'}, (), "chief 0"),
        ({"TF_TASK": '{"type": "evaluator"}'}, (), "evaluator 0"),
        ({"TF_TASK": '{"type": "wor', "RANK": "4"}, (), "rank 4"),
        ({"JOB_NAME": "ps", "TASK_INDEX": "2"}, (), "ps 2"),
        ({}, ("python", "train.py", "--job_name=ps", "--task_index=1"), "ps 1"),
        ({}, ("python", "train.py", "--job-name", "worker", "--task-index", "3"), "worker 3"),
        ({}, ("python", "train.py", "-job_name", "worker"), "worker 0"),
        ({"OMPI_COMM_WORLD_RANK": "7"}, (), "rank 7"),
        ({"PMI_RANK": "7", "SLURM_PROCID": "1"}, (), "rank 7"),
        ({"SLURM_PROCID": "1"}, ("--epochs=3", "--job_name"), "rank 1"),
        ({"RANK": "first"}, (), ""),
        ({}, (), ""),
    ],
)
def test_the_first_that_is_told_counts(told: dict[str, str], arguments: tuple[str, ...], name: str) -> None:
    assert role(told, arguments) == name


def test_all_are_different() -> None:
    heads = [head(), head(RANK="0"), head(RANK="1"), head(RANK="0"), head(RANK="0"), head()]
    assert names(heads) == ("process 0", "rank 0", "rank 1", "rank 0 (2)", "rank 0 (3)", "process 5")
