"""What watching a real job costs it, as `tensorwire capture --cost` measures on the job itself."""

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.seen import CannotMeasure
from benchmarks.traffic import Site
from tensorwire import cluster, registry

_WORKLOAD = "tf-ps"
_JOB = ("--model", "cnn", "--steps", "600")
_TURNS = ("--after", "3s", "--block", "1s", "--blocks", "16")
_CANNOT_BE_TOLD = 4
_DEADLINE_SECONDS = 300.0


def slowdown(_: Site) -> float:
    """Percent by which the job moves fewer bytes a second while it is watched; the median over pairs of turns."""
    progress = _measured()["progress"]
    if progress is None:
        raise CannotMeasure("the job ended before it was watched and unwatched")
    return round(100 * (1 - float(progress["median"])), 2)


def own_time(_: Site) -> float:
    """Percent of the wall time that the tap itself takes, over all threads of the process where that is most."""
    return round(100 * float(_measured()["own_share"]), 2)


@functools.cache
def _measured() -> dict[str, Any]:
    if lacking := cluster.missing(registry.workload(_WORKLOAD)):
        raise CannotMeasure(lacking)
    program = str(Path(sys.executable).with_name("tensorwire"))
    words = (program, "capture", "--cost", *_TURNS, "--format", "json", "--", program, "workload", "run", _WORKLOAD)
    done = subprocess.run(
        (*words, *_JOB, "--format", "json"), capture_output=True, text=True, timeout=_DEADLINE_SECONDS, check=False
    )
    if done.returncode not in (0, _CANNOT_BE_TOLD):
        raise CannotMeasure(f"the job failed: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
