"""How fast a workload trained: computed from the steps that count, for people and programs."""

import math
from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console

from tensorwire.report.columns import Column
from tensorwire.report.drawing import show_columns, show_line, show_words
from tensorwire.stats import rate
from tensorwire.units import Nanoseconds, format_duration, format_size
from tensorwire.workloads import Model, Step, Training


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """A workload that ran: what was asked for, and what its tasks reported, warm-up included."""

    workload: str
    config: Training
    roles: tuple[str, ...]
    model: Model
    steps: dict[str, tuple[Step, ...]]

    def counted(self) -> dict[str, tuple[Step, ...]]:
        """The steps after the warm-up, by role."""
        warmup = self.config.warmup_steps
        return {role: tuple(step for step in steps if step.step >= warmup) for role, steps in self.steps.items()}


def examples_per_second(steps: Iterable[Sequence[Step]]) -> float:
    """The sum over tasks of the examples in a task's steps over the time of those steps. Raises ValueError for none."""
    return math.fsum(
        rate(sum(step.examples for step in each), Nanoseconds(sum(step.ns for step in each))) for each in steps
    )


def percentile(values: Sequence[int], percent: float) -> int:
    """The smallest value that at least `percent` of the values do not exceed. Raises ValueError without values."""
    if not values:
        raise ValueError("no values have no percentile")
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def show(ran: Ran, console: Console) -> None:
    """Prints what was trained, a row for each task that reports, and one for all where there are several."""
    model = ran.model
    show_line(f"workload {ran.workload}", console, "bold")
    show_words(
        [
            ("model", f"{model.model}, {model.parameters:,} parameters"),
            ("variables", f"{len(model.variables)} trained, {format_size(model.bytes)}; {_other(model)}"),
            ("tasks", ", ".join(ran.roles)),
            ("request", _request(ran.config)),
        ],
        console,
        dim=0,
    )
    rows = _rows(ran.counted())
    show_columns([Column(header=("task",), cells=tuple(rows), justify="left")], _columns(list(rows.values())), console)


def as_json(ran: Ran) -> str:
    """The same for programs: times in nanoseconds, sizes in bytes."""
    counted = ran.counted()
    report = {
        "format": "tensorwire.workload-report",
        "workload": ran.workload,
        "config": ran.config,
        "model": ran.model,
        "tasks": ran.roles,
        "total": _numbers(list(counted.values())),
        "reports": {role: _numbers([steps]) for role, steps in counted.items()},
        "step_ns": {role: [step.ns for step in steps] for role, steps in counted.items()},
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def _numbers(tasks: Sequence[Sequence[Step]]) -> dict[str, float]:
    times = [step.ns for steps in tasks for step in steps]
    return {
        "steps": len(times),
        "examples_per_second": examples_per_second(tasks),
        **{f"step_p{percent}_ns": percentile(times, percent) for percent in (50, 90, 99)},
        "step_mean_ns": math.fsum(times) / len(times),
    }


def _rows(counted: dict[str, tuple[Step, ...]]) -> dict[str, dict[str, float]]:
    rows = {role: _numbers([steps]) for role, steps in counted.items()}
    return rows if len(rows) == 1 else {**rows, "all": _numbers(list(counted.values()))}


def _columns(rows: Sequence[dict[str, float]]) -> list[Column]:
    times = {"p50": "step_p50_ns", "p90": "step_p90_ns", "p99": "step_p99_ns", "mean": "step_mean_ns"}
    return [
        Column(header=("steps",), cells=tuple(f"{row['steps']:.0f}" for row in rows)),
        Column(header=("examples", "/s"), cells=tuple(f"{row['examples_per_second']:.1f}" for row in rows)),
        *(
            Column(header=("step", title), cells=tuple(format_duration(row[field]) for row in rows))
            for title, field in times.items()
        ),
    ]


def _other(model: Model) -> str:
    if not model.other:
        return "no others"
    return f"{len(model.other)} without a gradient, {format_size(sum(model.other))}"


def _request(config: Training) -> str:
    known = msgspec.structs.asdict(config)
    return ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in known.items() if name != "model" and value is not None
    )
