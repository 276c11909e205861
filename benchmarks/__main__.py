"""python -m benchmarks [NAME...]: exit code 0 when all claims hold, 1 when one misses, 3 when one was not measured."""

import sys
from pathlib import Path

import click

from benchmarks import table
from benchmarks.claims import ALL
from benchmarks.judging import Claim, Verdict, chosen, judge_all
from benchmarks.traffic import site

_BUILD = Path(__file__).parent.parent / "build" / "benchmarks"


@click.command(help="Hold tensorwire's claims against their limits; NAME: only those whose name begins so.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--rounds", default=5, show_default=True, help="Turns of each side.")
@click.option("--seconds", default=1.0, show_default=True, help="Length of each run, after its warm-up.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Also write a Markdown table to this file.")
@click.option("--build", type=click.Path(path_type=Path), default=_BUILD, help="Where programs are built.")
@click.option("--list", "listing", is_flag=True, help="Only list the claims.")
def main(
    names: tuple[str, ...], rounds: int, seconds: float, markdown: Path | None, build: Path, listing: bool
) -> None:
    try:
        claims = chosen(ALL, names)
    except ValueError as wrong:
        raise click.UsageError(str(wrong)) from wrong
    if listing:
        for claim in claims:
            click.echo(f"{claim.name:24} {claim.title}")
        return
    sys.exit(_judge(claims, rounds, seconds, markdown, build))


def _judge(claims: list[Claim], rounds: int, seconds: float, markdown: Path | None, build: Path) -> int:
    head = table.machine(rounds, seconds)
    click.echo(head)
    verdicts: list[Verdict] = []
    for verdict in judge_all(claims, site(seconds, build), rounds):
        verdicts.append(verdict)
        click.echo(table.line(verdict))
    if markdown is not None:
        markdown.write_text(table.markdown(head, verdicts))
    if any(verdict.holds is False for verdict in verdicts):
        return 1
    return 3 if any(verdict.holds is None for verdict in verdicts) else 0


if __name__ == "__main__":
    main()
