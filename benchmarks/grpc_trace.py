"""What gRPC says of itself with GRPC_TRACE=http and GRPC_VERBOSITY=debug, as of gRPC 1.74."""

import re
from collections.abc import Iterator

PREFIX = 5
"""Bytes that gRPC puts before each message."""

_SENT = re.compile(r"perform_stream_op\[s=.*?SEND_MESSAGE:flags=0x[0-9a-f]+:len=(\d+)")
_CAME = re.compile(r"INCOMING\[0x[0-9a-f]+\]: DATA(?::[A-Z_:]+)? len:(\d+)")


def sent(trace: str) -> Iterator[int]:
    """The bytes of each message that a process handed to gRPC to be sent, without its prefix."""
    return _numbers(_SENT, trace)


def data_frames(trace: str) -> Iterator[int]:
    """The bytes in each DATA frame that came to a process, without the frame's header."""
    return _numbers(_CAME, trace)


def _numbers(pattern: re.Pattern[str], trace: str) -> Iterator[int]:
    return (int(found[1]) for line in trace.splitlines() if (found := pattern.search(line)))
