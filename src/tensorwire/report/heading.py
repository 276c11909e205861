"""What was run, in words: above every table, so that a number is never seen without it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from tensorwire.report import Row, transport
from tensorwire.result import RankFacts, Result
from tensorwire.spec import Closed, Poisson

_FILLS = {"random": "random bytes", "float32": "float32 gradients"}
_WITHOUT_TCP = ("unix", "none")
_REPLIES = {"echo": "every reply echoes the payload", "acknowledge": "replies acknowledge the payload"}


def title(result: Result) -> str:
    spec = result.spec
    return f"{spec.benchmark} over {spec.channel} ({transport(result)}), {spec.mode}"


def heading(result: Result, rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Label and sentence, line by line."""
    spec = result.spec
    lines = [
        ("ranks", f"{_roles(result.traffic.roles)}; {_REPLIES[result.traffic.reply]}"),
        ("payload", f"{result.payload}; filled with {_fill(result)}"),
        ("load", _load(result)),
        ("placement", _placement(result)),
        ("time", _time(result)),
    ]
    if spec.options:
        lines.append(("options", ", ".join(f"{name} {value}" for name, value in spec.options.items())))
    lines.append(("host", _host(result)))
    if costs := [row.estimates["loop_cost"] for row in rows if "loop_cost" in row.estimates]:
        lines.append(("loop cost", f"{costs[0].interval.median:.3g} ns a call, in the timing loop itself"))
    return lines


def settings(result: Result) -> str:
    """The effective settings of the ranks; several values where they differ."""
    found: dict[str, set[str]] = {}
    for facts in _facts(result):
        for name, value in facts.settings.items():
            found.setdefault(name, set()).add(value)
    return ", ".join(f"{name} {'/'.join(sorted(found[name]))}" for name in sorted(found) if any(found[name]))


def cores(numbers: Iterable[int]) -> str:
    """Such as 0-3,8."""
    in_order = enumerate(sorted(set(numbers)))
    runs = [[number for _, number in run] for _, run in groupby(in_order, lambda each: each[1] - each[0])]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _roles(roles: Sequence[str]) -> str:
    return ", ".join(f"{count} x {role}" for role, count in Counter(roles).items())


def _fill(result: Result) -> str:
    fill, seed = result.spec.fill, result.spec.seed
    return "zeros" if fill == "zeros" else f"{_FILLS[fill]} of seed {seed}"


def _load(result: Result) -> str:
    load, traffic, threads = result.spec.load, result.traffic, result.spec.threads
    in_flight = f"{traffic.outstanding} call{'s' if traffic.outstanding > 1 else ''} in flight to each peer"
    each = f", {threads} threads in each rank" if threads > 1 else ""
    if isinstance(load, Closed):
        return f"closed loop, {in_flight}{each}"
    arrivals = "Poisson arrivals" if isinstance(load, Poisson) else "constant gaps"
    return f"open loop, {arrivals}, {load.rate:g} calls/s from each calling rank, at most {in_flight}{each}"


def _placement(result: Result) -> str:
    asked = result.spec.placement
    over_tcp = [facts.settings for facts in _facts(result) if facts.settings.get("transport") not in _WITHOUT_TCP]
    congestion = {name for settings in over_tcp if (name := settings.get("tcp_congestion"))}
    parts = [_pinning(result), f"waits {asked.wait}", f"malloc {asked.malloc}"]
    if congestion:
        parts.append(f"congestion control {'/'.join(sorted(congestion))}")
    return "; ".join(parts)


def _pinning(result: Result) -> str:
    asked = result.spec.placement.pin
    places = {facts.rank: (facts.host, facts.cores) for facts in _facts(result)}
    used = {(host, core) for host, allowed in places.values() for core in allowed}
    if not used:
        return f"pin {asked}"
    where = f"{len(places)} ranks on core{'s' if len(used) > 1 else ''} {cores(core for _, core in used)}"
    shared = asked == "distinct" and len(places) > len(used)
    return f"pin {asked}: {where}{', which they share' if shared else ''}"


def _time(result: Result) -> str:
    spec, count = result.spec, len(result.repetitions)
    limit = f", at most {spec.calls} calls of each thread" if spec.calls else ""
    runs = "1 repetition" if count == 1 else f"{count} repetitions with fresh processes each"
    asked = f", of at most {spec.repeat.count}" if count < spec.repeat.count else ""
    return f"{spec.warmup_ns / 1e9:g} s warm-up, {spec.duration_ns / 1e9:g} s measured{limit}; {runs}{asked}"


def _host(result: Result) -> str:
    here = result.environment
    return f"{here.host}: {here.cpu}, {len(here.cores)} cores, kernel {here.kernel}; tensorwire {result.tensorwire}"


def _facts(result: Result) -> list[RankFacts]:
    return [facts for repetition in result.repetitions for facts in repetition.ranks]
