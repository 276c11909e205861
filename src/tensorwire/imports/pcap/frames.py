"""HTTP/2 frames (RFC 9113) out of the bytes of one direction, cut anywhere; DATA is passed on as it comes."""

from typing import Protocol

from hyperframe.exceptions import HyperframeError
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PushPromiseFrame,
    RstStreamFrame,
)

_HEAD = 9


class Unreadable(Exception):
    """The bytes are not HTTP/2, or no longer where a frame begins; so many of them are left."""

    left = 0


class Told(Protocol):
    """What is told of the frames, in their order."""

    def headers(self, stream: int, block: bytes | None, ends: bool) -> None:
        """A header block; None where a part of it is missing."""
        ...

    def data(self, stream: int, data: memoryview, at_ns: int) -> None: ...

    def hidden(self, stream: int, count: int | None, at_ns: int) -> None:
        """So many bytes of DATA are missing; None where their number is not known."""
        ...

    def ended(self, stream: int) -> None: ...

    def reset(self, stream: int) -> None: ...


class Frames:
    """Follows one direction from where a frame begins."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._head = bytearray()
        self._frame: Frame | None = None
        self._left = 0
        self._body: bytearray | None = None
        """Of a frame that is read whole; None while it is DATA, passed on."""
        self._holed = False
        self._headers: HeadersFrame | None = None
        self._block: bytearray | None = bytearray()

    @property
    def begun(self) -> int:
        """Bytes of a head that is not whole."""
        return len(self._head)

    def feed(self, data: memoryview, at_ns: int) -> None:
        """The next bytes. Raises Unreadable when they cannot be a frame's."""
        at, size = 0, len(data)
        try:
            while at < size:
                at += self._take(data[at:], at_ns)
        except Unreadable as wrong:
            wrong.left = size - at
            raise

    def _take(self, data: memoryview, at_ns: int) -> int:
        """Takes what is of one head or one content: so many bytes."""
        if self._frame is None:
            taken = min(_HEAD - len(self._head), len(data))
            self._head += data[:taken]
            if len(self._head) == _HEAD:
                self._begin(at_ns)
            return taken
        taken = min(self._left, len(data))
        if self._body is None:
            self._told.data(self._frame.stream_id, data[:taken], at_ns)
        else:
            self._body += data[:taken]
        self._passed(taken, at_ns)
        return taken

    def skip(self, count: int, at_ns: int) -> bool:
        """So many bytes are missing: whether it is still certain where the next frame begins."""
        if self._frame is None:
            return False
        within = min(count, self._left)  # of this frame: they were sent, as what follows them was
        if self._body is None:
            self._told.hidden(self._frame.stream_id, within, at_ns)
        else:
            self._holed = True
        self._passed(within, at_ns)
        return within == count

    def _begin(self, at_ns: int) -> None:
        try:
            self._frame, self._left = Frame.parse_frame_header(memoryview(bytes(self._head)))
        except HyperframeError as wrong:
            raise Unreadable(str(wrong)) from wrong
        goes_on = self._headers is not None
        same = self._headers is not None and self._headers.stream_id == self._frame.stream_id
        if goes_on != isinstance(self._frame, ContinuationFrame) or (goes_on and not same):
            raise Unreadable("a header block is interrupted")
        if isinstance(self._frame, PushPromiseFrame):
            raise Unreadable("gRPC has no pushed streams")
        passed_on = isinstance(self._frame, DataFrame) and "PADDED" not in self._frame.flags
        self._body = None if passed_on else bytearray()
        self._head.clear()
        self._holed = False
        self._passed(0, at_ns)

    def _passed(self, count: int, at_ns: int) -> None:
        self._left -= count
        frame = self._frame
        if self._left or frame is None:
            return
        self._frame = None
        if isinstance(frame, DataFrame | HeadersFrame | ContinuationFrame):
            self._parse(frame)
        if isinstance(frame, DataFrame):
            self._end_data(frame, at_ns)
        elif isinstance(frame, HeadersFrame | ContinuationFrame):
            self._end_headers(frame)
        elif isinstance(frame, RstStreamFrame):
            self._told.reset(frame.stream_id)

    def _parse(self, frame: Frame) -> None:
        if self._body is None or self._holed:
            return
        try:
            frame.parse_body(memoryview(bytes(self._body)))
        except HyperframeError as wrong:
            raise Unreadable(str(wrong)) from wrong

    def _end_data(self, frame: DataFrame, at_ns: int) -> None:
        if self._holed and self._body is not None:
            self._told.hidden(frame.stream_id, None, at_ns)
        elif self._body is not None:
            self._told.data(frame.stream_id, memoryview(frame.data), at_ns)
        if "END_STREAM" in frame.flags:
            self._told.ended(frame.stream_id)

    def _end_headers(self, frame: HeadersFrame | ContinuationFrame) -> None:
        if isinstance(frame, HeadersFrame):
            self._headers, self._block = frame, bytearray()
        if self._holed:
            self._block = None
        elif self._block is not None:
            self._block += frame.data
        if "END_HEADERS" in frame.flags and self._headers is not None:
            first, self._headers = self._headers, None
            block = None if self._block is None else bytes(self._block)
            self._told.headers(first.stream_id, block, "END_STREAM" in first.flags)
