"""What was run, in words: above every table, so that a number is never seen without it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from tensorwire.recorded import Steps
from tensorwire.report import Row, collective_how, goes_over_tcp, transport
from tensorwire.result import HostFacts, Network, RankFacts, Result
from tensorwire.spec import Closed, Poisson, Recorded
from tensorwire.units import format_bit_rate, format_duration, format_size

_FILLS = {"random": "random bytes", "float32": "float32 gradients"}
_REPLIES = {"echo": "every reply echoes the payload", "acknowledge": "replies acknowledge the payload"}


def title(result: Result) -> str:
    spec = result.spec
    how = spec.mode if result.traffic.collective is None else collective_how(result).partition(" ")[0]
    return f"{spec.benchmark} over {spec.channel} ({transport(result)}), {how}"


def heading(result: Result, rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Label and sentence, line by line."""
    spec = result.spec
    lines = [
        ("ranks", f"{_roles(result.traffic.roles)}; {_replies(result)}"),
        ("payload", _payload(result)),
        ("load", _load(result)),
        ("placement", _placement(result)),
        ("time", _time(result)),
    ]
    if network := _network(result):
        lines.append(("hosts", _hosts(result, network)))
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


def _replies(result: Result) -> str:
    if result.traffic.collective:
        return f"all act together, {collective_how(result)}"
    asked = [answers is not None for point in result.points for answers in point.answers]
    if not any(asked):
        return _REPLIES[result.traffic.reply]
    return "replies as recorded" + ("" if all(asked) else f", of other messages {_REPLIES[result.traffic.reply]}")


def _payload(result: Result) -> str:
    if result.traffic.collective:
        return f"{result.payload}; float32 that are whole numbers, every element checked before the clock starts"
    return f"{result.payload}; filled with {_fill(result)}"


def _fill(result: Result) -> str:
    fill, seed = result.spec.fill, result.spec.seed
    return "zeros" if fill == "zeros" else f"{_FILLS[fill]} of seed {seed}"


def _load(result: Result) -> str:
    load, traffic, threads = result.spec.load, result.traffic, result.spec.threads
    if traffic.collective:
        return "one call after the other, as many on every rank; who is first waits for the others"
    in_flight = f"{traffic.outstanding} call{'s' if traffic.outstanding > 1 else ''} in flight to each peer"
    each = f", {threads} threads in each rank" if threads > 1 else ""
    if isinstance(load, Closed):
        return f"closed loop, {in_flight}{each}"
    if isinstance(load, Recorded):
        what = "steps and their calls begin" if isinstance(result.spec.payload, Steps) else "calls are due"
        return f"open loop, {what} at the recorded times, at {load.pace:g} times the speed, at most {in_flight}"
    arrivals = "Poisson arrivals" if isinstance(load, Poisson) else "constant gaps"
    return f"open loop, {arrivals}, {load.rate:g} calls/s from each calling rank, at most {in_flight}{each}"


def _placement(result: Result) -> str:
    asked = result.spec.placement
    over_tcp = [each.settings for each in _facts(result) if goes_over_tcp(each.settings.get("transport", ""))]
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
    what = "steps of each worker" if isinstance(spec.payload, Steps) else "calls of each thread"
    about = "about " if result.traffic.collective else ""
    limit = f", at most {spec.calls} {what}" if spec.calls else ""
    runs = "1 repetition" if count == 1 else f"{count} repetitions with fresh processes each"
    asked = f", of at most {spec.repeat.count}" if count < spec.repeat.count else ""
    return f"{spec.warmup_ns / 1e9:g} s warm-up, {about}{spec.duration_ns / 1e9:g} s measured{limit}; {runs}{asked}"


def _host(result: Result) -> str:
    here = result.environment
    return f"{here.host}: {here.cpu}, {len(here.cores)} cores, kernel {here.kernel}; tensorwire {result.tensorwire}"


def _network(result: Result) -> Network | None:
    """Of the first repetition that has one: fresh hosts are alike, unless a later reading shows otherwise."""
    return next((each.network for each in result.repetitions if each.network is not None), None)


def _hosts(result: Result, network: Network) -> str:
    names = result.traffic.roles
    placed = ((host.name, _roles_of_host([names[rank] for rank in host.ranks])) for host in network.hosts)
    alike = ((what, [name for name, _ in run]) for what, run in groupby(placed, lambda each: each[1]))
    where = (f"{_from_to(hosts)}: {what}{' each' if len(hosts) > 1 else ''}" for what, hosts in alike)
    speeds = sorted({_speed(host) for host in network.hosts})
    up = f"up in {format_duration(network.up_ns)}"
    return "; ".join([f"{result.spec.launcher}, {', '.join(speeds)}", *where, up])


def _roles_of_host(roles: Sequence[str]) -> str:
    counts = Counter(roles).items()
    return ", ".join(role if count == 1 else f"{count} x {role}" for role, count in counts) or "no rank"


def _from_to(hosts: Sequence[str]) -> str:
    return hosts[0] if len(hosts) == 1 else f"{hosts[0]} to {hosts[-1]}"


def _speed(host: HostFacts) -> str:
    ways = [format_bit_rate(rate) if rate else "unlimited" for rate in (host.send_bits_per_s, host.receive_bits_per_s)]
    speed = f"{ways[0]} each way" if ways[0] == ways[1] else f"{ways[0]} out and {ways[1]} in"
    at_once = f", {format_size(host.burst_bytes)} at once," if host.burst_bytes else ""
    return f"{speed}{at_once} with MTU {host.mtu}"


def _facts(result: Result) -> list[RankFacts]:
    return [facts for repetition in result.repetitions for facts in repetition.ranks]
