"""Profiles side by side: what each is of, what a step of it moves, and the command that was captured."""

import shlex
from collections.abc import Sequence
from itertools import pairwise

import msgspec
from rich.console import Console

from tensorwire.profile import Profile
from tensorwire.report.drawing import show_line, show_words
from tensorwire.report.summary import step_bytes, summary
from tensorwire.units import format_total

_NONE = "There is no profile in the library here; tensorwire capture makes your own."


def show(profiles: Sequence[Profile], console: Console) -> None:
    """Prints a few lines for each."""
    if not profiles:
        show_line(_NONE, console, "")
    for profile in profiles:
        moved = step_bytes(profile)
        show_line(profile.name, console, "bold")
        lines = [
            ("", "model", model(profile) or "not told"),
            ("", "bytes of a step", "no steps were seen" if moved is None else format_total(moved)),
            ("", "summary", summary(profile)),
            ("", "command", shlex.join(profile.captured.command)),
        ]
        show_words(lines, console, dim=1)
        console.print()


def as_json(profiles: Sequence[Profile]) -> str:
    """The same for programs."""
    rows = [
        {
            "name": profile.name,
            "model": model(profile),
            "step_bytes": step_bytes(profile),
            "summary": summary(profile),
            "command": profile.captured.command,
        }
        for profile in profiles
    ]
    return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode()


def model(profile: Profile) -> str:
    """What the captured command was told to train, by its `--model NAME`; empty if it was told nothing."""
    for word, following in pairwise((*profile.captured.command, "")):
        name, given, value = word.partition("=")
        if name == "--model":
            return value if given else following
    return ""
