"""UCX through its UCP layer: active messages or tags. The native half is cpp/channels/ucx.cc."""

import ctypes.util
import importlib.util
import re
from pathlib import Path
from typing import Literal

import msgspec

from tensorwire.channels import Native
from tensorwire.errors import ChannelUnavailable, SpecError
from tensorwire.units import Bytes

_AUTO, _PYPI = "auto", "pypi"
_LIBRARY = "libucp.so.0"
_NAMES = re.compile(r"\^?[\w/:.*-]+(,\^?[\w/:.*-]+)*")
_LARGEST = 2**31


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How UCX is used. What is not said here UCX takes from its UCX_ environment variables, which a result tells."""

    transport: str = _AUTO
    """Of UCX's transports, those that it may use: tcp, shm, rc, ud ... (its UCX_TLS); auto: the best that it finds."""
    devices: str = _AUTO
    """Network devices that it may use (its UCX_NET_DEVICES); auto: any, or with transport tcp, the host's own."""
    api: Literal["am", "tag"] = "am"
    """Active messages, or tag matching."""
    strategy: Literal["coalesce", "iov", "per-buffer"] = "coalesce"
    """Small buffers packed into one message, UCX's own iovec datatype, or a message for each buffer."""
    coalesce_below: Bytes = Bytes(2**16)
    """Buffers smaller than this are packed together; larger ones are messages of their own."""
    rndv_threshold: Bytes | Literal["auto"] = "auto"
    """Messages of this size and above are fetched by the receiver (its UCX_RNDV_THRESH); auto: UCX's choice."""
    seg_size: Bytes = Bytes(2**18)
    """Bytes that it sends or receives at once over TCP (UCX's own defaults are 8 KiB and 64 KiB)."""
    library: str = _AUTO
    """The libucp to load: a path, pypi for the one of the package libucx-cu12, or auto: the system's, else that."""

    def __post_init__(self) -> None:
        for field, names in (("transport", self.transport), ("devices", self.devices)):
            if not _NAMES.fullmatch(names):
                raise SpecError(field, names, "auto, or UCX's names joined by commas, such as tcp or rc,ud")
        for field, value, least in (
            ("coalesce_below", self.coalesce_below, 0),
            ("rndv_threshold", self.rndv_threshold if isinstance(self.rndv_threshold, int) else 0, 0),
            ("seg_size", self.seg_size, 4096),
        ):
            if not least <= value <= _LARGEST:
                raise SpecError(field, value, f"from {least} to {_LARGEST}")
        msgspec.structs.force_setattr(self, "library", _library(self.library))


def _library(asked: str) -> str:
    """The path of the library meant, or auto for the system's."""
    if asked == _PYPI:
        found = _from_pypi()
        if found is None:
            raise ChannelUnavailable("library pypi of channel ucx needs UCX from PyPI: pip install libucx-cu12")
        return found
    if asked == _AUTO:
        found = _from_pypi()
        return found if found and ctypes.util.find_library("ucp") is None else _AUTO
    if not Path(asked).is_file():
        raise SpecError("library", asked, "auto, pypi, or the path of a libucp.so")
    return asked


def _from_pypi() -> str | None:
    package = importlib.util.find_spec("libucx")
    places = package.submodule_search_locations or [] if package else []
    return next((str(path) for place in places if (path := Path(place) / "lib" / _LIBRARY).is_file()), None)


channel = Native(
    name="ucx",
    summary="UCX: active messages or tags over InfiniBand, RoCE, shared memory or TCP, as it finds",
    options=Options,
    remedy="apt-get install libucx-dev",
)
