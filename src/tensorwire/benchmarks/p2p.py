"""One parameter server and one worker: latency by echo, bandwidth by acknowledgement."""

import msgspec

from tensorwire.benchmarks import Pattern, Role
from tensorwire.errors import SpecError

_SERVER_AND_WORKER = (Role(name="ps", serves=True), Role(name="worker", serves=False, calls=(0,)))


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Point to point is between one and one; ps-throughput takes more."""

    ps: int = 1
    workers: int = 1

    def __post_init__(self) -> None:
        for field, count in (("ps", self.ps), ("workers", self.workers)):
            if count != 1:
                raise SpecError(field, count, "1 in a point-to-point benchmark; ps-throughput takes any number")


class PointToPoint:
    """The worker calls the parameter server."""

    options = Options

    def __init__(self, name: str, summary: str, shows: tuple[str, ...], headline: str, pattern: Pattern) -> None:
        self.name = name
        self.summary = summary
        self.shows = shows
        self.headline = headline
        self._pattern = pattern

    def pattern(self, options: Options, /) -> Pattern:
        return self._pattern


latency = PointToPoint(
    name="p2p-latency",
    summary="round trip of a payload that one parameter server echoes to one worker",
    shows=("rtt_min", "rtt_p50", "rtt_p99", "rtt_p999", "rtt_max", "one_way_p50", "rpcs", "bandwidth", "cpu_per_call"),
    headline="rtt_p50",
    pattern=Pattern(roles=_SERVER_AND_WORKER, reply="echo"),
)
bandwidth = PointToPoint(
    name="p2p-bandwidth",
    summary="MB/s of payloads that one worker sends and one parameter server acknowledges",
    shows=("bandwidth", "rpcs", "rtt_p50", "rtt_p99", "cpu_per_gb", "wire_ratio"),
    headline="bandwidth",
    pattern=Pattern(roles=_SERVER_AND_WORKER, reply="acknowledge", outstanding=4),
)
