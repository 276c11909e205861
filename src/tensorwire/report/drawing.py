"""Columns on a terminal: in one table where they fit, else in several. Numbers never wrap."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tensorwire.report.columns import Column

_SHOWN = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_GAPS = (2, 1)  # between columns; the narrower one where it saves a table


def show_columns(first: Sequence[Column], values: Sequence[Column], console: Console) -> None:
    """Prints tables that begin with the columns of `first`, no wider than the console if it can be."""
    for gap, block in _blocks(first, values, console.width):
        columns = [*first, *block]
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0))
        for each in columns:
            header = Text("\n".join(each.header))
            table.add_column(header, justify=each.justify, no_wrap=True)
        for cells in zip(*(each.cells for each in columns), strict=True):
            table.add_row(*(Text(printable(cell)) for cell in cells))
        console.print(table, highlight=False)
        console.print()


def show_words(lines: Sequence[tuple[str, ...]], console: Console, dim: int) -> None:
    """Prints lines of words in columns, the last of which wraps; the column number `dim` stands back."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for line in lines:
        grid.add_row(*(Text(printable(word), style="dim" if i == dim else "") for i, word in enumerate(line)))
    for column in grid.columns[:-1]:
        column.no_wrap = True
    grid.columns[-1].overflow = "fold"
    console.print(grid, highlight=False)
    console.print()


def show_line(line: str, console: Console, style: str) -> None:
    console.print(Text(printable(line), style=style), highlight=False)


def printable(text: str) -> str:
    """What a file says may be anything: a terminal is not told what to do by it."""
    return text.translate(_SHOWN)


Block = tuple[int, list[Column]]


def _blocks(first: Sequence[Column], values: Sequence[Column], width: int) -> Iterator[Block]:
    """Table after table, at least one value in each: the gap between its columns, and the values."""
    left = list(values)
    while left:
        wide, narrow = (_fitting(first, left, gap, width) for gap in _GAPS)
        gap, count = (_GAPS[1], narrow) if wide < narrow == len(left) else (_GAPS[0], wide)
        yield gap, left[:count]
        left = left[count:]


def _fitting(first: Sequence[Column], values: Sequence[Column], gap: int, width: int) -> int:
    taken = sum(each.width + gap for each in first)
    for count, each in enumerate(values):
        taken += each.width + (gap if count else 0)
        if taken > width and count:
            return count
    return len(values)
