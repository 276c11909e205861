"""tensorwire export: results in the forms of other tools."""

import sys
from pathlib import Path

import click

from tensorwire.cli.results import read_all
from tensorwire.errors import SpecError
from tensorwire.exports import FORMS, export


@click.command("export", short_help="Hand results to other tools.")
@click.argument("places", nargs=-1, required=True, metavar="FILE...")
@click.option("--to", "form", type=click.Choice(list(FORMS)), required=True, help="The form.")
@click.option("--metric", "names", multiple=True, metavar="NAME", help="Only this one (repeatable; not for all forms).")
@click.option(
    "-o", "--output", "file", type=click.Path(path_type=Path), metavar="FILE", help="Where to.  [default: stdout]"
)
def command(places: tuple[str, ...], form: str, names: tuple[str, ...], file: Path | None) -> None:
    """Print the results in FILEs (or directories, or quoted patterns) as another tool reads them.

    Results under the same conditions are repetitions of one. docs/comparing.md says what stands where.
    """
    data = export(form, read_all(places), names)
    if file is not None:
        _write(file, data)
    elif form == "parquet" and sys.stdout.isatty():
        raise SpecError("output", None, "a file", "parquet is no text for a terminal: name a file with --output FILE")
    else:
        click.echo(data, nl=False)


def _write(file: Path, data: bytes) -> None:
    try:
        file.write_bytes(data)
    except OSError as wrong:
        sentence = f"cannot write {file}: {wrong.strerror}; choose another with --output FILE"
        raise SpecError("output", str(file), "a file that can be written", sentence) from wrong
