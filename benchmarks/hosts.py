"""Runs between emulated hosts, by tensorwire and by iperf3, and how long such hosts take to come and to go."""

import json
import subprocess
import time

from msgspec import Struct
from msgspec.structs import replace

from benchmarks.programs import found, run
from benchmarks.seen import CannotMeasure, Seen
from benchmarks.sides import Tensorwire, on_core, run_spec, seen_by_caller
from benchmarks.traffic import Site, Traffic
from tensorwire.errors import LaunchError
from tensorwire.launchers import emulated
from tensorwire.launchers.emulated import EmulatedHosts, Options

_PORT = "5201"


class BetweenHosts(Struct, frozen=True, kw_only=True):
    """One repetition of tensorwire's own, its two ranks on hosts of their own."""

    channel: str
    traffic: Traffic
    fabric: str

    def run(self, site: Site, /) -> Seen:
        spec = Tensorwire(channel=self.channel, traffic=self.traffic).spec(site)
        hosts = {"count": 2, "fabric": self.fabric}
        return seen_by_caller(run_spec(replace(spec, host="localhost", launcher="emulated", hosts=hosts)))


class Iperf3BetweenHosts(Struct, frozen=True, kw_only=True):
    """One stream of iperf3 from the second host to the first, on the cores of the ranks."""

    traffic: Traffic
    fabric: str

    def run(self, site: Site, /) -> Seen:
        iperf3, seconds = found("iperf3"), max(1, round(site.seconds))
        size = str(self.traffic.payload.total)
        with brought_up(2, self.fabric) as hosts:
            serve = (*on_core(site.serving_core), iperf3, "--server", "--one-off", "--port", _PORT, "--forceflush")
            where = (iperf3, "--client", hosts.places[0].address or "", "--port", _PORT)
            call = (*on_core(site.calling_core(self.traffic.pin)), *where, "--length", size)
            words = (*call, "--time", str(seconds), "--omit", "1", "--json")
            with subprocess.Popen(hosts.inside(0, serve), stdout=subprocess.PIPE, text=True) as server:
                try:
                    _await_listening(server)
                    told = json.loads(run(hosts.inside(1, words)))
                finally:
                    server.kill()
        received = told["end"]["sum_received"]
        return Seen(bytes=int(received["bytes"]), elapsed_ns=int(received["seconds"] * 1e9))


def brought_up(count: int, fabric: str) -> EmulatedHosts:
    """Raises CannotMeasure where this machine cannot."""
    options = Options(count=count, fabric=fabric)
    try:
        emulated.launcher.check(options)
        return emulated.launcher.hosts(options, count)
    except LaunchError as wrong:
        raise CannotMeasure(str(wrong)) from wrong


def up_ms(count: int, _: Site) -> float:
    """How long so many hosts on a fabric take to come up."""
    begin = time.perf_counter()
    with brought_up(count, "10gbe"):
        return (time.perf_counter() - begin) * 1e3


def gone_ms(count: int, _: Site) -> float:
    """How long the driver waits for them to go."""
    with brought_up(count, "10gbe"):
        begin = time.perf_counter()
    return (time.perf_counter() - begin) * 1e3


def _await_listening(server: "subprocess.Popen[str]") -> None:
    assert server.stdout is not None
    while "listening" not in (line := server.stdout.readline()):
        if not line:
            raise CannotMeasure("iperf3's server did not come up")
