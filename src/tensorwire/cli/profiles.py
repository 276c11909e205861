"""Profile files at the rim: read, written, and turned into the words that ask for their replay."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO, cast, get_args

import click
import msgspec

from tensorwire import library, replay, step_replay
from tensorwire.distance import Distance
from tensorwire.errors import FileFormatError, SpecError
from tensorwire.profile import Profile, decode, encode, only
from tensorwire.spec import options
from tensorwire.steps import By, Wanted

Make = Callable[[Profile], replay.Replayed]

_ORDERS: dict[str, Make] = {
    "proportional": replay.proportional,
    "exact": replay.exact,
    "step": step_replay.step,
}


def replay_words(table: Mapping[str, Any]) -> dict[str, Any]:
    """The request's payload table with the profile that it names in `file`, or holds already, in its order.

    Raises FileFormatError for a file that is no profile, SpecError for an order that is none or cannot be.
    """
    words = dict(table)
    file = words.pop("file", None)
    if file is None:
        if "sizes" not in words:
            sentence = f"the scheme {words['scheme']} needs a profile file: --payload FILE"
            raise SpecError("payload", None, "a file", sentence)
        return words
    order = str(words.pop("order", "step" if words["scheme"] == "steps" else "proportional"))
    if order not in _ORDERS:
        raise SpecError.unknown("order", order, _ORDERS)
    if order == "step":
        words.pop("seed", None)  # nothing is drawn
    profile = read(str(file), words.pop("only", None))
    replayed = _ORDERS[order](profile)
    tag_field, tag = _tag(replayed.scheme)
    asked = {**msgspec.to_builtins(replayed.scheme), **words, tag_field: tag}
    scheme = options(type(replayed.scheme), "profile", asked)
    for note in (*replayed.notes, _told(replay.fidelity(profile, scheme))):
        click.echo(f"{file}: {note}", err=True)
    return cast(dict[str, Any], msgspec.to_builtins(scheme))


def _tag(scheme: replay.Recorded) -> tuple[str, str]:
    config = scheme.__struct_config__
    return str(config.tag_field), str(config.tag)


def _told(apart: Distance) -> str:
    if not apart.wasserstein:
        return "the messages to be sent have the recorded distribution of sizes"
    how_far = f"{float(apart.wasserstein):,.1f} B on average, {float(apart.relative):.2%} of the recorded mean"
    return f"the sizes of the messages to be sent differ from the recorded ones by {how_far} (Wasserstein)"


def read(word: str, part: str | None = None) -> Profile:
    """The profile in a file or of a name in the library, or the part of it that is of one kind or method.

    Raises FileFormatError when the file is not there, not a profile, damaged or from a newer version, SpecError when
    there is no profile of this name, or no such part.
    """
    profile = decode(data_of(library.resolve(word)), word)
    return profile if part is None else only(profile, str(part))


def check_writable(file: Path, what: str = "profile") -> None:
    """Raises SpecError while nothing is lost yet, if the file could not be written."""
    parent = next(parent for parent in file.absolute().parents if parent.exists())
    if file.is_dir():
        raise _unwritable(file, "it is a directory", what)
    if not os.access(parent, os.W_OK | os.X_OK):
        raise _unwritable(file, f"this user may not write to {parent}", what)


def write(file: Path, profile: Profile) -> None:
    """Writes the file whole or not at all, and says so. Raises SpecError when it cannot."""
    write_bytes(file, encode(profile), "profile")


def write_bytes(file: Path, data: bytes, what: str) -> None:
    """The same for what is no profile but made of one."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(data)
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as wrong:
        raise _unwritable(file, wrong.strerror or "the system refuses", what) from wrong
    click.echo(f"{what} file: {file}", err=True)


def _unwritable(file: Path, why: str, what: str) -> SpecError:
    sentence = f"cannot write the {what} {file}: {why}; choose another FILE"
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
    with opened(file) as stream:
        return stream.read()


@contextlib.contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """The file, for as long as the block lasts. Raises FileFormatError when it cannot be read."""
    try:
        with file.open("rb") as stream:
            yield stream
    except OSError as wrong:
        raise FileFormatError(f"cannot read {file}: {wrong.strerror}") from wrong


def steps_to_find(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a click command the flags that say how steps are found, and the function a `wanted` in their place."""

    @click.option(
        "--steps",
        "by",
        type=click.Choice(get_args(By)),
        default="auto",
        help="How steps are found: by marks of the job (tensorwire.step()), TensorFlow's requests, or idle gaps, the "
        "first of these that is there; or by one of them; or not at all.  [default: auto]",
    )
    @click.option(
        "--warmup-steps",
        "warmup",
        type=click.IntRange(min=0),
        help="First steps that do not count.  [default: the first, and those after it that differ in bytes]",
        metavar="N",
    )
    @click.option(
        "--keep-steps",
        "keep",
        type=click.IntRange(min=1),
        help="Write so many steps after them, and nothing else.",
        metavar="N",
    )
    @wraps(command)
    def with_wanted(*args: Any, by: By, warmup: int | None, keep: int | None, **kwargs: Any) -> Any:
        return command(*args, wanted=Wanted(by=by, warmup=warmup, keep=keep), **kwargs)

    return with_wanted
