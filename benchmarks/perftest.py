"""UCX's own benchmark, ucx_perftest, under the traffic that the ucx channel gets: the same UCX, transport and cores."""

import contextlib
import subprocess
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from benchmarks.programs import found, run
from benchmarks.seen import CannotMeasure, Seen
from benchmarks.sides import on_core
from benchmarks.starting import free_port
from benchmarks.traffic import Site, Traffic

_TESTS = {"am": ("ucp_am_lat", "ucp_am_bw"), "tag": ("tag_lat", "tag_bw")}
_ACKNOWLEDGEMENT_BYTES = 8
_PROBE_CALLS = 200
_LEAST_CALLS = 100
_SEGMENT = str(2**18)  # the ucx channel's default
_READY = "Waiting for connection"


class Final(Struct, frozen=True, kw_only=True):
    """The last line of a test: microseconds one way, or for each message where many are in flight, and their rate."""

    calls: int
    typical_us: float
    overall_us: float
    messages_per_second: int


class Perftest(Struct, frozen=True, kw_only=True):
    """One message at a time: there, and as an acknowledgement of 8 bytes back. Several: as many as it is told."""

    api: Literal["am", "tag"]
    transport: Literal["shm", "tcp"]
    traffic: Traffic

    def run(self, site: Site, /) -> Seen:
        size = self.traffic.payload.total
        latency, bandwidth = _TESTS[self.api]
        if self.traffic.outstanding == 1:
            there, back = self._timed(site, latency, size), self._timed(site, latency, _ACKNOWLEDGEMENT_BYTES)
            round_trip_us = there.typical_us + back.typical_us
            return Seen(calls=there.calls, elapsed_ns=1, p50_ns=round(round_trip_us * 1e3))
        seen = self._timed(site, bandwidth, size)
        elapsed_ns = round(seen.calls * 1e9 / seen.messages_per_second)
        return Seen(calls=seen.calls, bytes=seen.calls * size, elapsed_ns=elapsed_ns)

    def _timed(self, site: Site, test: str, size: int) -> Final:
        """As many calls as take about the site's seconds."""
        probe = self._run(site, test, size, _PROBE_CALLS)
        return self._run(site, test, size, max(_LEAST_CALLS, round(site.seconds * 1e6 / probe.overall_us)))

    def _run(self, site: Site, test: str, size: int, calls: int) -> Final:
        port = str(free_port())
        words = ("-t", test, "-s", str(size), "-n", str(calls), "-w", str(calls // 3))
        window = ("-O", str(self.traffic.outstanding)) if self.traffic.outstanding > 1 else ()
        client = ("ucx_perftest", "127.0.0.1", "-p", port, *words, *window)
        with self._server(site, port):
            said = run((*self._told(), *on_core(site.calling_core(self.traffic.pin)), *client))
        return read_final(said)

    def _told(self) -> tuple[str, ...]:
        """In front of a command: sets what the channel tells UCX. Other UCX_ variables would tell both."""
        segments = (f"UCX_TCP_TX_SEG_SIZE={_SEGMENT}", f"UCX_TCP_RX_SEG_SIZE={_SEGMENT}", "UCX_NET_DEVICES=lo")
        return (found("env", "coreutils"), f"UCX_TLS={self.transport}", *(segments if self.transport == "tcp" else ()))

    @contextlib.contextmanager
    def _server(self, site: Site, port: str) -> Iterator[None]:
        perftest = found("ucx_perftest", "ucx-utils")
        by_line = (found("stdbuf", "coreutils"), "-oL")
        argv = (*self._told(), *on_core(site.serving_core), *by_line, perftest, "-p", port)
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
            try:
                _wait_until_ready(server)
                yield
            finally:
                server.kill()


def _wait_until_ready(server: subprocess.Popen[bytes]) -> None:
    assert server.stdout is not None
    while _READY not in (line := server.stdout.readline().decode(errors="replace")):
        if not line:
            raise CannotMeasure("ucx_perftest's server did not come up")


def read_final(said: str) -> Final:
    """The line of ucx_perftest that begins with "Final:". Raises CannotMeasure when there is none."""
    for line in said.splitlines():
        if line.startswith("Final:"):
            words = line.split()[1:]
            return Final(
                calls=int(words[0]),
                typical_us=float(words[1]),
                overall_us=float(words[3]),
                messages_per_second=int(words[-1]),
            )
    raise CannotMeasure(f"ucx_perftest said something else than expected: {said[-300:]}")
