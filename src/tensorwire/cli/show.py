"""tensorwire show: result files as they were shown when they were made, or in another format."""

from pathlib import Path

import click

from tensorwire.cli import output
from tensorwire.errors import FileFormatError
from tensorwire.result import Result, decode


@click.command("show", short_help="Show result files again.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@output.how_to_show
def command(files: tuple[Path, ...], show: output.How) -> None:
    """Print the numbers of result FILEs, computed anew from the facts they hold; several share a table."""
    show.print(*map(read, files))


def read(file: Path) -> Result:
    """Raises FileFormatError when the file is not there, not a result, damaged or from a newer version."""
    try:
        data = file.read_bytes()
    except OSError as wrong:
        raise FileFormatError(f"cannot read {file}: {wrong.strerror}") from wrong
    return decode(data, str(file))
