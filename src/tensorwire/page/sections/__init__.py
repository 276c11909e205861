"""One module for each question, with one function `section(entries)`.

Law: it shows what the entries hold, and nothing else. The order here is that of the page.
"""

from collections.abc import Sequence
from importlib import import_module

from tensorwire.page import Maker, Section
from tensorwire.page.entries import Entry

NAMES = ("schemes", "sizes", "tails", "servers", "mesh", "replayed", "steps", "stack", "cost", "course")


def sections(found: Sequence[Entry]) -> tuple[Section, ...]:
    """Those that have something to show."""
    makers: list[Maker] = [import_module(f"tensorwire.page.sections.{name}") for name in NAMES]
    made = (maker.section(found) for maker in makers)
    return tuple(section for section in made if section is not None)
