"""The loops of OSU's MPI benchmarks, compiled with the mpicc of the MPI that the channel uses, on the same cores."""

import json
from typing import Literal

from msgspec import Struct

from benchmarks.programs import built, found, run
from benchmarks.seen import Seen
from benchmarks.traffic import Site, Traffic

_ACKNOWLEDGEMENT_BYTES = 8
_PACKAGES = {"openmpi": ("mpirun.openmpi", "openmpi-bin"), "mpich": ("mpirun.mpich", "mpich")}
_NOT_BOUND = {"openmpi": ("--allow-run-as-root", "--oversubscribe", "--bind-to", "none"), "mpich": ("-bind-to", "none")}


class Osu(Struct, frozen=True, kw_only=True):
    """One message at a time, echoed or acknowledged, as osu_latency; or windows of them, as osu_bw."""

    implementation: Literal["openmpi", "mpich"]
    traffic: Traffic

    def run(self, site: Site, /) -> Seen:
        traffic, size = self.traffic, self.traffic.payload.total
        test = "latency" if traffic.outstanding == 1 else "bandwidth"
        reply = size if traffic.reply == "echo" else _ACKNOWLEDGEMENT_BYTES
        cores = (site.serving_core, site.calling_core(traffic.pin))
        words = (test, size, reply, traffic.outstanding, site.warmup, site.seconds, *cores)
        mpirun = found(*_PACKAGES[self.implementation])
        program = str(built(f"osu_p2p-{self.implementation}", site.build))
        told = json.loads(run((mpirun, *_NOT_BOUND[self.implementation], "-np", "2", program, *map(str, words))))
        return Seen(
            calls=told["calls"],
            bytes=told["calls"] * size,
            elapsed_ns=told["elapsed_ns"],
            p50_ns=told["p50_ns"],
        )
