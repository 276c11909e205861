"""Nodes that all call each other, as in the AR-gRPC study: average latency and summed throughput."""

import msgspec

from tensorwire.benchmarks import Pattern, Reply, Role
from tensorwire.errors import SpecError

_FEWEST, _MOST = 2, 1024


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many nodes, and what they reply to each other."""

    nodes: int = 4
    reply: Reply = "echo"

    def __post_init__(self) -> None:
        if not _FEWEST <= self.nodes <= _MOST:
            raise SpecError("nodes", self.nodes, f"from {_FEWEST} to {_MOST}")


class FullyConnected:
    """Every rank serves and calls every other rank."""

    name = "fully-connected"
    summary = "average latency and summed throughput of nodes that all call each other"
    options = Options
    shows = ("rtt_mean", "rtt_p50", "rtt_p99", "one_way_mean", "rpcs", "bandwidth", "fairness", "cpu_per_gb")
    headline = "rtt_mean"

    def pattern(self, options: Options, /) -> Pattern:
        ranks = range(options.nodes)
        roles = (Role(name="node", serves=True, calls=tuple(peer for peer in ranks if peer != me)) for me in ranks)
        return Pattern(roles=tuple(roles), reply=options.reply)


benchmark = FullyConnected()
