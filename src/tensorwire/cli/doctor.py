"""tensorwire doctor: what works on this host, and what is missing."""

from typing import Any

import click
from rich.console import Console

from tensorwire import doctor, spec
from tensorwire.cli import flags


@click.command("doctor", cls=flags.Sectioned, short_help="Say what works on this host, and what is missing.")
@flags.request
def command(**values: Any) -> int:
    """Say, channel by channel and limit by limit, what works on this host, and how to get what does not.

    It looks with the eyes of one run: that of BENCHMARK with the flags given, which are those of tensorwire run.
    """
    found = doctor.checks(spec.parse(flags.words(values)))
    doctor.render(found, Console())
    return doctor.verdict(found)
