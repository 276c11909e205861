"""tensorwire doctor: what works on this host, and what is missing."""

import click
from rich.console import Console

from tensorwire import doctor


@click.command("doctor", short_help="Say what works on this host, and what is missing.")
def command() -> int:
    """Say, channel by channel and limit by limit, what works on this host, and how to get what does not."""
    found = doctor.checks(None)
    doctor.render(found, Console())
    return doctor.verdict(found)
