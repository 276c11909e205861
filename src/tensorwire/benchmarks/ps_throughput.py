"""Parameter servers and workers: every worker calls every server, the RPCs of all workers are summed."""

import msgspec

from tensorwire.benchmarks import Pattern, Reply, Role
from tensorwire.errors import SpecError

_MOST = 4096


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many of each, and what a server replies (the paper leaves it open)."""

    ps: int = 1
    workers: int = 1
    reply: Reply = "acknowledge"

    def __post_init__(self) -> None:
        for field, count in (("ps", self.ps), ("workers", self.workers)):
            if not 1 <= count <= _MOST:
                raise SpecError(field, count, f"from 1 to {_MOST}")


class PsThroughput:
    """Servers are the first ranks, workers the rest; each worker keeps a call in flight to each server."""

    name = "ps-throughput"
    summary = "RPC/s of all workers together, each calling every parameter server"
    options = Options
    shows = ("rpcs", "bandwidth", "rtt_p50", "rtt_p99", "fairness", "cpu_per_gb", "wire_ratio")
    headline = "rpcs"

    def pattern(self, options: Options, /) -> Pattern:
        servers = tuple(range(options.ps))
        roles = [Role(name="ps", serves=True)] * options.ps
        roles += [Role(name="worker", serves=False, calls=servers)] * options.workers
        return Pattern(roles=tuple(roles), reply=options.reply)


benchmark = PsThroughput()
