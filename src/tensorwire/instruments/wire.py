"""What the processes of a job send over stream sockets: a library in LD_PRELOAD watches their system calls."""

import ctypes
from collections.abc import Mapping
from pathlib import Path

import tensorwire
from tensorwire.errors import FileFormatError, InstrumentError
from tensorwire.instruments.assemble import assemble
from tensorwire.instruments.tap_log import ENABLED_AT, HEADER_BYTES, Log, decode, decode_head
from tensorwire.profile import Profile

_LIBRARY = Path("lib") / "libtensorwire-tap.so"


class Wire:
    """Sees dynamically linked programs of this machine, and all that they fork and exec with their environment.

    Not seen: io_uring, sendfile, splice, RDMA, and sockets that the program was started with.
    """

    name = "wire"

    def attach(self, environment: Mapping[str, str], directory: Path) -> dict[str, str]:
        """The environment in which a job is watched. Raises InstrumentError where the tap was not built."""
        tap = _tap()
        before = environment.get("LD_PRELOAD")
        preload = f"{tap}:{before}" if before else str(tap)
        return {**environment, "LD_PRELOAD": preload, "TENSORWIRE_TAP": str(directory.resolve())}

    def collect(self, directory: Path) -> Profile:
        """What the job sent. Raises InstrumentError when it sent nothing that can be seen."""
        return assemble([log for path in sorted(directory.glob("*.tap")) if (log := _read(path))], name="capture")


def switch(directory: Path, on: bool) -> None:
    """Pauses the recording of all processes that have recorded anything so far, or lets it go on."""
    for path in directory.glob("*.tap"):
        with path.open("r+b") as file:
            file.seek(ENABLED_AT)
            file.write(int(on).to_bytes(4, "little"))


def mark(value: int = 0) -> None:
    """Ends one step and begins the next in the profile of this process, if it is watched; costs nothing if not."""
    try:
        told = ctypes.CDLL(None).tensorwire_tap_mark
    except AttributeError:
        return
    told(ctypes.c_uint64(value))


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
