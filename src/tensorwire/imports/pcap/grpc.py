"""gRPC messages in the DATA of HTTP/2 streams: what one end of a connection sent."""

import struct
from collections.abc import Callable

from tensorwire.imports.pcap.headers import Headers
from tensorwire.imports.pcap.values import Call, Remark, Tally

_PREFIX = struct.Struct(">BI")
_GRPC = b"application/grpc"


class NotCertain(Exception):
    """Where the next message begins is not known, or it is no gRPC."""


class Framing:
    """The messages of one stream in one direction: 5 bytes before each say whether it is compressed, and its size."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.compressed = 0
        self._prefix = bytearray()
        self._size = 0
        self._left = 0

    @property
    def unfinished(self) -> bool:
        return bool(self._prefix)

    def feed(self, data: memoryview) -> list[int]:
        """The sizes of the messages that end in the next bytes. Raises NotCertain when they are not gRPC."""
        ended: list[int] = []
        at, size = 0, len(data)
        while at < size:
            if len(self._prefix) < _PREFIX.size:
                taken = min(_PREFIX.size - len(self._prefix), size - at)
                self._prefix += data[at : at + taken]
                self._begin()
            else:
                taken = min(self._left, size - at)
                self._left -= taken
            at += taken
            self._end(ended)
        return ended

    def skip(self, count: int) -> list[int]:
        """The same for bytes of which only the number is known. Raises NotCertain when a message may begin in them."""
        if len(self._prefix) < _PREFIX.size or count > self._left:
            raise NotCertain
        self._left -= count
        ended: list[int] = []
        self._end(ended)
        return ended

    def _begin(self) -> None:
        if self._prefix[0] > 1:
            raise NotCertain
        if len(self._prefix) == _PREFIX.size:
            compressed, self._size = _PREFIX.unpack(self._prefix)
            self._left = self._size
            self.compressed += compressed

    def _end(self, ended: list[int]) -> None:
        if len(self._prefix) == _PREFIX.size and self._left == 0:
            ended.append(self._size)
            self._prefix.clear()


class Speaker:
    """Follows the calls of one end of a connection, as its frames tell them.

    `sent` is told of each message: its call, its size and when it ended; `is_client` of what the headers make certain.
    """

    def __init__(
        self,
        calls: dict[int, Call],
        direction: int,
        tally: Tally,
        sent: Callable[[Call, int, int], None],
        is_client: Callable[[bool], None],
    ) -> None:
        self._calls = calls
        self._direction = direction
        self._tally = tally
        self._sent = sent
        self._is_client = is_client
        self._headers = Headers(whole=True)
        self._streams: dict[int, Framing | None] = {}
        """Those that are open; None for one that is not gRPC."""

    def lost(self) -> None:
        """Nothing that was known of the direction holds any longer."""
        for framing in self._streams.values():
            self._tally[Remark.UNFINISHED] += framing is not None and framing.unfinished
        self._streams.clear()
        self._headers = Headers(whole=False)

    def headers(self, stream: int, block: bytes | None, ends: bool) -> None:
        if block is None:
            self._headers = Headers(whole=False)
        fields = self._fields(block) if block is not None else {b"": b""}
        if stream not in self._streams:
            self._open(stream, fields, ends)
        if ends:
            self.ended(stream)

    def data(self, stream: int, data: memoryview, at_ns: int) -> None:
        framing = self._streams.get(stream)
        if framing is None:
            self._tally[Remark.NOT_GRPC if stream in self._streams else Remark.UNREAD] += len(data)
            return
        try:
            self._tell(framing, framing.feed(data), at_ns)
        except NotCertain:
            self._tally[Remark.NOT_GRPC] += len(data)
            self._streams[stream] = None

    def hidden(self, stream: int, count: int | None, at_ns: int) -> None:
        framing = self._streams.get(stream)
        if framing is None:
            return
        try:
            if count is None:
                raise NotCertain
            self._tell(framing, framing.skip(count), at_ns)
        except NotCertain:
            self._tally[Remark.UNFINISHED] += framing.unfinished
            del self._streams[stream]

    def ended(self, stream: int) -> None:
        followed = stream in self._streams
        self.reset(stream, followed)

    def reset(self, stream: int, whole: bool = False) -> None:
        framing = self._streams.pop(stream, None)
        if framing is not None:
            self._tally[Remark.UNFINISHED] += framing.unfinished
        call = self._calls.get(stream)
        if call is None:
            return
        if whole:
            call.over.add(self._direction)
        if len(call.over) == 2 or not whole:
            del self._calls[stream]

    def finish(self) -> None:
        """Nothing follows."""
        self._tally[Remark.SPOILT] += self._headers.spoilt
        for framing in self._streams.values():
            self._tally[Remark.UNFINISHED] += framing is not None and framing.unfinished

    def _open(self, stream: int, fields: dict[bytes, bytes], ends: bool) -> None:
        call = self._calls.get(stream)
        if call is None and (not ends or b":path" in fields):
            call = self._calls[stream] = Call()
        if call is None:
            return
        if path := fields.get(b":path"):
            call.method = path.partition(b"?")[0].decode(errors="replace")
        kind = fields.get(b"content-type", b"" if b"" not in fields else None)
        self._tally[Remark.UNTYPED] += kind is None and not ends
        self._streams[stream] = Framing(call) if kind is None or kind.startswith(_GRPC) else None

    def _fields(self, block: bytes) -> dict[bytes, bytes]:
        fields = self._headers.fields(block)
        if b":method" in fields or b":path" in fields:
            self._is_client(True)
        elif b":status" in fields:
            self._is_client(False)
        return fields

    def _tell(self, framing: Framing, sizes: list[int], at_ns: int) -> None:
        for size in sizes:
            self._sent(framing.call, size, at_ns)
        self._tally[Remark.COMPRESSED] += framing.compressed
        framing.compressed = 0
