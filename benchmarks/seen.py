"""What one run saw, and the numbers that claims are made of."""

from collections.abc import Callable

from msgspec import Struct


class Seen(Struct, frozen=True, kw_only=True):
    """One run. `bytes` are those that the caller sent, `cpu_ns` is of both ends; 0 is what a side does not tell."""

    calls: int = 0
    bytes: int = 0
    elapsed_ns: int
    p50_ns: int = 0
    cpu_ns: int = 0


class Metric(Struct, frozen=True, kw_only=True):
    """A number of one run, in `unit`."""

    title: str
    unit: str
    value: Callable[[Seen], float]


class CannotMeasure(Exception):
    """This machine lacks something that a claim needs; the sentence says what."""


latency = Metric(title="p50 round trip", unit="us", value=lambda seen: seen.p50_ns / 1e3)
call_time = Metric(title="p50 of a call", unit="us", value=lambda seen: seen.p50_ns / 1e3)
rate = Metric(title="calls", unit="calls/s", value=lambda seen: seen.calls * 1e9 / seen.elapsed_ns)
bandwidth = Metric(title="bandwidth", unit="MB/s", value=lambda seen: seen.bytes * 1e3 / seen.elapsed_ns)
cpu_per_call = Metric(title="CPU per call", unit="us", value=lambda seen: seen.cpu_ns / 1e3 / seen.calls)
cpu_per_gb = Metric(title="CPU per GB", unit="s", value=lambda seen: seen.cpu_ns / seen.bytes)
