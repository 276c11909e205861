"""Where ranks meet before any channel exists: an all-gather of blobs, held by the driver. cpp/rank/meeting.h has the
other end, and the frames."""

import contextlib
import hmac
import secrets
import selectors
import socket
import struct
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import msgspec

from tensorwire.errors import LaunchError

_UNIX = "unix:"
_LENGTH = struct.Struct("<I")
_LARGEST_HELLO = 4096
_LARGEST_FRAME = 1 << 30
_TURNED_AWAY = b"it turned away this rank, which is not one of the run or does not know its token"
_HELLO_SECONDS = 10.0
_MOST_STRANGERS = 128  # beside as many as there are ranks: those that came first go first
_SEND_SECONDS = 20.0


class Joined(msgspec.Struct, frozen=True):
    """A rank came, and proved that it belongs."""

    rank: int


class HandedIn(msgspec.Struct, frozen=True):
    """A rank handed in a blob."""

    rank: int
    blob: bytes


class Left(msgspec.Struct, frozen=True):
    """A rank's connection ended."""

    rank: int


Event = Joined | HandedIn | Left


class _Hello(msgspec.Struct):
    rank: int
    proof: str


def proof(token: str, challenge: bytes, rank: int) -> str:
    """What a rank answers a challenge with: only who knows the token can, and what was overheard is of no use again."""
    return hmac.new(token.encode(), challenge + b"%d" % rank, "sha256").hexdigest()


class _Guest:
    """One connection: a stranger until its first frame proves that it is rank `rank`."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.challenge = secrets.token_bytes(32)
        self.since = time.monotonic()
        self.rank: int | None = None
        self.received = bytearray()

    def frames(self) -> Iterator[bytes]:
        """The whole frames received so far. Raises ValueError for what cannot be one."""
        while len(self.received) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self.received)
            if length == 0 or length > (_LARGEST_HELLO if self.rank is None else _LARGEST_FRAME):
                raise ValueError("not a frame")
            end = _LENGTH.size + length
            if len(self.received) < end:
                return
            frame = bytes(self.received[_LENGTH.size : end])
            del self.received[:end]
            yield frame


class Meeting:
    """The meeting of `size` ranks. One thread: nothing happens outside `pump`."""

    def __init__(self, size: int, where: str = "127.0.0.1") -> None:
        """Listens at a numeric address, or at unix:PATH. Raises LaunchError when it cannot."""
        self.token = secrets.token_hex(16)
        self._size = size
        self._listening = _listen(where, max(128, size))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._guests: dict[int, _Guest] = {}
        self._strangers: dict[_Guest, None] = {}  # the oldest first
        self._gathered: dict[int, bytes] = {}
        self._seen: set[int] = set()

    @property
    def address(self) -> str:
        """Where ranks find it: HOST:PORT or unix:PATH."""
        if self._listening.family == socket.AF_UNIX:
            return f"{_UNIX}{self._listening.getsockname()}"
        host, port = self._listening.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def absent(self) -> list[int]:
        """The ranks that never came."""
        return [rank for rank in range(self._size) if rank not in self._seen]

    @property
    def late(self) -> list[int]:
        """The ranks that the others wait for."""
        return [rank for rank in range(self._size) if rank not in self._gathered] if self._gathered else []

    def pump(self, seconds: float) -> list[Event]:
        """What happened, waiting for at most `seconds` for something to happen."""
        events: list[Event] = []
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._listening:
                self._admit()
            else:
                events += self._hear(key.data)
        for stranger in [each for each in self._strangers if time.monotonic() - each.since > _HELLO_SECONDS]:
            self._drop(stranger)
        return events

    def end(self, reason: str) -> None:
        """Tells the ranks that the run is over, as far as they still listen."""
        for guest in list(self._guests.values()):
            self._send(guest, b"X" + reason.encode())

    def close(self) -> None:
        for guest in [*self._guests.values(), *self._strangers]:
            guest.connection.close()
        self._listening.close()
        self._selector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _admit(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except OSError:  # it left at once, or there is no descriptor for it
            return
        connection.settimeout(_SEND_SECONDS)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stranger = _Guest(connection)
        self._strangers[stranger] = None
        self._selector.register(connection, selectors.EVENT_READ, stranger)
        self._send(stranger, b"C" + stranger.challenge)
        if len(self._strangers) > self._size + _MOST_STRANGERS:
            self._drop(next(iter(self._strangers)))

    def _hear(self, guest: _Guest) -> list[Event]:
        try:
            received = guest.connection.recv(1 << 20)
        except OSError:
            received = b""
        guest.received += received
        events: list[Event] = []
        try:
            for frame in guest.frames():
                events += self._take(guest, frame)
        except ValueError:
            if guest.rank is None:
                self._send(guest, b"X" + _TURNED_AWAY)
            received = b""
        if not received:
            events += [] if guest.rank is None else [Left(guest.rank)]
            self._drop(guest)
        return events

    def _take(self, guest: _Guest, frame: bytes) -> list[Event]:
        if guest.rank is None:
            return [self._welcome(guest, frame)]
        kind, blob = frame[:1], frame[1:]
        if kind == b"H":
            return [HandedIn(guest.rank, blob)]
        if kind != b"G" or guest.rank in self._gathered:
            raise ValueError("not a step of the meeting")
        self._gathered[guest.rank] = blob
        if len(self._gathered) == self._size:
            self._share()
        return []

    def _welcome(self, guest: _Guest, frame: bytes) -> Joined:
        """Raises ValueError (msgspec's is one) for a stranger, and for a rank that is here already."""
        hello = msgspec.json.decode(frame, type=_Hello)
        expected = proof(self.token, guest.challenge, hello.rank)
        if not hmac.compare_digest(hello.proof.encode(), expected.encode()):
            raise ValueError("it does not know the token of this run")
        if hello.rank in self._seen or not 0 <= hello.rank < self._size:
            raise ValueError("no such rank is expected")
        self._send(guest, b"W")
        guest.rank = hello.rank
        self._seen.add(hello.rank)
        self._strangers.pop(guest, None)
        self._guests[hello.rank] = guest
        return Joined(hello.rank)

    def _share(self) -> None:
        blobs = [self._gathered[rank] for rank in range(self._size)]
        self._gathered.clear()
        answer = b"G" + b"".join(_LENGTH.pack(len(blob)) + blob for blob in blobs)
        for guest in list(self._guests.values()):
            self._send(guest, answer)

    def _send(self, guest: _Guest, frame: bytes) -> None:
        try:
            guest.connection.sendall(_LENGTH.pack(len(frame)) + frame)
        except OSError:
            with contextlib.suppress(OSError):
                guest.connection.shutdown(socket.SHUT_RDWR)  # the next `pump` finds that it left

    def _drop(self, guest: _Guest) -> None:
        if guest.connection.fileno() < 0:
            return  # it was dropped already, in the same round
        self._selector.unregister(guest.connection)
        guest.connection.close()
        self._strangers.pop(guest, None)
        if guest.rank is not None:
            self._guests.pop(guest.rank, None)


def _listen(where: str, backlog: int) -> socket.socket:
    try:
        if where.startswith(_UNIX):
            return socket.create_server(where.removeprefix(_UNIX), family=socket.AF_UNIX, backlog=backlog)
        family = socket.AF_INET6 if ":" in where else socket.AF_INET
        return socket.create_server((where, 0), family=family, backlog=backlog)
    except OSError as wrong:
        remedy = "; set TMPDIR to a directory with a shorter name" if where.startswith(_UNIX) else ""
        raise LaunchError(f"the driver cannot listen at {where}: {wrong.strerror or wrong}{remedy}") from wrong
