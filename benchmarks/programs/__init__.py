"""The hand-written programs, and how others are run."""

import functools
import shutil
import subprocess
from pathlib import Path

from benchmarks.seen import CannotMeasure

_HERE = Path(__file__).parent
_LONGEST_SECONDS = 300


@functools.cache
def built(name: str, build: Path) -> Path:
    """The program, built in `build` if it is older than its source. Raises CannotMeasure when it cannot be built."""
    run((found("make"), "-s", "-C", str(_HERE), f"BUILD={build.resolve()}", name))
    return build / name


def found(program: str, package: str = "") -> str:
    """Where a program lies. Raises CannotMeasure when there is none."""
    path = shutil.which(program)
    if path is None:
        raise CannotMeasure(f"{program} is not installed; apt-get install {package or program}")
    return path


def run(argv: tuple[str, ...]) -> str:
    """What a program prints. Raises CannotMeasure when it fails."""
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=_LONGEST_SECONDS).stdout
    except subprocess.CalledProcessError as failed:
        said = failed.stderr.strip() or failed.stdout.strip()
        raise CannotMeasure(f"{argv[0]} failed: {said[-300:]}") from failed
    except subprocess.TimeoutExpired as late:
        raise CannotMeasure(f"{argv[0]} did not end within {_LONGEST_SECONDS} s") from late
