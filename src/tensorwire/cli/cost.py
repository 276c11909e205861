"""tensorwire capture --cost: what watching a job costs, in place of its profile."""

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
import msgspec

from tensorwire.capture import cost
from tensorwire.cost import verdict
from tensorwire.errors import SpecError
from tensorwire.instruments.trial import Times
from tensorwire.instruments.wire import instrument
from tensorwire.report.cost import as_json, as_text
from tensorwire.units import parse_duration

_INCONCLUSIVE = 4


class Turns(msgspec.Struct, frozen=True, kw_only=True):
    """How long the turns of a job are, how many are wanted at least, and how what they tell is shown."""

    times: Times
    least: int
    format: str


def turns_to_take(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a click command the options of --cost, and the function `turns` in their place: None without --cost."""

    @click.option(
        "--cost",
        "wanted_cost",
        is_flag=True,
        help="Write no profile, but measure what watching costs: the job runs watched and unwatched by turns.",
    )
    @click.option("--block", default="1s", help="With --cost: how long each turn is, best some steps.  [default: 1s]")
    @click.option(
        "--blocks",
        type=click.IntRange(min=12),
        default=20,
        help="With --cost: below so many turns nothing is concluded; the job's end ends them.  [default: 20]",
    )
    @click.option(
        "--after", default="5s", help="With --cost: when the turns begin, since the job first sent.  [default: 5s]"
    )
    @click.option(
        "--format",
        "format_",
        type=click.Choice(["table", "json"]),
        default="table",
        help="With --cost: on stderr, or on stdout, after the job's own.  [default: table]",
    )
    @wraps(command)
    def with_turns(
        *args: Any, wanted_cost: bool, block: str, blocks: int, after: str, format_: str, **words: Any
    ) -> Any:
        turns = Turns(times=_times(block, after), least=blocks, format=format_) if wanted_cost else None
        return command(*args, turns=turns, **words)

    return with_turns


def measure(job: tuple[str, ...], turns: Turns) -> tuple[int, int]:
    """Runs a job and shows what watching it cost; its status, and the exit code where that is 0."""
    status, measured = cost(job, instrument, os.environ, turns.times, turns.least)
    if turns.format == "json":
        click.echo(as_json(measured))
    else:
        click.echo(as_text(measured), err=True, nl=False)
    return status, _INCONCLUSIVE if verdict(measured)[0] == "cannot be told" else 0


def _times(block: str, after: str) -> Times:
    times = Times(after_ns=parse_duration(after, "after"), block_ns=parse_duration(block, "block"))
    if times.block_ns <= 0:
        raise SpecError("block", block, "a time above 0", f"block must be above 0, not {block!r}")
    return times
