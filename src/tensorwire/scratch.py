"""The directory of one run: the plan, what the ranks print, their Unix-domain sockets. Gone when the run is."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "tensorwire-"


@contextlib.contextmanager
def directory(parent: Path | None = None) -> Iterator[Path]:
    """A private directory, removed at the end; so are those of drivers that were killed before they could.

    It is made in `parent`, or where temporary files belong.
    """
    where = parent or Path(tempfile.gettempdir())
    _sweep(where)
    path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=where))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _sweep(where: Path) -> None:
    for path in where.glob(f"{_PREFIX}*-*"):
        owner = path.name.removeprefix(_PREFIX).partition("-")[0]
        with contextlib.suppress(FileNotFoundError):  # another driver sweeps as well
            if owner.isdigit() and not Path(f"/proc/{owner}").exists() and path.stat().st_uid == os.getuid():
                shutil.rmtree(path, ignore_errors=True)
