"""Every command in the docs is run, though for a shorter time than a reader would let it."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tensorwire.errors import LauncherUnavailable
from tensorwire.result import encode
from tests.results import repeated

ROOT = Path(__file__).parent.parent.parent
SHORTER = ["--port", "0", "--warmup", "0s", "--duration", "30ms", "--repeat", "1"]
LACKING = LauncherUnavailable.exit_code
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(program: str) -> list[tuple[str, str]]:
    """Page and command line of each use of a program in a shell block."""
    found = [(page.name, command) for page in PAGES for command in shell_lines(page.read_text())]
    return [(page, command) for page, command in found if command.split(" ")[0] == program]


def shell_lines(text: str) -> Iterator[str]:
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from (line.partition("  #")[0].strip() for line in block.splitlines())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory like a checkout, with the results that the README names; those of earlier commands are found by
    later ones."""
    directory = tmp_path_factory.mktemp("docs")
    (directory / "docs").symlink_to(ROOT / "docs")
    for name in ("base.json", "new.json", "results.json"):
        (directory / name).write_bytes(encode(repeated(100_000, 100_200, 99_900, 100_100, 99_800)))
    return directory


def run(words: list[str], place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=place, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(("page", "command"), commands("tensorwire"))
def test_command(page: str, command: str, place: Path) -> None:
    program, verb, *words = shlex.split(command)
    words = [str(file) for word in words for file in (sorted(place.glob(word)) if "*" in word else [word])]
    shorter = SHORTER if verb == "run" else []
    done = run([str(Path(sys.executable).parent / program), verb, *words, *shorter], place)
    if done.returncode == LACKING and "emulated" in command:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize(("page", "command"), commands("make"))
def test_make_target(page: str, command: str, place: Path) -> None:
    done = run([*shlex.split(command), "--dry-run", "--directory", str(ROOT)], place)
    assert done.returncode == 0, done.stderr
