"""Where and how it was run: hosts side by side, effective settings, and each run in words."""

from collections.abc import Sequence

from msgspec import Struct

from tensorwire.page import Table, words
from tensorwire.report import rows
from tensorwire.report.heading import cores, heading, title
from tensorwire.result import Environment, Result
from tensorwire.units import format_size

_VOLATILE = ("memory_available", "load_average")


class Run(Struct, frozen=True, kw_only=True):
    """A result in words, as they stand above its table on a terminal."""

    title: str
    created: str
    lines: tuple[tuple[str, str], ...]


def hosts(results: Sequence[Result]) -> Table:
    """A column for each environment that differs, a row for each fact."""
    known = _distinct(results)
    facts = [_facts(each, result) for each, result in known]
    names = dict.fromkeys(name for each in facts for name in each)
    rows_ = tuple((name, *(each.get(name, words.NOTHING) for each in facts)) for name in names)
    return Table(header=("", *_names([each for each, _ in known])), rows=rows_)


def apart(table: Table) -> Table | None:
    """The rows in which environments differ; None where there is only one environment."""
    if len(table.header) < 3:
        return None
    return Table(header=table.header, rows=tuple(row for row in table.rows if len(set(row[1:])) > 1))


def settings(results: Sequence[Result]) -> Table:
    """What the ranks of each channel report as effective; several values where they differ."""
    found: dict[str, dict[str, dict[str, None]]] = {}
    for result in results:
        for facts in (facts for run in result.repetitions for facts in run.ranks):
            own = found.setdefault(result.spec.channel, {})
            for name, value in facts.settings.items():
                if value:
                    own.setdefault(name, {})[value] = None
    names = sorted({name for own in found.values() for name in own})
    return Table(
        header=("setting", *found),
        rows=tuple(
            (name, *(" / ".join(own.get(name, {})) or words.NOTHING for own in found.values())) for name in names
        ),
    )


def runs(results: Sequence[Result]) -> tuple[Run, ...]:
    return tuple(
        Run(title=title(each), created=each.created, lines=tuple(heading(each, rows(each)))) for each in results
    )


def _distinct(results: Sequence[Result]) -> list[tuple[Environment, Result]]:
    """Environments that differ in what lasts, each with the first result that has it."""
    found: dict[tuple[tuple[str, str], ...], tuple[Environment, Result]] = {}
    for each in results:
        found.setdefault(tuple(sorted(_facts(each.environment, each).items())), (each.environment, each))
    return list(found.values())


def _facts(here: Environment, result: Result) -> dict[str, str]:
    lasting = {name: value for name, value in {**here.facts, **here.versions}.items() if name not in _VOLATILE}
    return {
        "host": here.host,
        "processor": here.cpu,
        "cores": f"{len(here.cores)} ({cores(here.cores)})",
        "memory": format_size(here.memory_bytes),
        "kernel": here.kernel,
        **{name.replace("_", " "): value for name, value in sorted(lasting.items())},
        "tensorwire": result.tensorwire,
    }


def _names(found: Sequence[Environment]) -> list[str]:
    """Of the hosts; with a number where one has several environments."""
    names = [each.host for each in found]
    return [
        f"{name} ({names[:place].count(name) + 1})" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]
