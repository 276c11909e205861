"""Benchmarks what distributed deep learning puts on the wire, and every layer above it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tensorwire.marking import step as step


def version() -> str:
    """The installed version, or 0+unknown in a source tree that was never installed."""
    from importlib import metadata  # 25 ms that `tensorwire --help` need not spend

    try:
        return metadata.version("tensorwire")
    except metadata.PackageNotFoundError:
        return "0+unknown"


def __getattr__(name: str) -> object:
    """`step` is looked up once, when it is first used: only programs that are watched need it."""
    if name != "step":
        raise AttributeError(f"module 'tensorwire' has no attribute {name!r}")
    from tensorwire.marking import step

    globals()["step"] = step
    return step
