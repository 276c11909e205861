"""The columns of the OSU micro-benchmarks, for scripts that read them; the title tells what really ran."""

from tensorwire.errors import SpecError
from tensorwire.report import Row, rows, transport
from tensorwire.result import Result
from tensorwire.spec import Closed

_SIZE_WIDTH, _VALUE_WIDTH = 10, 18
_LATENCY = ("one_way_mean", "Latency (us)", "latency is the mean round trip over two")
_COLLECTIVE = (
    "coll_time",
    "Avg Latency(us)",
    "latency is the mean time of a call over calls and ranks; size as in nccl-tests",
)
_BANDWIDTH = ("bandwidth", "Bandwidth (MB/s)", "MB/s is 1e6 payload bytes; every message is acknowledged")


def osu(result: Result) -> str:
    """Size and latency of an echoed payload or of a collective operation, size and bandwidth of an acknowledged one.
    Raises SpecError as `check`."""
    check(result)
    name, title, meaning = (
        _COLLECTIVE if result.traffic.collective else _LATENCY if result.traffic.reply == "echo" else _BANDWIDTH
    )
    found = rows(result)
    spec = result.spec
    lines = [
        f"# tensorwire {spec.benchmark} over {spec.channel} ({transport(result)}), {spec.mode}",
        f"# {meaning}; {_load(result)}",
        f"# {result.payload}",
        f"# median of {_repetitions(found)}; {result.status} result",
        f"{'# Size':<{_SIZE_WIDTH}}{title:>{_VALUE_WIDTH}}",
    ]
    return "\n".join([*lines, *(_line(row, name) for row in found)]) + "\n"


def check(result: Result) -> None:
    """Raises SpecError when more than one rank calls, or replies are those that were recorded: OSU's point-to-point
    columns have no place for that."""
    if any(point.answers for point in result.points):
        why = "the replies of this result are those that were recorded, which have no OSU form"
        raise SpecError("format", "osu", "table, json or csv", f"{why}: use table, json or csv")
    if result.traffic.collective:
        return
    callers = sum(bool(calls) for calls in result.traffic.calls)
    if callers != 1:
        why = f"{callers} ranks call in this result; p2p-latency, p2p-bandwidth and collectives alone have an OSU form"
        raise SpecError("format", "osu", "table, json or csv", f"{why}: use table, json or csv")


def _line(row: Row, name: str) -> str:
    if name in row.estimates:
        return f"{row.mean_total:<{_SIZE_WIDTH}}{row.estimates[name].interval.median:>{_VALUE_WIDTH}.2f}"
    why = f"failed: {row.failures[0].words}" if row.failures else "not measured"
    return f"# {row.mean_total} {why}"


def _load(result: Result) -> str:
    in_flight = f"{result.traffic.outstanding} in flight"
    return in_flight if isinstance(result.spec.load, Closed) else f"open loop, at most {in_flight}"


def _repetitions(found: tuple[Row, ...]) -> str:
    least, most = min(row.measured for row in found), max(row.measured for row in found)
    counted = str(most) if least == most else f"{least} to {most}"
    return f"{counted} repetition{'' if counted == '1' else 's'}"
