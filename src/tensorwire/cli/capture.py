"""tensorwire capture: a job, run watched, and the profile of what it sent."""

import os
from pathlib import Path

import click

from tensorwire.capture import capture
from tensorwire.cli.profiles import check_writable, plain_name, print_table, write
from tensorwire.errors import InstrumentError
from tensorwire.instruments.wire import instrument

_KILLED = 128


@click.command(
    "capture",
    short_help="Run a job and write the profile of what it sends.",
    context_settings={"allow_interspersed_args": False},
)
@click.option(
    "-o", "--output", "file", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The profile file."
)
@click.option("--name", help="Of the profile.  [default: the file's name]", metavar="NAME")
@click.argument("job", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[--] COMMAND...")
def command(file: Path, name: str | None, job: tuple[str, ...]) -> int:
    """Run COMMAND as it is, with all the processes that it starts, and write what they send to FILE.

    The job keeps stdin, stdout and its exit status; the profile is written also when that is not 0, and shown on
    stderr.
    """
    check_writable(file)
    captured = capture(job, name or plain_name(file), instrument, os.environ)
    if captured.profile is not None:
        print_table(captured.profile, err=True)
        write(file, captured.profile)
    elif captured.status == 0:
        raise InstrumentError(captured.lacking)
    if captured.status:
        lacking = f", and there is no profile: {captured.lacking}" if captured.profile is None else ""
        click.echo(f"tensorwire: {job[0]} {_ending(captured.status)}{lacking}", err=True)
    return captured.status if captured.status >= 0 else _KILLED - captured.status


def _ending(status: int) -> str:
    return f"exited with code {status}" if status > 0 else f"was killed by signal {-status}"
