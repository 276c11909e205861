"""How a result is printed: the flags that `run` and `show` share."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click
import msgspec

from tensorwire.result import Result


class How(msgspec.Struct, frozen=True, kw_only=True):
    """A format, and whether per-rank and percentile details are wanted (tables only)."""

    format: str
    detail: bool

    def check(self, result: Result) -> None:
        """Raises SpecError before anything is measured, if the format has no place for such a result."""
        if self.format == "osu":
            from tensorwire.report import osu

            osu.check(result)

    def print(self, *results: Result) -> None:
        """On stdout; nothing for a result without a single measurement or failure. Tables of several are merged."""
        known = [each for each in results if any(run.measurements or run.failures for run in each.repetitions)]
        if known:
            _PRINTERS[self.format](known, self.detail)


def how_to_show(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a click command --format and --detail, and the function a `show` in their place."""

    @click.option("--format", "format_", type=click.Choice(list(_PRINTERS)), default="table", help="[default: table]")
    @click.option("--detail", is_flag=True, help="Percentiles, each rank, and the course over time.")
    @wraps(command)
    def with_how(*args: Any, format_: str, detail: bool, **kwargs: Any) -> Any:
        return command(*args, show=How(format=format_, detail=detail), **kwargs)

    return with_how


def _table(results: list[Result], detail: bool) -> None:
    from rich.console import Console

    from tensorwire.report.overview import overview
    from tensorwire.report.table import table

    if len(results) > 1 and not detail:
        overview(results, Console())
    else:
        for result in results:
            table(result, Console(), detail=detail)


def _json(results: list[Result], detail: bool) -> None:
    from tensorwire.report.data import as_json

    click.echo(as_json(*results))


def _csv(results: list[Result], detail: bool) -> None:
    from tensorwire.report.data import as_csv

    click.echo(as_csv(*results), nl=False)


def _osu(results: list[Result], detail: bool) -> None:
    from tensorwire.report.osu import osu

    for result in results:
        click.echo(osu(result), nl=False)


def _nothing(results: list[Result], detail: bool) -> None:
    """The result file is enough."""


_PRINTERS = {"table": _table, "json": _json, "csv": _csv, "osu": _osu, "none": _nothing}
