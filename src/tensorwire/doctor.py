"""What works here, what is missing, and what would move the numbers, each with what to do about it."""

import resource
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Literal

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tensorwire import environment, preflight, registry
from tensorwire.benchmarks import Pattern
from tensorwire.errors import ChannelUnavailable, LauncherUnavailable, SpecError, TensorwireError
from tensorwire.plan import ports
from tensorwire.result import Environment
from tensorwire.spec import Spec, options
from tensorwire.units import format_size

State = Literal["ok", "warning", "missing"]

_MARKS: dict[State, tuple[str, str]] = {
    "ok": ("ok", "green"),
    "warning": ("warn", "yellow"),
    "missing": ("missing", "bold red"),
}
_SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies", "refined-jiffies")
_BUSY = 0.25  # of the cores: what else runs then shows in the numbers
_LACKING = 3  # the exit code of an environment that lacks something


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at: what is, and what to do unless it is well.

    `needed` is false for what the request does without, such as the channels that it does not use.
    """

    area: str
    name: str
    state: State
    finding: str
    remedy: str = ""
    needed: bool = True


def checks(spec: Spec | None = None) -> list[Check]:
    """Everything, held against `spec`, or against the default one.

    Raises SpecError for a benchmark or channel that does not exist, or for options that it does not have.
    """
    asked = spec or Spec()
    kind = registry.benchmark(asked.benchmark)
    pattern = kind.pattern(options(kind.options, asked.benchmark, asked.pattern))
    here = environment.record()
    return [
        *_channels(asked),
        *_launchers(asked),
        *_limits(asked, pattern),
        *_host(asked, pattern, here),
        *_ports(asked, pattern),
        *_memory(asked, pattern),
    ]


def verdict(found: Sequence[Check]) -> int:
    """The exit code: 0, or 3 when something is missing that the request needs."""
    return _LACKING if any(check.state == "missing" and check.needed for check in found) else 0


def render(found: Sequence[Check], console: Console) -> None:
    """Prints a table, area by area."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column("what", overflow="fold")
    table.add_column("finding", overflow="fold")
    table.add_column("what to do", overflow="fold")
    for area, group in groupby(found, key=lambda check: check.area):
        table.add_row("", Text(area, style="bold"))
        for check in group:
            mark, style = _MARKS[check.state]
            table.add_row(Text(mark, style=style), Text(check.name), Text(check.finding), Text(check.remedy))
        table.add_section()
    console.print(table)


def _channels(spec: Spec) -> Iterator[Check]:
    names = registry.names("channel")
    if spec.channel not in names:
        raise SpecError.unknown("channel", spec.channel, names)
    for name in names:
        yield _channel(name, needed=name == spec.channel)


def _channel(name: str, needed: bool) -> Check:
    try:
        program = registry.channel(name).command()
    except ChannelUnavailable as unavailable:
        return _refused("channels", name, unavailable, needed)
    except (ImportError, AttributeError) as wrong:
        broken = ChannelUnavailable(f"its module does not load: {wrong}; install what it needs")
        return _refused("channels", name, broken, needed)
    finding = " ".join([Path(program[0]).name, *program[1:]])
    return Check(area="channels", name=name, state="ok", finding=finding, needed=needed)


def _launchers(spec: Spec) -> Iterator[Check]:
    names = registry.names("launcher")
    if spec.launcher not in names:
        raise SpecError.unknown("launcher", spec.launcher, names)
    for name in names:
        launcher, needed = registry.launcher(name), name == spec.launcher
        words = spec.hosts if needed else {}
        try:
            launcher.check(options(launcher.options, f"launcher {name}", words))
        except LauncherUnavailable as unavailable:
            yield _refused("launchers", name, unavailable, needed)
        else:
            yield Check(area="launchers", name=name, state="ok", finding=launcher.summary, needed=needed)


def _limits(spec: Spec, pattern: Pattern) -> Iterator[Check]:
    need = preflight.demand(spec, pattern)
    files = preflight.soft_limit(resource.RLIMIT_NOFILE)
    if need.open_files <= files < need.most_open_files:
        yield _warning(
            "limits",
            "open files",
            f"{files:.0f} in one process, and up to {need.most_open_files} may be needed",
            f"ulimit -n {need.most_open_files}",
        )
    else:
        fits = f"up to {need.most_open_files} in one process, of {files:.0f}"
        yield _tried("limits", "open files", fits, lambda: preflight.check_limits(spec, pattern))
    locked = preflight.soft_limit(resource.RLIMIT_MEMLOCK)
    pinned = max(sum(payload.total for payload in payloads) for payloads in spec.points())
    if locked < pinned:
        finding = f"{format_size(int(locked))} of memory, less than these payloads ({format_size(pinned)})"
        remedy = "ulimit -l unlimited, for zero-copy sends and RDMA; others do not need it"
        yield _warning("limits", "locked memory", finding, remedy)
    else:
        yield _ok("limits", "locked memory", "enough for these payloads")


def _host(spec: Spec, pattern: Pattern, here: Environment) -> Iterator[Check]:
    yield _cores(spec, pattern, len(here.cores))
    quota = _leading_number(here.facts["cgroup_cpu"])
    if quota is not None and quota < pattern.size:
        finding = f"a control group allows {quota:g} cores for {pattern.size} ranks"
        yield _warning("host", "cpu quota", finding, "raise it: throttled ranks stand still for many ms")
    yield _governor(here.facts["frequency_governor"])
    yield _guest(here.facts["virtualization"])
    yield _load(here.facts["load_average"], len(here.cores))
    yield _clock(here.facts["clock_source"])
    yield _congestion(spec, here.facts["tcp_congestion"])


def _cores(spec: Spec, pattern: Pattern, cores: int) -> Check:
    ranks = pattern.size
    if spec.placement.pin == "same":
        return _ok("host", "cores", f"{ranks} ranks share one core, as asked")
    finding = f"{ranks} ranks; cores that they may use: {cores}"
    if ranks <= cores:
        return _ok("host", "cores", finding)
    remedy = (
        "use fewer ranks or more cores: ranks that share a core wait for their turn, so latency includes "
        "waiting, and throughput is what the cores can do, not the channel"
    )
    return _warning("host", "cores", finding, remedy)


def _governor(governor: str) -> Check:
    if governor in ("performance", environment.HIDDEN):
        return _ok("host", "frequency governor", governor)
    remedy = "sudo cpupower frequency-set -g performance: cores that clock up late make short calls look slow"
    return _warning("host", "frequency governor", governor, remedy)


def _guest(virtualization: str) -> Check:
    if virtualization in (environment.NONE, environment.UNKNOWN):
        return _ok("host", "virtualization", virtualization)
    remedy = "times are noisy under a hypervisor: use --repeat, and compare runs taken in turn on one machine"
    return _warning("host", "virtualization", virtualization, remedy)


def _load(load_average: str, cores: int) -> Check:
    load = _leading_number(load_average)
    finding = f"{load_average} (1, 5 and 15 minutes)" if load is not None else load_average
    if load is None or load <= _BUSY * cores:
        return _ok("host", "load average", finding)
    return _warning("host", "load average", finding, "end what else runs, or wait: it takes the ranks' time")


def _clock(source: str) -> Check:
    if source not in _SLOW_CLOCKS:
        return _ok("host", "clock source", source)
    remedy = "use tsc where the machine has it: to read this clock takes about a microsecond, twice a call"
    return _warning("host", "clock source", source, remedy)


def _congestion(spec: Spec, default: str) -> Check:
    chosen = spec.placement.congestion or default
    check = _tried("host", "congestion control", chosen, lambda: preflight.check_congestion(spec))
    if check.state != "ok" or chosen != "bbr" or preflight.is_unix(spec.host):
        return check
    remedy = "--congestion cubic, or reno: bbr halves the bandwidth of loopback against them"
    return _warning("host", "congestion control", chosen, remedy)


def _ports(spec: Spec, pattern: Pattern) -> Iterator[Check]:
    launcher = registry.launcher(spec.launcher)
    if launcher.own_addresses:
        yield _tried("ports", "hosts", "have addresses of their own", lambda: preflight.check_left_out(spec, launcher))
        return
    finding = _describe_ports(spec, pattern)
    yield _tried("ports", spec.host, finding, lambda: preflight.check_address(spec, pattern))


def _describe_ports(spec: Spec, pattern: Pattern) -> str:
    if preflight.is_unix(spec.host):
        return "Unix-domain sockets"
    numbers = [port for port in ports(spec, pattern) if port]
    if not numbers:
        return "any free ports"
    return f"{numbers[0]} is free" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]} are free"


def _memory(spec: Spec, pattern: Pattern) -> Iterator[Check]:
    needed, available = preflight.needed_memory(spec, pattern), preflight.available_memory()
    finding = f"at most {format_size(needed)} are needed, {format_size(available)} are available"
    yield _tried("memory", "payloads", finding, lambda: preflight.check_memory(spec, pattern))


def _tried(area: str, name: str, finding: str, attempt: Callable[[], None]) -> Check:
    """`finding`, or what `attempt` is refused for."""
    try:
        attempt()
    except TensorwireError as refusal:
        return _refused(area, name, refusal)
    return _ok(area, name, finding)


def _refused(area: str, name: str, refusal: TensorwireError, needed: bool = True) -> Check:
    """Our sentences say what is wrong, and after a semicolon what to do."""
    finding, _, remedy = str(refusal).partition("; ")
    if not remedy and isinstance(refusal, SpecError):
        remedy = f"{refusal.field}: {refusal.allowed}"
    return Check(area=area, name=name, state="missing", finding=finding, remedy=remedy, needed=needed)


def _ok(area: str, name: str, finding: str) -> Check:
    return Check(area=area, name=name, state="ok", finding=finding)


def _warning(area: str, name: str, finding: str, remedy: str) -> Check:
    return Check(area=area, name=name, state="warning", finding=finding, remedy=remedy)


def _leading_number(text: str) -> float | None:
    try:
        return float(text.split()[0])
    except (ValueError, IndexError):
        return None
