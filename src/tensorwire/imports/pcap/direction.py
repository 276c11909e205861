"""What one end of a connection sent: HTTP/2 with gRPC in it, or bytes of which only the number is told."""

from collections.abc import Callable
from enum import Enum, auto

import msgspec

from tensorwire.imports.pcap.found import Connection, Found
from tensorwire.imports.pcap.frames import Frames, Unreadable
from tensorwire.imports.pcap.grpc import Speaker
from tensorwire.imports.pcap.resync import Search
from tensorwire.imports.pcap.values import Call, Piece, Remark, Sent

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEAD = 9
_LONGEST_SETTINGS = 16384
_TLS = b"\x16\x03"


class _Speaks(Enum):
    UNDECIDED = auto()
    HTTP2 = auto()
    HTTP2_CLIENT = auto()
    OTHER = auto()


class Direction:
    """Takes the bytes of one end, of which `whole` says that the first is the first that was sent."""

    def __init__(self, found: Found, connection: Connection, which: int, whole: bool) -> None:
        self._found = found
        self._connection = connection
        self._which = which
        self._speaker = Speaker(connection.calls, which, found.tally, self._message, self._role)
        self._frames: Frames | None = None
        self._search: Search | None = None
        self._head = bytearray()
        self._pieces: list[Piece] = []
        """Until it is decided what it is."""
        self._burst = 0
        self._unread = 0
        """Bytes that no frame is known of."""
        self._last_ns = 0
        self._amid_hole = False
        self._take: Callable[[Piece], None] = self._decide if whole else self._begin_midway

    def take(self, piece: Piece) -> None:
        if piece.at_ns < self._last_ns:  # it came out of order: what it waited for was sent before
            piece = msgspec.structs.replace(piece, at_ns=self._last_ns)
        self._last_ns = piece.at_ns
        self._amid_hole = False
        self._found.tally[Remark.CUT] += piece.length - len(piece.data)
        self._take(piece)

    def hole(self, count: int, at_ns: int) -> None:
        self._found.tally[Remark.HOLES] += not self._amid_hole
        self._amid_hole = True
        self._found.tally[Remark.MISSING] += count
        self._flush()
        self._last_ns = max(self._last_ns, at_ns)
        self._missing(count, self._last_ns)

    def finish(self) -> None:
        """Nothing follows."""
        if self._take == self._decide:
            self._be_other()
        self._flush()
        self._look()
        self._speaker.finish()

    def settle(self) -> None:
        """Counts what was not read, once both ends are finished."""
        if self._connection.http2:
            self._found.tally[Remark.UNREAD] += self._unread

    def _begin_midway(self, piece: Piece) -> None:
        """Unless it is just the packet that opened the connection that the capture lacks."""
        if bytes(piece.data[: len(_PREFACE)]) == _PREFACE:
            self._take = self._decide
        else:
            self._lose()
        self._take(piece)

    def _decide(self, piece: Piece) -> None:
        self._pieces.append(piece)
        self._head += piece.data[: len(_PREFACE)]
        speaks = _protocol(bytes(self._head))
        if speaks is _Speaks.UNDECIDED and piece.length > len(piece.data):
            self._lose()
            self._replay()
        elif speaks is _Speaks.OTHER:
            self._be_other()
        elif speaks is not _Speaks.UNDECIDED:
            self._connection.http2 = True
            self._role(speaks is _Speaks.HTTP2_CLIENT)
            self._frames, self._take = Frames(self._speaker), self._follow
            self._replay(len(_PREFACE) if speaks is _Speaks.HTTP2_CLIENT else 0)

    def _be_other(self) -> None:
        self._connection.tls |= self._head.startswith(_TLS)
        self._take = self._count
        self._replay()

    def _replay(self, without: int = 0) -> None:
        """Takes again what came before it was decided what it is, without so many of its first bytes."""
        pieces, self._pieces = self._pieces, []
        for piece in pieces:
            gone = min(without, len(piece.data))
            without -= gone
            self._take(Piece(piece.at_ns, piece.data[gone:], piece.length - gone, piece.pushed))

    def _follow(self, piece: Piece) -> None:
        self._feed(piece.data, piece.at_ns)
        self._cut(piece)

    def _feed(self, data: memoryview, at_ns: int) -> None:
        if self._frames is None:
            self._unread += len(data)
            return
        try:
            self._frames.feed(data, at_ns)
        except Unreadable as wrong:
            self._unread += wrong.left
            self._lose()

    def _look_for_frames(self, piece: Piece) -> None:
        self._count(piece)
        if self._search is not None:
            self._resume(self._search.add(piece.data, piece.at_ns))
        self._cut(piece)

    def _cut(self, piece: Piece) -> None:
        cut = piece.length - len(piece.data)
        if cut:
            self._missing(cut, piece.at_ns)

    def _count(self, piece: Piece) -> None:
        self._unread += len(piece.data)
        if not self._connection.http2:
            self._burst += piece.length
            if piece.pushed:
                self._flush()

    def _flush(self) -> None:
        if self._burst:
            self._found.messages.append(Sent(self._last_ns, self._connection.number, self._which, None, self._burst))
            self._burst = 0

    def _missing(self, count: int, at_ns: int) -> None:
        if self._take == self._decide:
            self._lose()
            self._replay()
        self._look()
        if self._frames is not None:
            if not self._frames.skip(count, at_ns):
                self._lose()
        elif self._search is not None:
            self._search = Search()

    def _lose(self) -> None:
        """From here on it is not certain where a frame begins."""
        if self._frames is not None:
            self._unread += self._frames.begun
        self._speaker.lost()
        self._frames, self._search, self._take = None, Search(), self._look_for_frames

    def _look(self) -> None:
        if self._search is not None:
            self._resume(self._search.found())

    def _resume(self, certain: list[tuple[memoryview, int]]) -> None:
        """Goes on with frames, if there are any."""
        if not certain:
            return
        self._found.tally[Remark.FOLLOWED] += 1
        self._connection.http2 = True
        self._burst = 0
        self._unread -= sum(len(data) for data, _ in certain)
        self._frames, self._search, self._take = Frames(self._speaker), None, self._follow
        for data, at_ns in certain:
            self._feed(data, at_ns)

    def _message(self, call: Call, size: int, at_ns: int) -> None:
        self._found.messages.append(Sent(at_ns, self._connection.number, self._which, call, size))

    def _role(self, is_client: bool) -> None:
        self._connection.client = self._which if is_client else 1 - self._which


def _protocol(head: bytes) -> _Speaks:
    """By the first bytes: a client begins with its preface, a server with its SETTINGS."""
    if head.startswith(_PREFACE):
        return _Speaks.HTTP2_CLIENT
    if _PREFACE.startswith(head):
        return _Speaks.UNDECIDED
    length = int.from_bytes(head[:3], "big")
    settings = (b"\x04" + bytes(5)).startswith(head[3:_FRAME_HEAD])
    if not settings or (len(head) >= 3 and (length % 6 or length > _LONGEST_SETTINGS)):
        return _Speaks.OTHER
    return _Speaks.HTTP2 if len(head) >= _FRAME_HEAD else _Speaks.UNDECIDED
