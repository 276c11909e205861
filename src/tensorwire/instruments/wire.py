"""What the processes of a job send over stream sockets: a library in LD_PRELOAD watches their system calls."""

from collections.abc import Mapping
from pathlib import Path

import tensorwire
from tensorwire.errors import FileFormatError, InstrumentError
from tensorwire.instruments.assemble import assemble
from tensorwire.instruments.tap_log import HEADER_BYTES, Log, decode, decode_head
from tensorwire.instruments.taps import Taps
from tensorwire.profile import Profile
from tensorwire.steps import Wanted

_LIBRARY = Path("lib") / "libtensorwire-tap.so"


class Wire:
    """Sees dynamically linked programs of this machine, and all that they fork and exec with their environment.

    Not seen: io_uring, stdio on sockets, RDMA, and what other libraries than a shared OpenSSL encrypt.
    """

    name = "wire"

    def attach(self, environment: Mapping[str, str], directory: Path) -> dict[str, str]:
        """The environment in which a job is watched. Raises InstrumentError where the tap was not built."""
        tap = _tap()
        before = environment.get("LD_PRELOAD")
        preload = f"{tap}:{before}" if before else str(tap)
        return {**environment, "LD_PRELOAD": preload, "TENSORWIRE_TAP": str(directory.resolve())}

    def collect(self, directory: Path, wanted: Wanted | None = None) -> Profile:
        """What the job sent. Raises InstrumentError when it sent nothing that can be seen."""
        logs = [log for path in sorted(directory.glob("*.tap")) if (log := _read(path))]
        return assemble(logs, name="capture", wanted=wanted)


def switch(directory: Path, on: bool) -> None:
    """Pauses the recording of all processes that have recorded anything so far, or lets it go on."""
    with Taps(directory) as taps:
        taps.set(on)


def _tap() -> Path:
    places = (Path(place).resolve() / _LIBRARY for place in tensorwire.__path__)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise InstrumentError("the tap was not built here; install tensorwire again, with a C++ compiler")
    if set(str(path)) & set(" :"):
        raise InstrumentError(f"the tap lies at {path}; LD_PRELOAD takes no path with a space or a colon")
    return path


def _read(path: Path) -> Log | None:
    """A log, or None where a process was ended as it began one. The file is far larger than what was written."""
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
        try:
            used = decode_head(head).used
        except FileFormatError:
            return None
        return decode(head + file.read(used - HEADER_BYTES))


instrument = Wire()
