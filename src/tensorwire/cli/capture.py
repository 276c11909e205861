"""tensorwire capture: a job, run watched, and the profile of what it sent."""

import os
import tempfile
from pathlib import Path

import click

from tensorwire.capture import capture
from tensorwire.cli.cost import Turns, measure, turns_to_take
from tensorwire.cli.profiles import check_writable, plain_name, print_table, steps_to_find, write
from tensorwire.errors import InstrumentError, SpecError
from tensorwire.instruments.wire import instrument
from tensorwire.profile import Profile
from tensorwire.steps import Wanted

_KILLED = 128


@click.command(
    "capture",
    short_help="Run a job and write the profile of what it sends.",
    context_settings={"allow_interspersed_args": False},
)
@click.option("-o", "--output", "file", type=click.Path(path_type=Path), metavar="FILE", help="The profile file.")
@click.option("--name", help="Of the profile.  [default: the file's name]", metavar="NAME")
@steps_to_find
@turns_to_take
@click.argument("job", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[--] COMMAND...")
def command(file: Path | None, name: str | None, job: tuple[str, ...], wanted: Wanted, turns: Turns | None) -> int:
    """Run COMMAND as it is, with all the processes that it starts, and write what they send to FILE.

    The job keeps stdin, stdout and its exit status; the profile is written also when that is not 0, and shown on
    stderr.
    """
    if turns is not None:
        if file is not None:
            raise SpecError("output", str(file), "no --output", "--cost writes no profile; leave out --output")
        status, code = measure(job, turns)
        return _ended(job, status) if status else code
    if file is None:
        raise SpecError("output", None, "a file", "where should the profile go? --output FILE")
    check_writable(file)
    captured = capture(job, name or plain_name(file), instrument, os.environ, wanted)
    if captured.profile is not None:
        print_table(captured.profile, err=True)
        _write(file, captured.profile)
    elif captured.status == 0:
        raise InstrumentError(captured.lacking)
    lacking = f", and there is no profile: {captured.lacking}" if captured.profile is None else ""
    return _ended(job, captured.status, lacking) if captured.status else 0


def _write(file: Path, profile: Profile) -> None:
    """What was captured is not lost when FILE cannot be written any more: it goes to the directory for temporary files.

    Raises SpecError all the same.
    """
    try:
        write(file, profile)
    except SpecError:
        spare = Path(tempfile.mkdtemp(prefix="profile-")) / file.name
        write(spare, profile)
        raise


def _ended(job: tuple[str, ...], status: int, more: str = "") -> int:
    """The exit code for a job that ended so, which is said."""
    how = f"exited with code {status}" if status > 0 else f"was killed by signal {-status}"
    click.echo(f"tensorwire: {job[0]} {how}{more}", err=True)
    return status if status > 0 else _KILLED - status
