"""Result files at the rim: by name, by pattern, or all in a directory."""

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from tensorwire import formats
from tensorwire.cli.show import read
from tensorwire.errors import FileFormatError
from tensorwire.result import Result


def read_all(places: Sequence[str]) -> list[Result]:
    """The results in files, patterns (such as 'new-*.json') and directories, each file once.

    Of a directory all *.json that are results; what else lies there is said on stderr. Raises FileFormatError for a
    place without a result, and for a file that is named and is none.
    """
    found: dict[Path, Result] = {}
    for place in places:
        here = dict(_read(place))
        if not here:
            raise FileFormatError(f"there is no result in {place}: name a result file, or a directory that has some")
        for file, result in here.items():
            found.setdefault(file.resolve(), result)
    return list(found.values())


def _read(place: str) -> Iterator[tuple[Path, Result]]:
    path = Path(place)
    if path.is_dir():
        for file in sorted(each for each in path.glob("*.json") if each.is_file()):
            if formats.holds(file.read_bytes(), Result):
                yield file, read(file)
            else:
                click.echo(f"{file}: left out, because it is not a result", err=True)
    elif glob.has_magic(place) and not path.exists():
        yield from ((Path(file), read(Path(file))) for file in sorted(glob.glob(place)))
    else:
        yield path, read(path)
