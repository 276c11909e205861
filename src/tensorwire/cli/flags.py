"""The flags of `tensorwire run`: each is a word of the request, under the field of the Spec that it sets.

Defaults stand in the Spec alone; here they are only told.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from tensorwire import spec
from tensorwire.cli import profiles
from tensorwire.errors import SpecError
from tensorwire.units import parse_share

_Place = tuple[str, ...]
_Command = Callable[..., Any]


class _Flag:
    """A flag, and where its value goes in the request."""

    def __init__(self, names: str, path: str, told: str, **how: Any) -> None:
        self.path: _Place = tuple(path.split("."))
        self.key = path.replace(".", "__").replace("-", "_")
        self.option = click.option(*names.split(), self.key, help=told, **how)


def _choice(*names: str) -> dict[str, Any]:
    return {"type": click.Choice(names)}


_WHAT = (
    _Flag("-c --channel", "channel", "Stack under test (tensorwire list channels).  [default: grpc]", metavar="NAME"),
    _Flag(
        "--mode",
        "mode",
        "Slices, or one protobuf message.  [default: non-serialized]",
        **_choice("non-serialized", "serialized"),
    ),
    _Flag("--ps", "pattern.ps", "Parameter servers.  [default: 1; steps: as recorded]", type=int, metavar="N"),
    _Flag("--workers", "pattern.workers", "Workers.  [default: 1; steps: as recorded]", type=int, metavar="N"),
    _Flag("--nodes", "pattern.nodes", "Nodes of fully-connected.  [default: 4]", type=int, metavar="N"),
    _Flag("--ranks", "pattern.ranks", "Ranks of a collective operation.  [default: 4]", type=int, metavar="N"),
    _Flag(
        "--reply",
        "pattern.reply",
        "What a serving rank sends back (ps-throughput, fully-connected).",
        **_choice("echo", "acknowledge"),
    ),
    _Flag(
        "--host --ip", "host", "Address of this machine to serve at, or unix.  [default: localhost]", metavar="ADDRESS"
    ),
    _Flag(
        "--port", "port", "Port of the first serving rank; 0: any free ones.  [default: 50001]", type=int, metavar="N"
    ),
    _Flag(
        "--hosts --launcher",
        "launcher",
        "Where ranks run: this host, or N hosts, such as emulated:2 (tensorwire list launchers).  [default: local]",
        metavar="NAME[:N]",
    ),
    _Flag(
        "--fabric",
        "hosts.fabric",
        "Between emulated hosts: 1gbe, 10gbe, 25gbe, a rate such as 2.5gbit, or unlimited.",
        metavar="RATE",
    ),
    _Flag("--mtu", "hosts.mtu", "Of emulated hosts' interfaces.  [default: 1500]", type=int, metavar="BYTES"),
    _Flag(
        "--prove-path/--no-prove-path",
        "prove_path",
        "Fail where hosts' interfaces saw fewer bytes than the payload that crossed.  [default: prove]",
        default=None,
    ),
)

_PAYLOAD = (
    _Flag(
        "--scheme",
        "payload.scheme",
        "How buffers are chosen.  [default: uniform]",
        **_choice("uniform", "random", "skew", "custom", "profile", "steps"),
    ),
    _Flag(
        "--payload",
        "payload.file",
        "What a real job sent: a profile, by file or name (tensorwire profile list).",
        metavar="PROFILE",
    ),
    _Flag(
        "--order",
        "payload.order",
        "Of a profile: drawn from its distribution, as sent, or by training step.  [default: proportional]",
        **_choice("proportional", "exact", "step"),
    ),
    _Flag(
        "--only", "payload.only", "Of a profile: one kind, RPC method or collective.  [default: all]", metavar="NAME"
    ),
    _Flag("--count", "payload.count", "Buffers in a payload.  [default: 10]", type=int, metavar="N"),
    _Flag("--categories", "payload.categories", "Of large, medium, small: one, two or all, in order.", metavar="A,B"),
    _Flag("--small", "payload.small", "Size of a small buffer, 1 B to 999 B.  [default: 10]", metavar="SIZE"),
    _Flag("--medium", "payload.medium", "Size of a medium one, 1 KB to 999999 B.  [default: 10KB]", metavar="SIZE"),
    _Flag("--large", "payload.large", "Size of a large one, 1 MB to 10 MB.  [default: 1MB]", metavar="SIZE"),
    _Flag(
        "--bias",
        "payload.bias",
        "Which category skew prefers.  [default: large]",
        **_choice("large", "medium", "small"),
    ),
    _Flag(
        "--weights", "payload.weights", "Of skew, the preferred category first.  [default: 60,30,10]", metavar="W,W,W"
    ),
    _Flag(
        "--draw",
        "payload.draw",
        "Random: one payload for all calls, or drawn for each.  [default: fixed]",
        **_choice("fixed", "per-call"),
    ),
    _Flag(
        "--draws",
        "payload.draws",
        "Payloads drawn: random per call, or profile.  [default: 64; profile 1000]",
        type=int,
        metavar="N",
    ),
    _Flag(
        "--buffers", "payload.buffers", "Exactly these sizes or categories, in order (scheme custom).", metavar="A,B,C"
    ),
    _Flag("--sizes", "sizes", "A sweep: one row for each size, sent as one buffer.", metavar="A,B,C"),
    _Flag(
        "--fill",
        "fill",
        "What the buffers hold; float32 looks like gradients.  [default: random]",
        **_choice("random", "zeros", "float32"),
    ),
    _Flag("--seed", "seed", "Of the draw, the fill and the arrivals.  [default: 1]", type=int, metavar="N"),
)

_LOAD = (
    _Flag(
        "-q --outstanding",
        "load.outstanding",
        "Calls in flight to each peer.  [default: the benchmark's; open loop 64; steps 16]",
        type=int,
        metavar="N",
    ),
    _Flag(
        "--arrivals",
        "load.kind",
        "Closed loop, or calls due at constant, Poisson or recorded gaps.  [default: closed]",
        **_choice("closed", "constant", "poisson", "recorded"),
    ),
    _Flag(
        "--pace",
        "load.pace",
        "Of recorded gaps: 2 is twice as fast as the job was, 0.1 to 10.  [default: 1]",
        type=float,
        metavar="X",
    ),
    _Flag("--rate", "load.rate", "Calls a second of each calling rank, for an open loop.", type=float, metavar="R"),
    _Flag("--threads", "threads", "Calling threads of a rank.  [default: 1]", type=int, metavar="N"),
    _Flag("--warmup", "warmup", "Untimed, before each measurement.  [default: 2s]", metavar="TIME"),
    _Flag("--duration", "duration", "Of each measurement.  [default: 10s]", metavar="TIME"),
    _Flag(
        "--calls",
        "calls",
        "Stop after so many calls of each thread (steps of each worker), if earlier.",
        type=int,
        metavar="N",
    ),
    _Flag("--timeout", "timeout", "Longest wait for a reply.  [default: 30s]", metavar="TIME"),
    _Flag("--join-timeout", "join_timeout", "Longest wait for the ranks to come up.  [default: 30s]", metavar="TIME"),
    _Flag("--repeat", "repeat.count", "Times, each with fresh processes.  [default: 1]", type=int, metavar="N"),
    _Flag(
        "--precision",
        "repeat.precision",
        "Stop repeating when the median is known to so much, such as 1%.",
        metavar="SHARE",
    ),
)

_PLACEMENT = (
    _Flag(
        "--pin",
        "placement.pin",
        "Ranks on cores of their own in turn, all on one, or free.  [default: distinct]",
        **_choice("distinct", "same", "none"),
    ),
    _Flag(
        "--wait", "placement.wait", "Sleep until a reply comes, or poll.  [default: block]", **_choice("block", "spin")
    ),
    _Flag(
        "--malloc",
        "placement.malloc",
        "Keep freed memory, or glibc's default.  [default: tuned]",
        **_choice("tuned", "default"),
    ),
    _Flag("--congestion", "placement.congestion", "TCP congestion control.  [default: the kernel's]", metavar="NAME"),
)

FLAGS = (*_WHAT, *_PAYLOAD, *_LOAD, *_PLACEMENT)

_FIRST = (
    click.argument("benchmark", required=False),
    click.option(
        "--spec",
        "spec_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A request in TOML; flags come on top of it.",
    ),
)

_LAST = (
    click.option(
        "-o",
        "--option",
        "options",
        multiple=True,
        metavar="KEY=VALUE",
        help="An option of the channel, such as call=stream (tensorwire list channels).",
    ),
    click.option("-b", "--begin", metavar="SIZE", help="A sweep from this size ..."),
    click.option("-e", "--end", metavar="SIZE", help="... to this one ..."),
    click.option("-f", "--factor", type=int, metavar="N", help="... by this factor.  [default: 2]"),
)

_REPETITIONS_FOR_PRECISION = 50
_TABLES = {"options"} | {flag.path[0] for flag in FLAGS if len(flag.path) > 1}

_SECTIONS = {"What runs": _WHAT, "Payload": _PAYLOAD, "Load and time": _LOAD, "Placement": _PLACEMENT}
_SECTION_OF = {
    **{flag.key: title for title, flags in _SECTIONS.items() for flag in flags},
    **dict.fromkeys(("spec_file", "options"), "What runs"),
    **dict.fromkeys(("begin", "end", "factor"), "Payload"),
}


class Sectioned(click.Command):
    """Tells its flags section by section: fifty in one list are not read."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and (told := param.get_help_record(ctx)):
                sections.setdefault(_SECTION_OF.get(param.name or "", "Output"), []).append(told)
        for title, flags in sections.items():
            with formatter.section(title):
                formatter.write_dl(flags)


def request(command: _Command) -> _Command:
    """Gives a click command the argument BENCHMARK and all the flags that ask for a run; `words` reads them."""
    for option in reversed((*_FIRST, *(flag.option for flag in FLAGS), *_LAST)):
        command = option(command)
    return command


def words(values: Mapping[str, Any]) -> dict[str, Any]:
    """The request: that of the spec file, with the flags that were given in place of what it says.

    Raises SpecError when the file cannot be read, or a flag cannot be understood.
    """
    wanted = _from_file(values["spec_file"])
    if values["sizes"] is not None and values["begin"] is not None:
        raise SpecError("sizes", values["sizes"], "left out with --begin and --end: both ask for a sweep")
    if values["benchmark"] is not None:
        wanted["benchmark"] = values["benchmark"]
    for flag in FLAGS:
        value = values.get(flag.key)
        if value is not None:
            _put(wanted, flag.path, value)
    if values["seed"] is not None and wanted.get("payload", {}).get("scheme") in ("random", "profile"):
        _put(wanted, ("payload", "seed"), values["seed"])  # on top of a seed that the file gives the draw alone
    for key, value in options(values["options"]).items():
        _put(wanted, ("options", key), value)
    if (sizes := _sweep(values["begin"], values["end"], values["factor"])) is not None:
        wanted["sizes"] = sizes
    return _complete(wanted)


def _put(table: dict[str, Any], path: _Place, value: Any) -> None:
    for name in path[:-1]:
        table = table.setdefault(name, {})
    table.pop(f"{path[-1]}_ns", None)  # the same field, by its other name
    table[path[-1]] = value


def _from_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        wanted = spec.parse_toml(path.read_text())
    except (OSError, UnicodeDecodeError) as wrong:
        raise SpecError("spec", str(path), "a readable TOML file", f"cannot read the spec {path}: {wrong}") from wrong
    for name in _TABLES & wanted.keys():
        if not isinstance(wanted[name], dict):
            raise SpecError(name, wanted[name], f"a table: [{name}], and its fields below")
    return wanted


def options(pairs: tuple[str, ...]) -> dict[str, str]:
    """What flags of the form KEY=VALUE say. Raises SpecError for another form."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise SpecError("option", pair, "KEY=VALUE, such as call=stream")
        found[key.strip()] = value
    return found


def _sweep(begin: str | None, end: str | None, factor: int | None) -> list[int] | None:
    if begin is None and end is None and factor is None:
        return None
    if begin is None or end is None:
        raise SpecError("sweep", (begin, end), "both", "a sweep needs both --begin and --end")
    return list(spec.sweep(begin, end, 2 if factor is None else factor))


def _complete(wanted: dict[str, Any]) -> dict[str, Any]:
    """What a person means without saying it: buffers make a custom scheme, a file is a profile to replay, the seed is
    the draw's as well, a rate alone is a constant one, a pace alone that of recorded arrivals, emulated:2 are two hosts
    of that launcher, and a precision repeats until it is met."""
    payload = wanted.get("payload", {})
    if "buffers" in payload:
        payload.setdefault("scheme", "custom")
    if "file" in payload:
        payload.setdefault("scheme", "profile")
    if payload.get("scheme") in ("random", "profile") and "seed" in wanted:
        payload.setdefault("seed", wanted["seed"])
    if payload.get("scheme") in ("profile", "steps"):
        wanted["payload"] = profiles.replay_words(payload)
    load = wanted.get("load", {})
    if "rate" in load:
        load.setdefault("kind", "constant")
    if "pace" in load:
        load.setdefault("kind", "recorded")
    name, colon, count = str(wanted.get("launcher", "")).partition(":")
    if colon:
        wanted["launcher"] = name
        wanted.setdefault("hosts", {})["count"] = count
    repeat = wanted.get("repeat", {})
    if "precision" in repeat:
        precision = repeat["precision"]
        repeat["precision"] = parse_share(precision, "precision") if isinstance(precision, str) else precision
        repeat.setdefault("count", _REPETITIONS_FOR_PRECISION)
    return wanted
