"""What was found so far in a capture."""

from collections import Counter

from tensorwire.imports.pcap.values import Call, Sent, Tally


class Connection:
    """A connection of TCP: its ends are addresses with ports, that of direction 0 first."""

    def __init__(self, number: int, ends: tuple[bytes, bytes]) -> None:
        self.number = number
        self.ends = ends
        self.connecting: int | None = None
        """The direction of the end that opened it, if that was seen."""
        self.http2 = False
        self.tls = False
        self.client: int | None = None
        """The direction of HTTP/2's client, if that is known."""
        self.calls: dict[int, Call] = {}
        """Those that are not over, by their streams."""


class Found:
    """Connections in the order in which they appeared, and messages as they were read."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.messages: list[Sent] = []
        self.tally: Tally = Counter()
        self.begin_ns: int | None = None
        """The time of the first packet."""
        self.end_ns = 0
