"""How far a long file is read, on stderr: a bar on a terminal, nothing elsewhere and for short files."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

_LONG_BYTES = 100_000_000


@contextlib.contextmanager
def reading(file: Path) -> Iterator[Callable[[int], None]]:
    """A function that is told how many bytes of the file were read, and shows it while the block lasts."""
    size = file.stat().st_size if file.exists() else 0
    if size < _LONG_BYTES or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reading {task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(file.name, total=size)
        yield lambda read: bar.update(task, completed=read)
