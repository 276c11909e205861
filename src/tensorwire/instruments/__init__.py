"""An instrument watches a job: it is put into the job's environment, and afterwards tells what it saw.

Law: an instrument never changes what the job does, says or returns; where it cannot watch, it is silent and the
profile's notes say so. `collect` only reads.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tensorwire.profile import Profile
from tensorwire.steps import Wanted


class Instrument(Protocol):
    """What every module of this folder that watches jobs offers."""

    name: str

    def attach(self, environment: Mapping[str, str], directory: Path) -> dict[str, str]:
        """The environment in which a job is watched, what is seen going below `directory`. Raises InstrumentError."""
        ...

    def collect(self, directory: Path, wanted: Wanted | None = None) -> Profile:
        """What was seen of a job, with its steps as they are wanted. Raises InstrumentError when nothing was."""
        ...
