"""Several results side by side: a table for each benchmark, a row for each point of each result."""

import re
from collections.abc import Callable, Sequence
from itertools import groupby

from rich.console import Console

from tensorwire.report import rows, shows, transport
from tensorwire.report.columns import Column, value_columns
from tensorwire.report.drawing import show_columns, show_line
from tensorwire.report.notes import cut_short, failures, notes
from tensorwire.result import Result
from tensorwire.spec import Closed, Load, Poisson, Recorded

# What tells results of one benchmark apart: a column where it differs, said above the table where it does not.
_TRAITS: dict[str, Callable[[Result], str]] = {
    "channel": lambda result: result.spec.channel,
    "transport": transport,
    "mode": lambda result: result.spec.mode,
    "ranks": lambda result: str(len(result.traffic.roles)),
    "in flight": lambda result: str(result.traffic.outstanding),
    "pin": lambda result: result.spec.placement.pin,
    "load": lambda result: _load(result.spec.load),
    "measured": lambda result: f"{result.spec.duration_ns / 1e9:g} s",
}
# The same, but not worth words where it is alike.
_MORE: dict[str, Callable[[Result], str]] = {
    "reply": lambda result: result.traffic.reply,
    "threads": lambda result: str(result.spec.threads),
    "wait": lambda result: result.spec.placement.wait,
    "malloc": lambda result: result.spec.placement.malloc,
    "congestion": lambda result: result.spec.placement.congestion or "kernel's",
    "fill": lambda result: result.spec.fill,
    "options": lambda result: " ".join(f"{name}={value}" for name, value in result.spec.options.items()) or "-",
    "host": lambda result: result.environment.host,
}


def overview(results: Sequence[Result], console: Console) -> None:
    """Prints the results; those of one benchmark that follow each other share a table."""
    said: dict[str, None] = {}  # an ordered set: each note once, below all tables
    for benchmark, group in groupby(results, lambda result: result.spec.benchmark):
        said |= dict.fromkeys(_show_table(benchmark, list(group), console))
    for line in said:
        show_line(line, console, "dim")


def _show_table(benchmark: str, results: Sequence[Result], console: Console) -> list[str]:
    """Prints one table; returns the notes that its numbers need."""
    entries = [(result, row) for result in results for row in rows(result)]
    found = [row for _, row in entries]
    shown = tuple(dict.fromkeys(name for result in results for name in shows(result)))
    traits = _TRAITS | _MORE
    differ = {name for name, trait in traits.items() if len({trait(result) for result in results}) > 1}
    alike = ", ".join(f"{name} {trait(results[0])}" for name, trait in _TRAITS.items() if name not in differ)
    show_line(benchmark, console, "bold")
    show_line(alike, console, "dim")
    first = [
        Column(header=("payload",), cells=tuple(_scheme(result) for result, _ in entries), justify="left"),
        Column(header=("size",), cells=tuple(row.size for row in found)),
    ]
    first += [
        Column(header=tuple(name.split()), cells=tuple(trait(result) for result, _ in entries), justify="left")
        for name, trait in traits.items()
        if name in differ
    ]
    show_columns(first, value_columns(found, shown), console)
    said: dict[str, None] = {}
    for result in results:
        own = rows(result)
        for line in failures(own) + cut_short(result, own):
            show_line(f"{_scheme(result)}: {line}", console, "red")
        said |= dict.fromkeys(notes(result, own, shown))
    return list(said)


def _load(load: Load) -> str:
    match load:
        case Closed():
            return "closed"
        case Recorded():
            return f"recorded, pace {load.pace:g}"
    return f"{load.rate:g}/s {'Poisson' if isinstance(load, Poisson) else ''}".strip()


def _scheme(result: Result) -> str:
    """The first words of what was sent."""
    return re.split(r"[:(]", result.payload)[0].strip()
