"""The connections of a capture: which segment belongs to which, when each begins, and when it is over."""

from collections import deque

from tensorwire.imports.pcap.direction import Direction
from tensorwire.imports.pcap.found import Connection, Found
from tensorwire.imports.pcap.layers import ACK, FIN, PSH, RST, SYN
from tensorwire.imports.pcap.reassembly import Flow
from tensorwire.imports.pcap.values import Piece, Remark, Segment

_KEPT = 4096
"""Closed connections that are remembered, for what is sent again after their end."""


class _Open:
    """A connection that is being read."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.flows: list[Flow | None] = [None, None]
        self.directions: list[Direction | None] = [None, None]
        self.closed = False


class Table:
    """Sorts segments by connection, and follows each."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self._ends: dict[bytes, tuple[_Open, int]] = {}
        self._closed: deque[tuple[bytes, _Open]] = deque()

    def take(self, segment: Segment) -> None:
        """The next segment of the capture."""
        key = segment.source + segment.destination
        place = self._ends.get(key)
        if segment.flags & SYN:
            place = self._opening(segment, key, place)
        elif place is None:
            if not segment.length or segment.flags & RST:
                return
            self._found.tally[Remark.MIDWAY] += 1
            place = self._new(segment, key)
        known, which = place
        if not known.closed:
            self._follow(segment, known, which)

    def finish(self) -> None:
        """The capture is over: so is every connection."""
        for known, which in list(self._ends.values()):
            if which == 0 and not known.closed:
                self._close(known, self._found.end_ns)
        self._ends.clear()

    def _follow(self, segment: Segment, known: _Open, which: int) -> None:
        number = segment.number + (1 if segment.flags & SYN else 0)
        flow = known.flows[which]
        if flow is None and segment.length:
            flow = self._begin(known, which, number, whole=False)
        if flow is not None and not flow.near(number):
            self._found.tally[Remark.STRAY] += 1
            return
        if flow is not None:
            if segment.length:
                pushed = bool(segment.flags & (PSH | FIN))
                flow.take(number, Piece(segment.at_ns, segment.data, segment.length, pushed))
            elif not segment.flags & RST:
                flow.sent(number)
            if segment.flags & FIN:
                flow.end(number + segment.length)
        other = known.flows[1 - which]
        if other is not None and segment.flags & ACK:
            other.acknowledge(segment.acknowledged, segment.at_ns)
        both_ended = all(each is not None and each.complete for each in known.flows)
        if segment.flags & RST or both_ended:
            self._close(known, segment.at_ns)

    def _opening(self, segment: Segment, key: bytes, place: tuple[_Open, int] | None) -> tuple[_Open, int]:
        """The connection that a SYN opens; a SYN that is sent again opens no other one."""
        first = segment.number + 1
        if place is not None:
            flow = place[0].flows[place[1]]
            answers = segment.flags & ACK and flow is None and not place[0].closed
            if (flow is not None and flow.begins_at(first)) or answers:
                if answers:
                    self._begin(*place, first, whole=True)
                return place
            if not place[0].closed:
                self._close(place[0], segment.at_ns)
        known, which = self._new(segment, key)
        known.connection.connecting = 1 if segment.flags & ACK else 0
        self._begin(known, which, first, whole=True)
        return known, which

    def _new(self, segment: Segment, key: bytes) -> tuple[_Open, int]:
        connection = Connection(len(self._found.connections), (segment.source, segment.destination))
        self._found.connections.append(connection)
        known = _Open(connection)
        self._ends[segment.destination + segment.source] = known, 1
        self._ends[key] = known, 0
        return known, 0

    def _begin(self, known: _Open, which: int, number: int, whole: bool) -> Flow:
        direction = Direction(self._found, known.connection, which, whole)
        flow = Flow(direction)
        flow.begin(number)
        known.flows[which], known.directions[which] = flow, direction
        return flow

    def _close(self, known: _Open, at_ns: int) -> None:
        for flow in known.flows:
            if flow is not None:
                flow.finish(at_ns)
        directions = [direction for direction in known.directions if direction is not None]
        for direction in directions:
            direction.finish()
        for direction in directions:
            direction.settle()
        known.closed = True
        known.directions = [None, None]
        known.connection.calls.clear()
        ends = known.connection.ends
        self._closed.append((ends[0] + ends[1], known))
        if len(self._closed) > _KEPT:
            self._forget(*self._closed.popleft())

    def _forget(self, key: bytes, known: _Open) -> None:
        """Unless its addresses and ports were used again."""
        source, destination = known.connection.ends
        if self._ends.get(key, (None, 0))[0] is known:
            del self._ends[key], self._ends[destination + source]
