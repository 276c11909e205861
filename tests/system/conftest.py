"""Every test has a home of its own, with a short path, and ends all that it started."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.driver import Done, Driver

Start = Callable[..., Driver]
Run = Callable[..., Done]


@pytest.fixture
def home() -> Iterator[Path]:
    """Short, because the path of a Unix-domain socket must be."""
    path = Path(tempfile.mkdtemp(prefix="tw"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Starts a command: its words, and what its environment has beside ours."""
    started: list[Driver] = []

    def begin(*words: str, **environment: str) -> Driver:
        started.append(Driver(home, words, environment))
        return started[-1]

    yield begin
    for driver in started:
        driver.kill()


@pytest.fixture
def run(start: Start) -> Run:
    """Runs a command to its end."""

    def complete(*words: str, **environment: str) -> Done:
        return start(*words, **environment).wait()

    return complete
