"""The report for people: what was run, aligned tables no wider than the terminal, and notes."""

from collections.abc import Sequence

from rich.console import Console

from tensorwire.metrics import CATALOGUE
from tensorwire.report import Row, collective_how, rows, shows
from tensorwire.report.columns import Column, value_columns
from tensorwire.report.detail import show_detail
from tensorwire.report.drawing import show_columns, show_line, show_words
from tensorwire.report.heading import heading, settings, title
from tensorwire.report.notes import cut_short, failures, notes
from tensorwire.result import Result


def table(result: Result, console: Console, detail: bool = False, shown: Sequence[str] = ()) -> None:
    """Prints the result. `shown` are names of metrics; those that the benchmark shows unless given.

    Raises SpecError for an unknown metric.
    """
    shown = shown or shows(result)
    found = rows(result)
    show_line(title(result), console, "bold")
    effective = [("settings", settings(result))] if detail else []
    show_words(heading(result, found) + effective, console, dim=0)
    show_columns(_row_columns(found, collective_how(result)), value_columns(found, shown), console)
    for line in failures(found) + cut_short(result, found):
        show_line(line, console, "red")
    for line in notes(result, found, tuple(CATALOGUE) if detail else shown):
        show_line(line, console, "dim")
    if detail:
        show_detail(result, found, console)


def _row_columns(found: Sequence[Row], how: str) -> list[Column]:
    """What stands before the numbers; how many repetitions have values, unless all do."""
    first = _of_collectives(found, how) or [
        Column(header=("size",), cells=tuple(row.size for row in found)),
        Column(header=("bufs",), cells=tuple(str(row.buffers) for row in found)),
    ]
    if any(row.measured < row.repetitions for row in found):
        runs = tuple(f"{row.measured}/{row.repetitions}" for row in found)
        first.append(Column(header=("runs",), cells=runs))
    return first


def _of_collectives(found: Sequence[Row], how: str) -> list[Column]:
    """The columns of nccl-tests, and whether the stack has the operation itself; none where ranks call each other."""
    asked = [row.collective for row in found if row.collective]
    if not asked:
        return []
    first = [
        Column(header=("size", "B"), cells=tuple(str(each.total) for each in asked)),
        Column(header=("count",), cells=tuple(str(each.count) for each in asked)),
        Column(header=("type",), cells=("float",) * len(asked)),
        Column(header=("redop",), cells=tuple(each.reduction for each in asked)),
    ]
    if any(each.root >= 0 for each in asked):
        first.append(Column(header=("root",), cells=tuple(str(each.root) for each in asked)))
    return [*first, Column(header=("how",), cells=(how.partition(" ")[0],) * len(asked), justify="left")]
