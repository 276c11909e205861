"""Workloads say which processes they have, refuse what makes no sense, and import nothing that trains."""

import itertools
import subprocess
import sys

import msgspec
import pytest

from tensorwire import registry
from tensorwire.errors import SpecError
from tensorwire.report.workload import examples_per_second, percentile
from tensorwire.spec import options
from tensorwire.workloads import Step, Task, Training, Workload, reporting

OURS = ("tf-ps", "tf-ring", "tf2-ps")
ROLES = {
    "tf-ps": ("ps 0", "ps 1", "worker 0", "worker 1", "worker 2"),
    "tf-ring": ("worker 0", "worker 1", "worker 2"),
    "tf2-ps": ("chief 0", "worker 0", "worker 1", "worker 2", "ps 0", "ps 1"),
}


def tasks_of(workload: Workload, **words: object) -> tuple[tuple[Task, ...], Training]:
    config = options(workload.config, workload.name, words)
    return workload.tasks(config, range(20_000, 20_000 + workload.ports(config))), config


@pytest.mark.parametrize("name", registry.names("workload"))
def test_every_workload_can_be_run_with_its_defaults(name: str) -> None:
    workload = registry.workload(name)
    tasks, config = tasks_of(workload)
    assert workload.name == name
    assert len({task.role for task in tasks}) == len(tasks) >= 1
    assert any(task.reports for task in tasks)
    assert not all(task.endless for task in tasks)
    assert config == workload.config()


@pytest.mark.parametrize("name", OURS)
def test_roles_ports_and_what_each_task_is_told(name: str) -> None:
    servers = {} if name == "tf-ring" else {"ps": 2}
    tasks, config = tasks_of(registry.workload(name), workers=3, **servers)
    assert tuple(task.role for task in tasks) == ROLES[name]
    addresses = set()
    for task in tasks:
        assert task.argv[:2] == (sys.executable, "-m")
        given = reporting.given(task.argv[3:])
        assert f"{given.kind} {given.index}" == task.role
        assert given.training(type(config)) == config
        assert len(given.peers[given.kind]) > given.index
        addresses |= set(itertools.chain.from_iterable(given.peers.values()))
    assert addresses == {f"127.0.0.1:{20_000 + number}" for number in range(len(tasks))}


def test_who_reports_and_who_serves_for_ever() -> None:
    def of(name: str) -> dict[str, tuple[bool, bool]]:
        return {task.role: (task.reports, task.endless) for task in tasks_of(registry.workload(name), workers=2)[0]}

    trains, serves = (True, False), (False, True)
    assert of("tf-ps") == {"ps 0": serves, "worker 0": trains, "worker 1": trains}
    assert of("tf2-ps") == {"chief 0": trains, "worker 0": serves, "worker 1": serves, "ps 0": serves}
    assert of("tf-ring") == {"worker 0": trains, "worker 1": trains}


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("tf-ring", {"ps": 1}, "workload tf-ring: unknown option 'ps'"),
        ("tf-ps", {"ps": 0}, "ps is 0, but must be from 1 to 64"),
        ("tf-ps", {"ps": 3}, "ps is 3, but must be at most 2: softmax has no more variables to place"),
        ("tf2-ps", {"model": "resnet15"}, "unknown model 'resnet15'; did you mean resnet152"),
        ("tf2-ps", {"workers": 65}, "workers is 65, but must be from 1 to 64"),
        ("tf-ps", {"model": "inception-v4", "image_size": 64}, "image-size is 64, but must be larger"),
        ("tf-ps", {"image_size": 4}, "image-size is 4, but must be from 8 to 4096"),
        ("tf-ps", {"warmup_steps": -1}, "warmup-steps is -1"),
        ("tf-ps", {"steps": 0}, "steps is 0"),
        ("tf-ps", {"batch": "many"}, "batch is 'many', but must be a whole number"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, words: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        options(registry.workload(name).config, f"workload {name}", words)


def test_naming_workloads_imports_nothing_that_trains() -> None:
    program = (
        "import sys; from tensorwire import registry\n"
        "for name in registry.names('workload'): registry.workload(name)\n"
        "print(sorted({'tensorflow', 'torch', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_examples_per_second_are_summed_over_tasks() -> None:
    first = [Step(step=3, ns=500_000_000, examples=8), Step(step=4, ns=1_500_000_000, examples=8)]
    second = [Step(step=3, ns=250_000_000, examples=8)]
    assert examples_per_second([first]) == 8
    assert examples_per_second([first, second]) == 40


def test_percentiles_are_values_that_were_seen() -> None:
    assert [percentile([40, 10, 30, 20], percent) for percent in (0, 25, 50, 51, 99, 100)] == [10, 10, 20, 30, 40, 40]
    assert percentile([7], 50) == 7
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_a_report_is_read_as_it_was_written() -> None:
    program = (
        "import json, sys\nfrom tensorwire.workloads.reporting import Report\n"
        "report = Report.here(); report.model('m', [8, 4], 3, [2])\n"
        "for number in report.timed(2, 5): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    first, *steps = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    assert first == {"model": "m", "parameters": 3, "bytes": 12, "variables": [8, 4], "other": [2]}
    assert [(each["step"], each["examples"]) for each in steps] == [(0, 5), (1, 5)]
