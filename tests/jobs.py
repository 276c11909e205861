"""A job with parameter servers for tests, as a capture would tell it."""

from collections.abc import Sequence

from tensorwire.profile import OUTSIDE, Kind, Profile, Stream
from tensorwire.units import Bytes
from tests.profiles import CAPTURE

RECV = "/tensorflow.WorkerService/RecvTensor"
STEP_NS, BUSY_NS, LATE_NS = 100_000, 90_000, 500
VARIABLES = (1000, 0, 70_000)
"""The bytes of the variables; the first lies on server 0, the next on server 1, and so on."""


class Job:
    """Messages as they come, put in the order of their times at the end."""

    def __init__(self, roles: Sequence[str]) -> None:
        self.roles = tuple(roles)
        self._streams: dict[Stream, int] = {}
        self._payloads: dict[tuple[Bytes, ...], int] = {}
        self._messages: list[tuple[int, int, int, int]] = []
        self._exchanges: list[tuple[int, int]] = []

    def send(self, at: int, roles: tuple[str, str], kind: Kind, sizes: Sequence[int], step: int) -> int:
        """One message; returns its number."""
        sender, receiver = (self.roles.index(role) for role in roles)
        stream = Stream(sender=sender, receiver=receiver, kind=kind, method=RECV)
        payload = tuple(map(Bytes, sizes))
        numbers = (
            self._streams.setdefault(stream, len(self._streams)),
            self._payloads.setdefault(payload, len(self._payloads)),
        )
        self._messages.append((at, *numbers, step))
        return len(self._messages) - 1

    def exchange(self, at: int, roles: tuple[str, str], sizes: tuple[Sequence[int], Sequence[int]], step: int) -> None:
        """A request, and LATE_NS after it the reply."""
        asked = self.send(at, roles, "request", sizes[0], step)
        self._exchanges.append((asked, self.send(at + LATE_NS, (roles[1], roles[0]), "reply", sizes[1], step)))

    def profile(self, steps: int, warmup: int = 0) -> Profile:
        order = sorted(range(len(self._messages)), key=lambda number: self._messages[number][0])
        places = {number: place for place, number in enumerate(order)}
        return Profile(
            name="job",
            captured=CAPTURE,
            roles=self.roles,
            streams=tuple(self._streams),
            payloads=tuple(self._payloads),
            messages=tuple(self._messages[number] for number in order),
            steps=tuple((STEP_NS * step, STEP_NS * step + BUSY_NS) for step in range(steps)),
            warmup=warmup,
            exchanges=tuple(sorted((places[a], places[b]) for a, b in self._exchanges)),
        )


def parameter_servers(steps: int = 3, warmup: int = 1, chief: bool = True) -> Profile:
    """Two workers pull three variables of two servers in each step, and are asked for the gradients; names and sizes
    differ by step, so that they can be told apart."""
    job = Job(("ps 1", "worker 0", "ps 0", "worker 1", "chief 0"))
    for step in range(steps):
        begin = STEP_NS * step
        for number, size in enumerate(VARIABLES):
            for worker in ("worker 1", "worker 0"):
                pair = (worker, f"ps {number % 2}")
                name, variable = (60 + step,), (size, 7) if size else ()
                job.exchange(begin + 1000 * number, pair, (name, variable), step)
                job.exchange(begin + 50_000 + 1000 * number, pair[::-1], ((70,), (size + 1, 0, 3)), step)
        if chief:
            job.exchange(begin + 10, ("chief 0", "ps 0"), ((5,), (6,)), step)
            job.send(begin + 20, ("chief 0", "ps 0"), "raw", (11,), step)
    job.send(STEP_NS * steps, ("ps 0", "worker 0"), "raw", (13,), OUTSIDE)
    return job.profile(steps, warmup)
