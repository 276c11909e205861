"""Every number that is shown: one function each, its docstring the meaning.

docs/metrics.md has the formulas, and what each number does not mean.
"""

import statistics
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from tensorwire import collective_metrics
from tensorwire.errors import SpecError
from tensorwire.recorded import Steps
from tensorwire.result import Calling, Measurement
from tensorwire.sample import Sample, stalled
from tensorwire.spec import Closed
from tensorwire.stats import Interval, jain_fairness, median_interval, rate
from tensorwire.stats import bandwidth as bytes_per_second
from tensorwire.units import Bytes, Nanoseconds

Better = Literal["higher", "lower", "neither"]
Compute = Callable[[Sample], float | None]


class Metric(Struct, frozen=True, kw_only=True):
    """A number of one sample, in `unit`; `value` gives None where the sample has no such number."""

    name: str
    title: str
    unit: str
    better: Better
    meaning: str
    value: Compute


class Estimate(Struct, frozen=True, kw_only=True):
    """A metric over the repetitions: the value of each (or None), their median and its interval."""

    metric: Metric
    values: tuple[float | None, ...]
    interval: Interval


CATALOGUE: dict[str, Metric] = {}


def get(name: str) -> Metric:
    """Raises SpecError for a name that is not in the catalogue, listing those that are."""
    if name not in CATALOGUE:
        raise SpecError.unknown("metric", name, CATALOGUE)
    return CATALOGUE[name]


def estimate(metric: Metric, repetitions: tuple[Sample | None, ...]) -> Estimate | None:
    """A metric over repetitions; None when none of them has a value."""
    values = tuple(None if sample is None else metric.value(sample) for sample in repetitions)
    known = [value for value in values if value is not None]
    return Estimate(metric=metric, values=values, interval=median_interval(known)) if known else None


def _metric(title: str, unit: str, better: Better) -> Callable[[Compute], Metric]:
    """Enters the function under its own name; a space in `title` is where a narrow header may break."""

    def enter(value: Compute) -> Metric:
        name, meaning = value.__name__, (value.__doc__ or "").rstrip(".")
        metric = Metric(name=name, title=title, unit=unit, better=better, meaning=meaning, value=value)
        CATALOGUE[name] = metric
        return metric

    return enter


@_metric("RTT min", "us", "lower")
def rtt_min(sample: Sample) -> float | None:
    """Shortest round trip."""
    return _percentile(sample, 0)


@_metric("RTT p50", "us", "lower")
def rtt_p50(sample: Sample) -> float | None:
    """Median round trip."""
    return _percentile(sample, 50)


@_metric("RTT p90", "us", "lower")
def rtt_p90(sample: Sample) -> float | None:
    """Round trip that 90 % of the calls do not exceed."""
    return _percentile(sample, 90)


@_metric("RTT p99", "us", "lower")
def rtt_p99(sample: Sample) -> float | None:
    """Round trip that 99 % of the calls do not exceed."""
    return _percentile(sample, 99)


@_metric("RTT p99.9", "us", "lower")
def rtt_p999(sample: Sample) -> float | None:
    """Round trip that 99.9 % of the calls do not exceed."""
    return _percentile(sample, 99.9)


@_metric("RTT max", "us", "lower")
def rtt_max(sample: Sample) -> float | None:
    """Longest round trip."""
    return _percentile(sample, 100)


@_metric("RTT mean", "us", "lower")
def rtt_mean(sample: Sample) -> float | None:
    """Mean round trip."""
    return _mean(sample)


@_metric("one-way p50", "us", "lower")
def one_way_p50(sample: Sample) -> float | None:
    """Half the median round trip."""
    return _percentile(sample, 50, share=0.5)


@_metric("one-way mean", "us", "lower")
def one_way_mean(sample: Sample) -> float | None:
    """Half the mean round trip."""
    return _mean(sample, share=0.5)


@_metric("rate", "RPC/s", "higher")
def rpcs(sample: Sample) -> float | None:
    """Calls completed per second, summed over the calling ranks."""
    return sum(_rates(sample)) if sample.calling and not sample.collective else None


@_metric("payload", "MB/s", "higher")
def bandwidth(sample: Sample) -> float | None:
    """Payload bytes sent per second, one direction, summed over the calling ranks."""
    return _per_second(sample, lambda calling: calling.bytes) if sample.calling and not sample.collective else None


@_metric("came back", "MB/s", "higher")
def bandwidth_back(sample: Sample) -> float | None:
    """Payload bytes that replies brought per second, summed over the calling ranks."""
    some = any(map(sample.received_by, sample.calling)) and not sample.collective
    return _per_second(sample, sample.received_by) if some else None


@_metric("steps", "steps/s", "higher")
def steps(sample: Sample) -> float | None:
    """Training steps completed per second, summed over the workers."""
    rates = [rate(each.calls, Nanoseconds(each.elapsed_ns)) for each in sample.calling if each.calls]
    return sum(rates) if sample.stepped and sample.calling else None


@_metric("traffic /step p50", "us", "lower")
def step_p50(sample: Sample) -> float | None:
    """Median time that the traffic of a worker's step took."""
    return _step_percentile(sample, 50)


@_metric("traffic /step p99", "us", "lower")
def step_p99(sample: Sample) -> float | None:
    """Time that the traffic of 99 % of the workers' steps did not exceed."""
    return _step_percentile(sample, 99)


@_metric("traffic /step mean", "us", "lower")
def step_mean(sample: Sample) -> float | None:
    """Mean time that the traffic of a worker's step took."""
    return sample.latency.mean / 1e3 if sample.stepped and sample.latency.count else None


@_metric("recorded step", "us", "neither")
def recorded_step(sample: Sample) -> float | None:
    """Median time of a step of the job that was recorded."""
    recorded = sample.spec.payload
    return recorded.step_ns / 1e3 if isinstance(recorded, Steps) else None


@_metric("recorded /step", "MB", "neither")
def recorded_step_bytes(sample: Sample) -> float | None:
    """Median of the bytes that all roles of the recorded job sent in a step."""
    recorded = sample.spec.payload
    return recorded.step_bytes / 1e6 if isinstance(recorded, Steps) else None


@_metric("network share", "%", "lower")
def network_share(sample: Sample) -> float | None:
    """Median time that the traffic of a worker's step took here, as a share of the median recorded time of a step."""
    took, recorded = _step_percentile(sample, 50), recorded_step.value(sample)
    return None if took is None or recorded is None else 100 * took / recorded


@_metric("served", "RPC/s", "higher")
def served(sample: Sample) -> float | None:
    """Calls answered per second, summed over the serving ranks."""
    rates = [
        rate(each.serving.calls, _no_shorter(sample, each.usage.window_ns))
        for each in sample.measurements
        if each.serving is not None
    ]
    return sum(rates) if rates else None


@_metric("offered", "RPC/s", "neither")
def offered(sample: Sample) -> float | None:
    """Calls of an open loop that were due per second, summed over the calling ranks."""
    if isinstance(sample.spec.load, Closed) or sample.stepped:
        return None
    began = [each for each in sample.calling if each.calls]
    return sum(rate(each.calls + each.missed, _due_time(sample, each)) for each in began)


@_metric("missed", "%", "lower")
def missed(sample: Sample) -> float | None:
    """Share of the calls of an open loop that were due and never begun."""
    never = sum(each.missed for each in sample.calling)
    due = sample.calls + never
    return None if isinstance(sample.spec.load, Closed) or sample.stepped or due == 0 else 100 * never / due


@_metric("fairness", "", "higher")
def fairness(sample: Sample) -> float | None:
    """Jain's index of the calling ranks' rates: 1 is all alike, 1/n is one has everything."""
    return jain_fairness(_rates(sample)) if _several(sample) else None


@_metric("slowest rank", "RPC/s", "higher")
def slowest_rank(sample: Sample) -> float | None:
    """Rate of the calling rank that has the lowest."""
    return min(_rates(sample)) if _several(sample) else None


@_metric("fastest rank", "RPC/s", "neither")
def fastest_rank(sample: Sample) -> float | None:
    """Rate of the calling rank that has the highest."""
    return max(_rates(sample)) if _several(sample) else None


@_metric("varia- tion", "%", "lower")
def variation(sample: Sample) -> float | None:
    """Standard deviation of the rate over time, of its mean: from one hundredth of the run to the next."""
    calling = () if sample.stepped else sample.calling  # of steps there are too few
    whole = min((each.series.whole(each.elapsed_ns) for each in calling), default=0)
    totals = [sum(each.series.calls[i] for each in sample.calling) for i in range(whole)]
    if len(totals) < 2 or not any(totals):
        return None
    return 100 * statistics.pstdev(totals) / statistics.fmean(totals)


@_metric("stalls", "slices", "lower")
def stalls(sample: Sample) -> float | None:
    """Hundredths of the duration in which a rank waited for a reply throughout and got none."""
    if not sample.calls or sample.stepped or sample.latency.percentile(50) >= sample.calling[0].series.interval_ns:
        return None
    return max(len(stalled(each)) for each in sample.calling)


@_metric("serial- ization", "us", "lower")
def serialization(sample: Sample) -> float | None:
    """Serializing and deserializing the request and the reply of a call, at both ends."""
    return _serialization(sample)


@_metric("commu- nication", "us", "lower")
def communication(sample: Sample) -> float | None:
    """Mean round trip less the serialization."""
    spent, mean = _serialization(sample), _mean(sample)
    return None if spent is None or mean is None else mean - spent


@_metric("CPU /call", "us", "lower")
def cpu_per_call(sample: Sample) -> float | None:
    """CPU time of all ranks, per call."""
    return _per_call(sample, (sample.user_ns + sample.system_ns) / 1e3)


@_metric("user /call", "us", "lower")
def cpu_user_per_call(sample: Sample) -> float | None:
    """CPU time of all ranks outside the kernel, per call."""
    return _per_call(sample, sample.user_ns / 1e3)


@_metric("system /call", "us", "lower")
def cpu_system_per_call(sample: Sample) -> float | None:
    """CPU time of all ranks in the kernel, per call."""
    return _per_call(sample, sample.system_ns / 1e3)


@_metric("CPU /GB", "s", "lower")
def cpu_per_gb(sample: Sample) -> float | None:
    """CPU time of all ranks per 1e9 payload bytes moved, both ways; an echo moves its payload twice."""
    cpu_ns = sample.user_ns + sample.system_ns
    return cpu_ns / sample.moved if sample.moved else None  # nanoseconds a byte are seconds a GB


@_metric("CPU", "cores", "neither")
def cores_busy(sample: Sample) -> float | None:
    """CPU time of all ranks per second of the measurement: the cores they kept busy."""
    used = [each.usage for each in sample.measurements if each.usage.window_ns > 0]
    return sum((usage.user_ns + usage.system_ns) / usage.window_ns for usage in used) if used else None


@_metric("peak memory", "MB", "lower")
def peak_memory(sample: Sample) -> float | None:
    """Largest resident memory of any one rank."""
    return max((each.usage.peak_memory_bytes / 1e6 for each in sample.measurements), default=None)


@_metric("switches /call", "", "lower")
def switches_per_call(sample: Sample) -> float | None:
    """Context switches of all ranks, wanted or not, per call."""
    used = [each.usage for each in sample.measurements]
    return _per_call(sample, sum(usage.voluntary_switches + usage.involuntary_switches for usage in used))


@_metric("wire /payload", "", "lower")
def wire_ratio(sample: Sample) -> float | None:
    """Bytes that the interfaces sent, per payload byte moved, both ways; an echo moves its payload twice."""
    widest: dict[tuple[str, str], Measurement] = {}
    for each in sample.measurements:
        if each.wire is None or each.rank not in sample.ranks:
            return None
        interface = (sample.ranks[each.rank].host, each.wire.interface)
        widest[interface] = max(widest.get(interface, each), each, key=lambda one: one.usage.window_ns)
    sent = sum(each.wire.tx_bytes for each in widest.values() if each.wire is not None)
    return sent / sample.moved if sample.moved else None


@_metric("loop cost", "ns", "lower")
def loop_cost(sample: Sample) -> float | None:
    """The timing loop's own time per call, measured before the run; of the least disturbed rank."""
    return min((facts.loop_cost_ns for facts in sample.ranks.values()), default=None)


for _title, _unit, _better, _value in collective_metrics.ENTRIES:
    _metric(_title, _unit, _better)(_value)


def _percentile(sample: Sample, q: float, share: float = 1) -> float | None:
    return sample.latency.percentile(q) * share / 1e3 if sample.trips else None


def _mean(sample: Sample, share: float = 1) -> float | None:
    return sample.latency.mean * share / 1e3 if sample.trips else None


def _step_percentile(sample: Sample, q: float) -> float | None:
    return sample.latency.percentile(q) / 1e3 if sample.stepped and sample.latency.count else None


def _per_second(sample: Sample, size: Callable[[Calling], int]) -> float:
    """MB/s of what `size` gives of each calling rank, each over its own elapsed time."""
    moved = [(Bytes(size(each)), _no_shorter(sample, each.elapsed_ns)) for each in sample.calling if each.calls]
    return sum(bytes_per_second(*each) for each in moved) / 1e6


def _several(sample: Sample) -> bool:
    """One calling rank alone has nothing to be compared with; ranks that act together have one rate."""
    return len(sample.calling) > 1 and not sample.collective


def _rates(sample: Sample) -> list[float]:
    """RPC/s of each calling rank, over its own elapsed time; 0 for a rank that got no reply."""
    calls = [(sample.calls_of(each), _no_shorter(sample, each.elapsed_ns)) for each in sample.calling]
    return [rate(*each) if each[0] else 0.0 for each in calls]


def _per_call(sample: Sample, total: float) -> float | None:
    return total / sample.calls if sample.calls else None


def _serialization(sample: Sample) -> float | None:
    return _per_call(sample, sample.serialization_ns / 1e3) if sample.spec.mode == "serialized" else None


def _no_shorter(sample: Sample, elapsed_ns: int) -> Nanoseconds:
    """The time that a rate is over. An open loop waits for what is due: it lasts for its duration, although the last
    reply is in before, unless a limit on the calls ended it."""
    waits = not isinstance(sample.spec.load, Closed) and not sample.stepped and sample.spec.calls == 0
    return Nanoseconds(max(elapsed_ns, sample.spec.duration_ns) if waits else elapsed_ns)


def _due_time(sample: Sample, calling: Calling) -> Nanoseconds:
    """How long calls became due: the duration, unless a limit on the calls ended the run earlier."""
    if sample.spec.calls == 0:
        return sample.spec.duration_ns
    return Nanoseconds(min(sample.spec.duration_ns, calling.elapsed_ns))
