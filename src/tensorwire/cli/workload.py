"""tensorwire workload: real training jobs, to be captured and measured."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click
import msgspec

from tensorwire import cluster, registry, spec
from tensorwire.cli import catalogue
from tensorwire.cli.flags import options as read_options
from tensorwire.report import workload as report
from tensorwire.units import parse_duration
from tensorwire.workloads import Line, Model, Step, Training

_FORMAT = click.option(
    "--format", "format_", type=click.Choice(["table", "json"]), default="table", help="[default: table]"
)
_FLAGS = (
    click.option("--model", help="What is trained (tensorwire workload list).", metavar="NAME"),
    click.option("--ps", help="Parameter servers, where the workload has them.", metavar="N"),
    click.option("--workers", help="Workers.", metavar="N"),
    click.option("--bucket-mb", help="MiB in one all-reduce at most, where gradients are all-reduced.", metavar="N"),
    click.option("--batch", help="Examples in a step of one worker.", metavar="N"),
    click.option("--image-size", help="Pixels of a side.  [default: the model's]", metavar="N"),
    click.option("--steps", help="Steps of each worker that count.", metavar="N"),
    click.option("--warmup-steps", help="Steps before them that do not.", metavar="N"),
)


@click.group("workload", short_help="Run real training jobs, to capture or measure.")
def command() -> None:
    """Workloads: real training jobs of several processes on this machine, on data that is made on the spot."""


@command.command("list")
@_FORMAT
def list_(format_: str) -> None:
    """List the workloads, with what can be asked of them."""
    if format_ == "table":
        catalogue.show(("workloads",))
        return
    known = [registry.workload(name) for name in registry.names("workload")]
    rows = [
        {"name": each.name, "summary": each.summary, "defaults": each.config(), "missing": cluster.missing(each)}
        for each in known
    ]
    click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())


def _flags(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_FLAGS):
        function = option(function)
    return function


@command.command("run")
@click.argument("name", metavar="WORKLOAD")
@_flags
@click.option("-o", "--option", "more", multiple=True, metavar="KEY=VALUE", help="Any other option of the workload.")
@click.option("--timeout", default="30m", help="The longest that the job may take.  [default: 30m]", metavar="TIME")
@_FORMAT
def run(name: str, more: tuple[str, ...], timeout: str, format_: str, **values: str | None) -> None:
    """Run WORKLOAD (tensorwire workload list) to its end and print how fast it trained.

    To see what it sends: tensorwire capture -o job.profile.json -- tensorwire workload run WORKLOAD ...
    """
    workload = registry.workload(name)
    words = {word: value for word, value in values.items() if value is not None}
    config = spec.options(workload.config, f"workload {name}", {**words, **read_options(more)})
    longest = parse_duration(timeout, "timeout")
    with _progress(config) as told:
        trained = cluster.train(workload, config, longest, told)
    ran = report.Ran(workload=name, config=config, roles=trained.roles, model=trained.model, steps=trained.steps)
    if format_ == "json":
        click.echo(report.as_json(ran))
    else:
        from rich.console import Console

        report.show(ran, Console())


@contextlib.contextmanager
def _progress(config: Training) -> Iterator[Callable[[str, Line], None]]:
    """A bar on a terminal; elsewhere a line when the model is there and training begins."""
    if not sys.stderr.isatty():
        yield _tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"))
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task("starting the tasks", total=config.warmup_steps + config.steps)
        furthest = 0

        def told(role: str, line: Line) -> None:
            nonlocal furthest
            match line:
                case Model():
                    bar.update(task, description=f"training {line.model}")
                case Step():
                    furthest = max(furthest, line.step + 1)
                    bar.update(task, completed=furthest)
            bar.refresh()

        bar.refresh()
        yield told


def _tell(role: str, line: Line) -> None:
    if isinstance(line, Model):
        click.echo(f"{role}: training {line.model}, {line.parameters:,} parameters", err=True)
