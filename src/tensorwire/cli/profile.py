"""tensorwire profile: what real jobs sent, shown, compared, and read from traces that people already have."""

from pathlib import Path

import click

from tensorwire.cli.profiles import data_of, plain_name, print_table, read, write
from tensorwire.errors import SpecError

_FILE = click.Path(path_type=Path)
_FORMAT = click.option(
    "--format", "format_", type=click.Choice(["table", "json"]), default="table", help="[default: table]"
)
_ONLY = click.option("--only", help="Of one kind, or of one RPC method or collective.", metavar="NAME")


@click.group("profile", short_help="Show, compare and import what real jobs sent.")
def command() -> None:
    """Profiles: the sizes, order, times and peers of the messages that a real job sent."""


@command.command("show")
@click.argument("file", type=_FILE, metavar="FILE")
@_ONLY
@_FORMAT
def show(file: Path, only: str | None, format_: str) -> None:
    """Print what the profile in FILE holds: categories, a histogram, and who sent what in which step."""
    profile = read(file, only)
    if format_ == "json":
        from tensorwire.report.profile import as_json

        click.echo(as_json(profile))
    else:
        print_table(profile)


@command.command("diff")
@click.argument("first", type=_FILE, metavar="A")
@click.argument("second", type=_FILE, metavar="B")
@_FORMAT
def diff(first: Path, second: Path, format_: str) -> None:
    """Print how far the sizes in profile B are from those in profile A: Kolmogorov-Smirnov and Wasserstein."""
    from rich.console import Console

    from tensorwire.report import profile as report

    profiles = read(first), read(second)
    for file, profile in zip((first, second), profiles, strict=True):
        if not profile.buffer_sizes():
            raise SpecError("profile", str(file), "one with messages", f"{file} has no message to compare")
    if format_ == "json":
        click.echo(report.diff_as_json(*profiles))
    else:
        report.show_diff(*profiles, Console())


@command.command("import")
@click.argument("trace", type=_FILE, metavar="TRACE")
@click.option("-o", "--output", "file", type=_FILE, required=True, metavar="FILE", help="The profile file.")
@click.option("--name", help="Of the profile.  [default: the trace's file name]", metavar="NAME")
def import_(trace: Path, file: Path, name: str | None) -> None:
    """Make a profile of a PyTorch profiler (Kineto) or execution trace in TRACE, from its collectives."""
    from tensorwire.imports import kineto

    profile = kineto.profile(data_of(trace), name or plain_name(trace), str(trace))
    write(file, profile)
    print_table(profile)
