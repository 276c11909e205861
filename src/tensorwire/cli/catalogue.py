"""tensorwire list: what there is to choose from."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, get_args, get_origin

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tensorwire import channels, cluster, metrics, registry
from tensorwire.channels import Channel
from tensorwire.collective import OPERATIONS
from tensorwire.errors import ChannelUnavailable
from tensorwire.spec import Scheme
from tensorwire.units import Bytes, format_size

Row = tuple[str, str]


def _benchmarks() -> Iterator[Row]:
    for name in registry.names("benchmark"):
        found = registry.benchmark(name)
        yield name, found.summary + _known(found.options)


def _channels() -> Iterator[Row]:
    for name in registry.names("channel"):
        found = registry.channel(name)
        try:
            found.command()
            missing = ""
        except ChannelUnavailable as wrong:
            missing = _not_here(str(wrong))
        yield name, found.summary + _known(found.options) + _together(found) + missing


def _together(channel: Channel) -> str:
    """The collective operations that it has, and whether it has calls as well."""
    found = channels.collectives(channel)
    which = "all collective operations" if set(found) == set(OPERATIONS) else ", ".join(found)
    also = "" if channels.calls(channel) else ", and no calls from one rank to another"
    return f"\n[dim]{which}{also}[/dim]" if found else ""


def _launchers() -> Iterator[Row]:
    for name in registry.names("launcher"):
        yield name, registry.launcher(name).summary


def _workloads() -> Iterator[Row]:
    for name in registry.names("workload"):
        found = registry.workload(name)
        lacking = cluster.missing(found)
        yield name, found.summary + _known(found.config) + (_not_here(lacking) if lacking else "")


def _schemes() -> Iterator[Row]:
    for scheme in Scheme.__args__:
        name = str(scheme.__struct_config__.tag)
        yield name, " ".join((scheme.__doc__ or "").split("\n\n")[0].split()) + _known(scheme)


def _metrics() -> Iterator[Row]:
    for metric in metrics.CATALOGUE.values():
        yield metric.name, metric.meaning + (escape(f" [{metric.unit}]") if metric.unit else "")


_KINDS: dict[str, Callable[[], Iterator[Row]]] = {
    "benchmarks": _benchmarks,
    "channels": _channels,
    "launchers": _launchers,
    "workloads": _workloads,
    "schemes": _schemes,
    "metrics": _metrics,
}


@click.command("list", short_help="List benchmarks, channels, launchers, workloads, schemes or metrics.")
@click.argument("kinds", nargs=-1, type=click.Choice(list(_KINDS)))
def command(kinds: tuple[str, ...]) -> None:
    """List what there is: of the KINDS named, or benchmarks, channels and launchers."""
    show(kinds or ("benchmarks", "channels", "launchers"))


def show(kinds: Sequence[str]) -> None:
    """Prints a table of each kind."""
    console = Console()
    for kind in kinds:
        table = Table(title=kind, title_justify="left", title_style="bold", box=None, show_header=False, pad_edge=False)
        table.add_column(style="cyan", no_wrap=True)
        table.add_column()
        for name, told in _KINDS[kind]():
            table.add_row(name, told)
        console.print(table)
        console.print()


def _not_here(why: str) -> str:
    return f"\n[yellow]not here: {escape(why)}[/yellow]"


def _known(kind: type[msgspec.Struct]) -> str:
    """The options of a plug-in with their defaults, or with the choices there are, the default first."""
    known = [f"{field.name.removesuffix('_ns')}{_told(field)}" for field in msgspec.structs.fields(kind)]
    return f"\n[dim]{escape(' '.join(known))}[/dim]" if known else ""


def _told(field: msgspec.structs.FieldInfo) -> str:
    value = field.default
    if value is msgspec.NODEFAULT or value in (None, ()):
        return ""
    if isinstance(value, tuple):
        return f"={','.join(map(str, value))}"
    if isinstance(value, bool):
        return f"={str(value).lower()}"
    if field.type is Bytes:
        return f"={format_size(value).replace(' ', '')}"
    choices = get_args(field.type) if get_origin(field.type) is Literal else ()
    return f"={'|'.join([str(value), *(choice for choice in choices if choice != value)])}"
