"""Plug-ins by name, from entry points: channels, benchmarks, launchers, workloads; ours and other packages' alike."""

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from tensorwire.benchmarks import Benchmark
from tensorwire.channels import Channel
from tensorwire.errors import SpecError
from tensorwire.launchers import Launcher
from tensorwire.workloads import Workload


@cache
def _found(kind: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=f"tensorwire.{kind}s")}


def _load(kind: str, name: str) -> object:
    known = _found(kind)
    if name not in known:
        raise SpecError.unknown(kind, name, known)
    return known[name].load()


def names(kind: str) -> list[str]:
    """The names of all plug-ins of a kind: channel, benchmark, launcher or workload."""
    return sorted(_found(kind))


def channel(name: str) -> Channel:
    """Raises SpecError for an unknown name, listing the known ones; so do its siblings."""
    return cast(Channel, _load("channel", name))


def benchmark(name: str) -> Benchmark:
    return cast(Benchmark, _load("benchmark", name))


def launcher(name: str) -> Launcher:
    return cast(Launcher, _load("launcher", name))


def workload(name: str) -> Workload:
    return cast(Workload, _load("workload", name))


def opener(name: str) -> Any:
    """The `open` of a channel that is written in Python, from the module of its entry point."""
    known = _found("channel")
    if name not in known:
        raise SpecError.unknown("channel", name, known)
    return import_module(known[name].module).open
