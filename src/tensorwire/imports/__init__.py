"""Profiles from traces that people already have. Law: bytes in, a profile out; what a trace does not tell is noted."""

from collections.abc import Callable
from typing import BinaryIO

from tensorwire.imports import kineto, pcap
from tensorwire.profile import Profile


def profile(stream: BinaryIO, name: str, file: str = "the file", told: Callable[[int], None] | None = None) -> Profile:
    """The profile of a trace, of whatever kind its first bytes say; `told` hears how far in a long file it is.

    Raises FileFormatError when it is of no kind that is known, is damaged, or has nothing in it.
    """
    if pcap.is_capture(stream):
        return pcap.profile(stream, name, file, told)
    return kineto.profile(stream.read(), name, file)
