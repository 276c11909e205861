"""Benchmarks what distributed deep learning puts on the wire, and every layer above it."""


def version() -> str:
    """The installed version, or 0+unknown in a source tree that was never installed."""
    from importlib import metadata  # 25 ms that `tensorwire --help` need not spend

    try:
        return metadata.version("tensorwire")
    except metadata.PackageNotFoundError:
        return "0+unknown"
