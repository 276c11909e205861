"""tensorwire profile: what real jobs sent, shown, compared, and read from traces that people already have."""

from pathlib import Path

import click

from tensorwire import library
from tensorwire.cli.profiles import (
    check_writable,
    opened,
    plain_name,
    print_table,
    read,
    steps_to_find,
    write,
    write_bytes,
)
from tensorwire.cli.reading import reading
from tensorwire.errors import SpecError
from tensorwire.steps import Wanted, divide, divided

_FILE = click.Path(path_type=Path)
_FORMAT = click.option(
    "--format", "format_", type=click.Choice(["table", "json"]), default="table", help="[default: table]"
)
_ONLY = click.option("--only", help="Of one kind, or of one RPC method or collective.", metavar="NAME")


@click.group("profile", short_help="List, show, compare and import what real jobs sent.")
def command() -> None:
    """Profiles: the sizes, order, times and peers of the messages that a real job sent."""


@command.command("show")
@click.argument("what", metavar="FILE|NAME")
@_ONLY
@click.option(
    "--picture",
    type=_FILE,
    metavar="FILE.svg",
    help="Also write the sizes of buffers as a picture: how many, and bytes.",
)
@_FORMAT
def show(what: str, only: str | None, picture: Path | None, format_: str) -> None:
    """Print what a profile holds: what a step moves, sizes, a histogram, and who sent what by which method.

    It is in FILE, or in the library under NAME (tensorwire profile list).
    """
    if picture is not None:
        _check_picture(picture)
    profile = read(what, only)
    if format_ == "json":
        from tensorwire.report.profile import as_json

        click.echo(as_json(profile))
    else:
        print_table(profile)
    if picture is not None:
        from tensorwire.report.picture import svg

        write_bytes(picture, svg(profile).encode(), "picture")


def _check_picture(file: Path) -> None:
    if file.suffix.lower() != ".svg":
        raise SpecError("picture", str(file), "the name of an SVG file, such as job.svg")
    check_writable(file, "picture")


@command.command("diff")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@_FORMAT
def diff(first: str, second: str, format_: str) -> None:
    """Print how far the sizes in profile B are from those in profile A: Kolmogorov-Smirnov and Wasserstein.

    Both are files, or names in the library.
    """
    from rich.console import Console

    from tensorwire.report import profile as report

    profiles = read(first), read(second)
    for word, profile in zip((first, second), profiles, strict=True):
        if not profile.buffer_sizes():
            raise SpecError("profile", word, "one with messages", f"{word} has no message to compare")
    if format_ == "json":
        click.echo(report.diff_as_json(*profiles))
    else:
        report.show_diff(*profiles, Console())


@command.command("list")
@_FORMAT
def list_(format_: str) -> None:
    """List the profiles that come with tensorwire: what a step of each moves, and the command that was captured."""
    from tensorwire.report import shelf

    profiles = [read(name) for name in library.names()]
    if format_ == "json":
        click.echo(shelf.as_json(profiles))
    else:
        from rich.console import Console

        shelf.show(profiles, Console())


@command.command("import")
@click.argument("trace", type=_FILE, metavar="TRACE")
@click.option("-o", "--output", "file", type=_FILE, required=True, metavar="FILE", help="The profile file.")
@click.option("--name", help="Of the profile.  [default: the trace's file name]", metavar="NAME")
@steps_to_find
def import_(trace: Path, file: Path, name: str | None, wanted: Wanted) -> None:
    """Make a profile of TRACE: a packet capture (pcap, pcapng), or a PyTorch profiler (Kineto) or execution trace.

    What kind it is, its first bytes tell. From packets come the gRPC messages, and the bytes of other TCP connections;
    from PyTorch's traces, the collectives.
    """
    from tensorwire import imports

    with opened(trace) as stream, reading(trace) as told:
        profile = imports.profile(stream, name or plain_name(trace), str(trace), told)
    if not profile.steps:
        profile = divided(profile, divide(profile, {}, wanted), wanted)
    write(file, profile)
    print_table(profile)
