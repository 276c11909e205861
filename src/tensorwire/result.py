"""A result: the spec, the environment and what every rank saw. Facts only; rates are computed when they are shown."""

import msgspec

from tensorwire import formats
from tensorwire.collective import Operation
from tensorwire.histogram import Histogram
from tensorwire.spec import Spec

FORMAT = "tensorwire.result"
VERSION = 1


class Serialization(msgspec.Struct, frozen=True, kw_only=True):
    """Time spent turning buffers into a message and back, summed over the calls."""

    serialize_ns: int
    deserialize_ns: int


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The run in slices of `interval_ns`: replies that came, their payload bytes, the longest latency."""

    interval_ns: int
    calls: tuple[int, ...]
    bytes: tuple[int, ...]
    max_ns: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.interval_ns < 1 or not 0 < len(self.calls) == len(self.bytes) == len(self.max_ns):
            raise ValueError("the parts of a series do not fit together")

    def whole(self, elapsed_ns: int) -> int:
        """The slices that a run filled; the last one never counts, because it runs to the last reply."""
        return min(elapsed_ns // self.interval_ns, len(self.calls) - 1)


class PeerCount(msgspec.Struct, frozen=True, kw_only=True):
    """The calls to one peer, and the sum of their latencies."""

    rank: int
    calls: int
    latency_ns: int


class Calling(msgspec.Struct, frozen=True, kw_only=True):
    """What a calling rank saw. `bytes` are the payload bytes that it sent, `received` those that came back.

    `begin_ns` is CLOCK_MONOTONIC of the rank's host; `missed` are calls of an open loop that were due and never begun.
    Where steps are replayed, `calls`, `latency` and `series` are of steps, and `peers` of the calls in them. A call
    of a collective operation is this rank's part in it, without a peer.
    """

    calls: int
    missed: int
    bytes: int
    received: int = 0
    """0 in files from before it was counted."""
    checked: int | None = None
    """The elements that a collective operation left on this rank, all compared and all right; None of other calls."""
    begin_ns: int
    elapsed_ns: int
    latency: Histogram
    series: Series
    peers: tuple[PeerCount, ...]
    serialization: Serialization

    def __post_init__(self) -> None:
        if self.calls != self.latency.count or (self.calls and self.elapsed_ns < 1):
            raise ValueError(f"{self.calls} calls do not fit {self.latency.count} latencies in {self.elapsed_ns} ns")


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What a serving rank received and answered."""

    calls: int
    bytes: int
    serialization: Serialization


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What the process used between the start and the end of the measurement, `window_ns` apart."""

    window_ns: int
    user_ns: int
    system_ns: int
    peak_memory_bytes: int
    voluntary_switches: int
    involuntary_switches: int

    def __post_init__(self) -> None:
        if self.window_ns < 1:
            raise ValueError(f"nothing is used within {self.window_ns} ns")


class Wire(msgspec.Struct, frozen=True, kw_only=True):
    """What the interface of the rank's address moved meanwhile, for whichever process."""

    interface: str
    tx_bytes: int
    rx_bytes: int
    tx_packets: int
    rx_packets: int


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What one rank saw of one point."""

    point: int
    rank: int
    calling: Calling | None
    serving: Serving | None
    usage: Usage
    wire: Wire | None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong in one point; `rank` is None when it was no rank's own doing."""

    point: int
    rank: int | None
    stage: str
    type: str
    message: str


class RankFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A rank as it turned out: host, the cores it may run on, and its effective settings and library versions."""

    rank: int
    host: str
    pid: int
    cores: tuple[int, ...]
    loop_cost_ns: float
    settings: dict[str, str]


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One of several hosts, as it turned out: its address and the interface that has it, the ranks that ran there, and
    what the interface was read back to let through each way, and at once; None: no limit but the machine's own."""

    name: str
    address: str
    ranks: tuple[int, ...]
    interface: str
    mtu: int
    send_bits_per_s: int | None = None
    receive_bits_per_s: int | None = None
    burst_bytes: int | None = None


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """The hosts of a run that were made for it, which took `up_ns`."""

    hosts: tuple[HostFacts, ...]
    up_ns: int


class Repetition(msgspec.Struct, frozen=True, kw_only=True):
    """One run with fresh processes, on fresh hosts where they were made for it."""

    network: Network | None = None
    ranks: tuple[RankFacts, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    failures: tuple[Failure, ...] = ()


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the result: the exact sizes of the payloads that were sent in turn, and the bytes of each; and the
    recorded reply that each asked for, null where it asked for none, or nothing at all. A payload of a replayed step is
    all that a worker sends in it."""

    payloads: tuple[tuple[int, ...], ...]
    totals: tuple[int, ...]
    answers: tuple[tuple[int, ...] | None, ...] = ()

    def __post_init__(self) -> None:
        if not self.payloads or self.totals != tuple(map(sum, self.payloads)) or min(self.totals) < 1:
            raise ValueError("the totals of a point are not those of its payloads")
        if self.answers and len(self.answers) != len(self.payloads):
            raise ValueError("the answers of a point are not those of its payloads")


class Apart(msgspec.Struct, frozen=True, kw_only=True):
    """How far the sizes of the `seen` messages are from those of the `asked` ones (distance.py); all ranks together
    sent `sent`."""

    asked: int
    sent: int
    seen: int
    ks: float
    wasserstein_bytes: float
    mean_bytes: float
    """Of the messages asked for."""


class Fidelity(msgspec.Struct, frozen=True, kw_only=True):
    """What a tap saw of a replay in a launch of its own; None of what could not be compared, as the notes say."""

    requests: Apart | None = None
    replies: Apart | None = None
    notes: tuple[str, ...] = ()


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """The pattern as it was run. In a `collective` operation nobody calls anybody: all ranks act together."""

    roles: tuple[str, ...]
    calls: tuple[tuple[int, ...], ...]
    reply: str
    outstanding: int
    collective: Operation | None = None


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The host, by an allow-list of facts: name to value."""

    host: str
    cpu: str
    cores: tuple[int, ...]
    memory_bytes: int
    kernel: str
    facts: dict[str, str]
    versions: dict[str, str]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One run's file. `status` is complete, or partial when it was cut short; failures stand in the repetitions."""

    format: str = FORMAT
    version: int = VERSION
    tensorwire: str
    created: str
    """When the run began, ISO 8601 in UTC."""
    status: str = "partial"
    spec: Spec
    payload: str
    """What was sent, in words."""
    traffic: Traffic
    points: tuple[Point, ...]
    environment: Environment
    repetitions: tuple[Repetition, ...] = ()
    fidelity: Fidelity | None = None
    """Of a replay, unless it was not asked for."""

    def __post_init__(self) -> None:
        if not self.points or len(self.traffic.roles) != len(self.traffic.calls):
            raise ValueError("a result has points, and a role and calls for every rank")
        seen = [each for repetition in self.repetitions for each in repetition.measurements]
        if not all(0 <= each.rank < len(self.traffic.roles) and 0 <= each.point < len(self.points) for each in seen):
            raise ValueError("a measurement is of a rank or point that the result does not have")


def encode(result: Result) -> bytes:
    """The result as the bytes of a file: indented JSON."""
    return msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n"


def decode(data: bytes, name: str = "the file") -> Result:
    """The result that a file's bytes hold. Raises FileFormatError for anything else, `name` naming the culprit."""
    return formats.decode(data, Result, name)


def schema() -> dict[str, object]:
    """The JSON Schema of the file."""
    return formats.schema(Result)
