"""One direction of a TCP connection: its bytes in order, once each, and the holes where the capture lacks some."""

import heapq
from collections import deque
from typing import Protocol

from tensorwire.imports.pcap.values import Piece

_WRAP, _HALF = 1 << 32, 1 << 31
_FARTHEST = 1 << 30  # the largest window that TCP can have
_PATIENCE = 64  # segments; what was acknowledged may stand a little later in the file than what acknowledged it
_MOST_WAITING = 64 << 20


class Receiver(Protocol):
    """Told what was sent, in the order in which it was."""

    def take(self, piece: Piece) -> None: ...

    def hole(self, count: int, at_ns: int) -> None:
        """So many bytes were sent before then, and are not in the capture; one hole may be told in parts."""
        ...


class Flow:
    """Puts segments in order. A hole is told when it is certain: the other end has the bytes, and they do not come."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._first: int | None = None
        self._next = 0
        self._waiting: list[tuple[int, int, Piece]] = []
        self._waiting_bytes = 0
        self._count = 0
        self._acknowledged = 0
        self._acknowledged_at = 0
        self._answers: deque[tuple[int, int]] = deque(maxlen=_PATIENCE)
        """The last acknowledgments of what did not come, and when."""
        self._sent = 0
        self._end: int | None = None

    @property
    def begun(self) -> bool:
        return self._first is not None

    @property
    def complete(self) -> bool:
        """Whether its end was told, and all before it."""
        return self._end is not None and self._next >= self._end

    def begin(self, number: int) -> None:
        """The sequence number of the first byte that is sent, or is seen."""
        self._first = number % _WRAP

    def begins_at(self, number: int) -> bool:
        return self._first == number % _WRAP

    def near(self, number: int) -> bool:
        """Whether a segment with this sequence number can belong here."""
        return abs(self._place(number) - self._next) <= _FARTHEST

    def take(self, number: int, piece: Piece) -> None:
        """A segment with content, whatever was sent before."""
        place = self._place(number)
        self._count += 1
        if place > self._next:
            heapq.heappush(self._waiting, (place, self._count, piece))
            self._waiting_bytes += piece.length
            self._give_up_lost()
            return
        self._deliver(place, piece)
        if self._waiting:
            self._deliver_waiting()

    def sent(self, number: int) -> None:
        """The sender has sent all before this number, as one of its segments says."""
        self._sent = max(self._sent, self._place(number))

    def end(self, number: int) -> None:
        """The sender said that its bytes end here."""
        self._end = self._place(number)

    def acknowledge(self, number: int, at_ns: int) -> None:
        """The other end has all bytes up to here."""
        if self._first is None:
            return
        place = self._place(number)
        if self._acknowledged < place <= self._next + _FARTHEST:
            if self._acknowledged <= self._next < place:
                self._acknowledged_at = self._count
            self._acknowledged = place
            if place > self._next:
                self._answers.append((place, at_ns))
        if self._waiting:
            self._count += 1
            self._give_up_lost()

    def finish(self, at_ns: int) -> None:
        """Nothing follows: what is missing will not come."""
        while self._waiting:
            self._hole(self._waiting[0][0], at_ns)
        known = max(self._sent, self._acknowledged) if self._end is None else self._end
        unseen = known - self._next
        if unseen > (self._end is None):  # the one may be the end itself, which counts as a byte
            self._hole(self._next + unseen, at_ns)

    def _place(self, number: int) -> int:
        """Bytes since the first, from a number that wraps."""
        away = (number - (self._first or 0) - self._next) % _WRAP
        return self._next + (away if away < _HALF else away - _WRAP)

    def _deliver(self, place: int, piece: Piece) -> None:
        old = self._next - place
        if old >= piece.length:
            return
        self._next = place + piece.length
        if old > 0:
            piece = Piece(piece.at_ns, piece.data[old:], piece.length - old, piece.pushed)
        self._receiver.take(piece)

    def _deliver_waiting(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._next:
            place, _, piece = heapq.heappop(self._waiting)
            self._waiting_bytes -= piece.length
            self._deliver(place, piece)

    def _give_up_lost(self) -> None:
        lost = self._acknowledged > self._next and self._count - self._acknowledged_at > _PATIENCE
        if lost:
            self._hole(min(self._acknowledged, self._waiting[0][0]), self._waiting[0][2].at_ns)
            self._acknowledged_at = self._count
        elif self._waiting_bytes > _MOST_WAITING:
            self._hole(self._waiting[0][0], self._waiting[0][2].at_ns)

    def _hole(self, until: int, at_ns: int) -> None:
        """What is missing was sent before what follows it, and before it was acknowledged."""
        latest = self._waiting[0][2].at_ns if self._waiting else at_ns
        for place, when in sorted(self._answers):
            if self._next < min(place, until):
                self._receiver.hole(min(place, until) - self._next, min(when, latest))
                self._next = min(place, until)
        if self._next < until:
            self._receiver.hole(until - self._next, latest)
            self._next = until
        self._deliver_waiting()
