"""The two sides of a comparison: tensorwire over one of its channels, or a program that is not tensorwire."""

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Literal, Protocol

from msgspec import Struct

from benchmarks.programs import built, found, run
from benchmarks.seen import CannotMeasure, Seen
from benchmarks.starting import free_port, held_server
from benchmarks.traffic import Site, Traffic
from tensorwire.errors import TensorwireError
from tensorwire.payload import Custom
from tensorwire.result import Measurement, Result
from tensorwire.session import Session, failures
from tensorwire.spec import Closed, Mode, Placement, Spec
from tensorwire.units import Nanoseconds

_BENCHMARKS = {"echo": "p2p-latency", "acknowledge": "p2p-bandwidth"}
_GRPC_FRAME = b"\x00"  # not compressed; the length follows
_ACKNOWLEDGEMENT_BYTES = 5 + 8  # a gRPC frame around a count


class Side(Protocol):
    """Something that can be run at a site."""

    def run(self, site: Site, /) -> Seen:
        """Raises CannotMeasure when this machine lacks what it needs."""
        ...


class Tensorwire(Struct, frozen=True, kw_only=True):
    """One repetition of tensorwire's own."""

    channel: str
    traffic: Traffic
    mode: Mode = "non-serialized"
    options: dict[str, str] = {}
    wait: Literal["block", "spin"] = "block"

    def spec(self, site: Site) -> Spec:
        traffic = self.traffic
        return Spec(
            benchmark=_BENCHMARKS[traffic.reply],
            channel=self.channel,
            options=dict(self.options),
            payload=Custom(buffers=traffic.payload.sizes),
            mode=self.mode,
            load=Closed(outstanding=traffic.outstanding),
            placement=Placement(pin=traffic.pin, wait=self.wait),
            host="127.0.0.1",
            port=0,
            warmup_ns=Nanoseconds(int(site.warmup * 1e9)),
            duration_ns=Nanoseconds(int(site.seconds * 1e9)),
        )

    def run(self, site: Site, /) -> Seen:
        return seen_by_caller(run_spec(self.spec(site)))


class Raw(Struct, frozen=True, kw_only=True):
    """A hand-written program of programs/, under the same traffic."""

    program: Literal["raw_grpc", "raw_tcp"]
    traffic: Traffic

    def run(self, site: Site, /) -> Seen:
        traffic = self.traffic
        words = (traffic.reply, traffic.outstanding, site.warmup, site.seconds, site.serving_core)
        argv = (*words, site.calling_core(traffic.pin), *traffic.payload.sizes)
        told = json.loads(run((str(built(self.program, site.build)), *map(str, argv))))
        return Seen(
            calls=told["calls"],
            bytes=told["calls"] * traffic.payload.total,
            elapsed_ns=told["elapsed_ns"],
            p50_ns=told["p50_ns"],
            cpu_ns=told["user_ns"] + told["system_ns"],
        )


class Iperf3(Struct, frozen=True, kw_only=True):
    """One stream of iperf3 in one direction; it only knows whole seconds."""

    traffic: Traffic

    def run(self, site: Site, /) -> Seen:
        iperf3, seconds = found("iperf3"), max(1, round(site.seconds))
        port = str(free_port())
        serve = (*on_core(site.serving_core), iperf3, "--server", "--one-off", "--port", port, "--forceflush")
        call = (*on_core(site.calling_core(self.traffic.pin)), iperf3, "--client", "127.0.0.1", "--port", port)
        with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
            try:
                assert server.stdout is not None
                while "listening" not in (line := server.stdout.readline()):
                    if not line:
                        raise CannotMeasure("iperf3's server did not come up")
                size = str(self.traffic.payload.total)
                told = json.loads(run((*call, "--length", size, "--time", str(seconds), "--omit", "1", "--json")))
            finally:
                server.kill()
        received = told["end"]["sum_received"]
        return Seen(bytes=int(received["bytes"]), elapsed_ns=int(received["seconds"] * 1e9))


class H2load(Struct, frozen=True, kw_only=True):
    """An HTTP/2 client that knows nothing of gRPC, against tensorwire's own gRPC server."""

    traffic: Traffic

    def run(self, site: Site, /) -> Seen:
        h2load, size = found("h2load", "nghttp2-client"), self.traffic.payload.total
        seconds = max(1, round(site.seconds))
        with held_server("grpc", site) as up, tempfile.NamedTemporaryFile() as message:
            message.write(_GRPC_FRAME + size.to_bytes(4, "big") + bytes(size))
            message.flush()
            client = (h2load, "-c1", "-t1", f"-m{self.traffic.outstanding}", f"-D{seconds}", "--warm-up-time=1")
            headers = ("-Hte: trailers", "-Hcontent-type: application/grpc", f"-d{message.name}")
            url = f"http://127.0.0.1:{up.port}/tensorwire.Wire/Acknowledge"
            said = run((*on_core(site.calling_core(self.traffic.pin)), *client, *headers, url))
        return _read_h2load(said, size, seconds)


def run_spec(spec: Spec) -> Result:
    """One run of tensorwire. Raises CannotMeasure for what it cannot do here, and for a failed measurement."""
    try:
        with tempfile.TemporaryDirectory() as directory:
            result = Session(spec, Path(directory) / "result.json").run()
    except TensorwireError as wrong:
        raise CannotMeasure(str(wrong)) from wrong
    for failure in failures(result):
        raise CannotMeasure(failure.message)
    return result


def seen_by_caller(result: Result) -> Seen:
    """What the only calling rank of the only repetition saw, with the CPU time of all."""
    measurements = result.repetitions[0].measurements
    (calling,) = [each.calling for each in measurements if each.calling is not None]
    return Seen(
        calls=calling.calls,
        bytes=calling.bytes,
        elapsed_ns=calling.elapsed_ns,
        p50_ns=calling.latency.percentile(50),
        cpu_ns=sum(map(_cpu_ns, measurements)),
    )


def on_core(core: int) -> tuple[str, ...]:
    """In front of a command: runs it on one core."""
    return (found("taskset", "util-linux"), "--cpu-list", str(core))


def _cpu_ns(measurement: Measurement) -> int:
    return measurement.usage.user_ns + measurement.usage.system_ns


def _read_h2load(said: str, size: int, seconds: int) -> Seen:
    """The calls that h2load counted; CannotMeasure unless each brought the acknowledgement of a served call."""
    total = re.search(r"requests: (\d+) total.* (\d+) failed", said)
    data = re.search(r"\((\d+)\) data", said)
    if total is None or data is None:
        raise CannotMeasure(f"h2load said something else than expected: {said[-300:]}")
    calls, failed, answered = int(total[1]), int(total[2]), int(data[1]) / _ACKNOWLEDGEMENT_BYTES
    if calls == 0 or failed or not answered.is_integer() or answered < calls:  # the warm-up's data count too
        raise CannotMeasure(f"h2load's calls were not served: {total[0]}, {data[0]}")
    return Seen(calls=calls, bytes=calls * size, elapsed_ns=seconds * 1_000_000_000)
