"""The sides of comparisons over collective operations: tensorwire's, and a hand-written program under mpirun."""

import json
from typing import Literal

from msgspec import Struct

from benchmarks.programs import built, found, run
from benchmarks.seen import Seen
from benchmarks.sides import run_spec
from benchmarks.traffic import Site
from tensorwire.sample import samples
from tensorwire.spec import Placement, Spec
from tensorwire.units import Bytes, Nanoseconds

_RANKS = 2


class Together(Struct, frozen=True, kw_only=True):
    """One repetition of tensorwire's own, by ranks that poll."""

    channel: str
    size: int
    operation: str = "all-reduce"
    options: dict[str, str] = {}
    wait: Literal["block", "spin"] = "spin"

    def run(self, site: Site, /) -> Seen:
        result = run_spec(
            Spec(
                benchmark=self.operation,
                pattern={"ranks": _RANKS},
                channel=self.channel,
                options=dict(self.options),
                sizes=(Bytes(self.size),),
                placement=Placement(wait=self.wait),
                host="127.0.0.1",
                warmup_ns=Nanoseconds(int(site.warmup * 1e9)),
                duration_ns=Nanoseconds(int(site.seconds * 1e9)),
            )
        )
        (sample,) = samples(result, 0)
        assert sample is not None  # run_spec has refused a result with failures
        elapsed = sum(each.elapsed_ns for each in sample.calling) // len(sample.calling)
        return Seen(
            calls=sample.calling[0].calls,
            bytes=sample.calling[0].bytes,
            elapsed_ns=elapsed,
            p50_ns=sample.latency.percentile(50),
            cpu_ns=sample.user_ns + sample.system_ns,
        )


class MpiAllreduce(Struct, frozen=True, kw_only=True):
    """programs/mpi_allreduce.c, by the same Open MPI, told to poll as well, over the same transport."""

    size: int

    def run(self, site: Site, /) -> Seen:
        mpirun = found("mpirun.openmpi", "openmpi-bin")
        cores = [site.cores[rank % len(site.cores)] for rank in range(_RANKS)]
        how = ("--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-np", str(_RANKS))
        shm = ("--mca", "pml", "ob1", "--mca", "btl", "self,vader", "--mca", "mpi_yield_when_idle", "0")
        words = (self.size, site.warmup, site.seconds, *cores)
        told = json.loads(run((mpirun, *how, *shm, str(built("mpi_allreduce", site.build)), *map(str, words))))
        return Seen(
            calls=told["calls"],
            bytes=told["calls"] * self.size,
            elapsed_ns=told["elapsed_ns"],
            p50_ns=told["p50_ns"],
            cpu_ns=told["cpu_ns"],
        )
