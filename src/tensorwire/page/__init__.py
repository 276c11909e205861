"""The page that people attach: results as sentences, pictures and tables, in one file that needs nothing else.

Law: a section is a pure function of entries, and every number in it comes from `metrics` or is a fact of a result file.
Pictures are Vega-Lite specifications, plain values; only `render` knows who draws them.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct

from tensorwire.page.entries import Entry

Chart = dict[str, Any]
"""A Vega-Lite specification."""


class Table(Struct, frozen=True, kw_only=True):
    """What a picture shows, in words and numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Figure(Struct, frozen=True, kw_only=True):
    """A picture, the table behind it, and the words for those who do not see it. `name` is that of its file."""

    name: str
    title: str
    words: str
    chart: Chart
    table: Table


class Section(Struct, frozen=True, kw_only=True):
    """A question that the results answer: `lead` says what the pictures show."""

    name: str
    title: str
    lead: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()


class Maker(Protocol):
    """What every module of `sections` offers."""

    def section(self, entries: Sequence[Entry], /) -> Section | None:
        """None where the results hold nothing of this kind."""
