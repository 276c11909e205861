"""One job of several processes on this machine: starts its tasks, hears their reports, and ends them all."""

import contextlib
import os
import select
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec

import msgspec

from tensorwire import scratch
from tensorwire.errors import LaunchError, TaskFailed, WorkloadUnavailable
from tensorwire.launchers import Command, Exit
from tensorwire.launchers.local import LocalJob
from tensorwire.ports import reserved
from tensorwire.units import Nanoseconds
from tensorwire.workloads import Line, Model, Step, Task, Training, Workload, read_line

_TICK_SECONDS = 0.05
_PIPE_BYTES = 65536
_TITLES = {"tensorflow": "TensorFlow", "torch": "PyTorch"}

Told = Callable[[str, Line], None]


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """What a job reported: its model, and the steps of each task that reports, warm-up included, by role."""

    roles: tuple[str, ...]
    model: Model
    steps: dict[str, tuple[Step, ...]]


def missing(workload: Workload) -> str | None:
    """What must be installed before the workload can run, in a sentence; None when everything is there."""
    if not workload.extra or find_spec(workload.extra) is not None:
        return None
    title = _TITLES.get(workload.extra, workload.extra)
    return f"workload {workload.name} needs {title}: pip install 'tensorwire[{workload.extra}]'"


def train(workload: Workload, config: Training, timeout_ns: Nanoseconds, told: Told) -> Trained:
    """Runs a workload to its end; `told` hears what is reported, as it comes, with the role that reports.

    Raises WorkloadUnavailable for what is not installed, AddressInUse when ports are lacking, TaskFailed for a task
    that failed, LaunchError when the job is not done in time. However it ends, no process of it is left.
    """
    if lacking := missing(workload):
        raise WorkloadUnavailable(lacking)
    with reserved(workload.ports(config)) as ports:
        return run(workload.tasks(config, ports), timeout_ns, told)


def run(tasks: Sequence[Task], timeout_ns: Nanoseconds, told: Told) -> Trained:
    """Runs tasks until all are done that are not endless; raises as `train` does."""
    with scratch.directory() as directory, contextlib.ExitStack() as pipes, LocalJob(directory) as job:
        watch = _Watch(tasks, job, timeout_ns)
        reports = [_start(number, task, job, pipes) for number, task in enumerate(tasks)]
        known = [report for report in reports if report]
        while not watch.done:
            _wait(known)
            for report in known:
                report.hear(told)
            watch.look({report.role: report.steps for report in known})
        for report in known:
            report.hear(told)
        return _summary(tasks, known)


class _Report:
    """What one task reported so far."""

    def __init__(self, role: str, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.role = role
        self.descriptor = descriptor
        self.ended = False
        self.model: Model | None = None
        self.steps: list[Step] = []
        self._rest = b""

    def hear(self, told: Told) -> None:
        """Takes in what has come. Raises LaunchError for something that is no line of a report."""
        for text in self._lines():
            try:
                line = read_line(text)
            except msgspec.MsgspecError as wrong:
                said = text[:200].decode(errors="replace")
                raise LaunchError(f"{self.role} reported {said!r}, which is no line of a report: {wrong}") from wrong
            match line:
                case Model():
                    self.model = line
                case Step():
                    self.steps.append(line)
            told(self.role, line)

    def _lines(self) -> Iterator[bytes]:
        while not self.ended:
            try:
                came = os.read(self.descriptor, _PIPE_BYTES)
            except BlockingIOError:
                return
            self.ended = not came
            *whole, self._rest = (self._rest + came).split(b"\n")
            yield from whole


class _Watch:
    """Knows which tasks the job still waits for, and whom to blame."""

    def __init__(self, tasks: Sequence[Task], job: LocalJob, timeout_ns: Nanoseconds) -> None:
        self._tasks = tasks
        self._job = job
        self._timeout_ns = timeout_ns
        self._deadline = time.monotonic() + timeout_ns / 1e9
        self._awaited = {number for number, task in enumerate(tasks) if not task.endless}

    @property
    def done(self) -> bool:
        return not self._awaited

    def look(self, steps: dict[str, list[Step]]) -> None:
        """Raises TaskFailed for a task that failed, or ended too early, and LaunchError when time is up."""
        ended = self._job.exits()
        if failed := sorted((each for each in ended if self._is_failure(each)), key=self._blame):
            raise TaskFailed(self._tasks[failed[0].rank].role, failed[0].status, failed[0].stderr)
        self._awaited -= {each.rank for each in ended}
        if self._awaited and time.monotonic() > self._deadline:
            raise LaunchError(self._overdue(steps))

    def _is_failure(self, ended: Exit) -> bool:
        return ended.status != 0 or self._tasks[ended.rank].endless

    def _blame(self, ended: Exit) -> tuple[bool, bool, int]:
        """Who was killed comes before who failed, and who serves before who is served."""
        return ended.status >= 0, not self._tasks[ended.rank].endless, ended.rank

    def _overdue(self, steps: dict[str, list[Step]]) -> str:
        late = [self._tasks[number] for number in sorted(self._awaited)]
        told = [f"{task.role} (after {_steps(len(steps.get(task.role, [])))})" for task in late]
        return f"not done within {self._timeout_ns / 1e9:g} s: {', '.join(told)}; --timeout gives more"


def _start(number: int, task: Task, job: LocalJob, pipes: contextlib.ExitStack) -> _Report | None:
    """Starts a task, and opens its report if it has one."""
    environment = {**task.environment, "TENSORWIRE_ROLE": task.role}
    if not task.reports:
        job.start(Command(rank=number, role=task.role, argv=task.argv, environment=environment))
        return None
    reading, writing = os.pipe()
    pipes.callback(os.close, reading)
    try:
        environment["TENSORWIRE_REPORT_FD"] = str(writing)
        job.start(Command(rank=number, role=task.role, argv=task.argv, environment=environment), (writing,))
    finally:
        os.close(writing)
    return _Report(task.role, reading)


def _wait(reports: Sequence[_Report]) -> None:
    """Until something is reported, or a moment has passed."""
    poll = select.poll()
    for report in reports:
        if not report.ended:
            poll.register(report.descriptor, select.POLLIN)
    poll.poll(_TICK_SECONDS * 1000)


def _summary(tasks: Sequence[Task], reports: Sequence[_Report]) -> Trained:
    """Raises LaunchError when a task ended well without having trained."""
    for report in reports:
        if not report.steps:
            raise LaunchError(f"{report.role} ended without having reported a step")
    models = [report.model for report in reports if report.model]
    if not models:
        raise LaunchError("the job ended without having reported what it trains")
    return Trained(
        roles=tuple(task.role for task in tasks),
        model=models[0],
        steps={report.role: tuple(report.steps) for report in reports},
    )


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"
