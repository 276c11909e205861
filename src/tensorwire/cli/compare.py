"""tensorwire compare: what two sets of results say about each other, and an exit code to gate on."""

from pathlib import Path

import click

from tensorwire.case import condition_names
from tensorwire.cli.results import read_all
from tensorwire.compare import Comparison, Question, Verdict, compare
from tensorwire.errors import SpecError
from tensorwire.units import parse_share

_FAILING: dict[str, tuple[Verdict, ...]] = {
    "inconclusive": ("failed", "slower", "inconclusive"),
    "regression": ("failed", "slower"),
    "never": (),
}
_CODES: dict[Verdict, int] = {"failed": 1, "slower": 1, "inconclusive": 4}


@click.command("compare", short_help="Say what became faster or slower between results.")
@click.argument("base", metavar="BASE")
@click.argument("new", metavar="NEW")
@click.option("--threshold", default="5%", metavar="SHARE", help="A change up to it counts as none.  [default: 5%]")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Compare this one (repeatable; tensorwire list metrics).  [default: the benchmark's, and its CPU time]",
)
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    type=click.Choice([f"different-{name}" for name in condition_names()]),
    metavar="different-CONDITION",
    help=f"Compare nevertheless what differs in this (repeatable): {', '.join(condition_names())}.",
)
@click.option(
    "--fail-on",
    type=click.Choice(list(_FAILING)),
    default="inconclusive",
    help="What makes the exit code: 1 for a regression, 4 for what is not known.  [default: inconclusive]",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json", "csv", "markdown"]),
    default="table",
    help="[default: table]",
)
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Also write JUnit XML to FILE.")
def command(
    base: str,
    new: str,
    threshold: str,
    metrics: tuple[str, ...],
    allowed: tuple[str, ...],
    fail_on: str,
    format_: str,
    junit: Path | None,
) -> int:
    """Hold the results in NEW against those in BASE and say for each number: faster, slower, same or inconclusive.

    BASE and NEW are result files, directories of them, or quoted patterns. Repetitions are the evidence: take five or
    more of each (tensorwire run --repeat 5). The exit code is 0, 1 when something is slower or failed, or else 4 when
    something is inconclusive.
    """
    question = Question(
        threshold=parse_share(threshold, "threshold"),
        metrics=metrics,
        allowed=frozenset(name.removeprefix("different-") for name in allowed),
    )
    answer = compare(read_all([base]), read_all([new]), question)
    _print(answer, format_)
    failing = _FAILING[fail_on]
    if junit is not None:
        from tensorwire.report.junit import junit as as_xml

        _write(junit, as_xml(answer, failing))
    return _CODES[answer.outcome] if answer.outcome in failing else 0


def _print(answer: Comparison, format_: str) -> None:
    from tensorwire.report import comparison

    if format_ == "table":
        from rich.console import Console

        comparison.show(answer, Console())
    elif format_ == "json":
        click.echo(comparison.as_json(answer))
    elif format_ == "csv":
        click.echo(comparison.as_csv(answer), nl=False)
    else:
        click.echo(comparison.markdown(answer), nl=False)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as wrong:
        sentence = f"cannot write {file}: {wrong.strerror}; choose another with --junit FILE"
        raise SpecError("junit", str(file), "a file that can be written", sentence) from wrong
