"""Profile files at the rim: read, written, and turned into the words that ask for their replay."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import click
import msgspec

from tensorwire import replay
from tensorwire.distance import Distance
from tensorwire.errors import FileFormatError, SpecError
from tensorwire.payload import Replay
from tensorwire.profile import Profile, decode, encode, only
from tensorwire.spec import options

Make = Callable[[Profile], replay.Replayed]

_ORDERS: dict[str, Make] = {"proportional": replay.proportional, "exact": replay.exact}


def replay_words(table: Mapping[str, Any]) -> dict[str, Any]:
    """The request's payload table with the profile that it names in `file`, or holds already, in its order.

    Raises FileFormatError for a file that is no profile, SpecError for an order that is none or cannot be.
    """
    words = dict(table)
    file = words.pop("file", None)
    if file is None:
        if "sizes" not in words:
            raise SpecError("payload", None, "a file", "the scheme profile needs a profile file: --payload FILE")
        return words
    order = str(words.pop("order", "proportional"))
    if order not in _ORDERS:
        raise SpecError.unknown("order", order, _ORDERS)
    profile = read(Path(str(file)), words.pop("only", None))
    replayed = _ORDERS[order](profile)
    scheme = options(Replay, "profile", {**msgspec.to_builtins(replayed.scheme), **words})
    for note in (*replayed.notes, _told(replay.fidelity(profile, scheme))):
        click.echo(f"{file}: {note}", err=True)
    return cast(dict[str, Any], msgspec.to_builtins(scheme))


def _told(apart: Distance) -> str:
    if not apart.wasserstein:
        return "the messages to be sent have the recorded distribution of sizes"
    how_far = f"{float(apart.wasserstein):,.1f} B on average, {float(apart.relative):.2%} of the recorded mean"
    return f"the sizes of the messages to be sent differ from the recorded ones by {how_far} (Wasserstein)"


def read(file: Path, part: str | None = None) -> Profile:
    """The profile in a file, or the part of it that is of one kind or method.

    Raises FileFormatError when the file is not there, not a profile, damaged or from a newer version, SpecError when
    there is no such part.
    """
    profile = decode(data_of(file), str(file))
    return profile if part is None else only(profile, str(part))


def check_writable(file: Path) -> None:
    """Raises SpecError while nothing is lost yet, if the file could not be written."""
    parent = next(parent for parent in file.absolute().parents if parent.exists())
    if file.is_dir():
        raise _unwritable(file, "it is a directory")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise _unwritable(file, f"this user may not write to {parent}")


def write(file: Path, profile: Profile) -> None:
    """Writes the file whole or not at all, and says so. Raises SpecError when it cannot."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(encode(profile))
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as wrong:
        raise _unwritable(file, wrong.strerror or "the system refuses") from wrong
    click.echo(f"profile file: {file}", err=True)


def _unwritable(file: Path, why: str) -> SpecError:
    sentence = f"cannot write the profile {file}: {why}; choose another with --output FILE"
    return SpecError("output", str(file), "a file that can be written", sentence)


def plain_name(file: Path) -> str:
    """The file's name without its endings: resnet152 of runs/resnet152.profile.json."""
    return file.name.partition(".")[0] or file.name


def print_table(profile: Profile, err: bool = False) -> None:
    """On stdout; on stderr where that is a job's."""
    from rich.console import Console

    from tensorwire.report.profile import show as show_table

    show_table(profile, Console(stderr=err))


def data_of(file: Path) -> bytes:
    """Raises FileFormatError when the file cannot be read."""
    try:
        return file.read_bytes()
    except OSError as wrong:
        raise FileFormatError(f"cannot read {file}: {wrong.strerror}") from wrong
