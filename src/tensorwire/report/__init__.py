"""What people see of a result. Law: computed anew from the facts each time, and stored nowhere.

`table` prints for a terminal; `data` has JSON and CSV, `osu` the columns of the OSU micro-benchmarks.
"""

from msgspec import Struct

from tensorwire import registry
from tensorwire.collective import Collective
from tensorwire.errors import SpecError
from tensorwire.metrics import CATALOGUE, Estimate, estimate
from tensorwire.recorded import Steps
from tensorwire.result import Failure, Point, Result
from tensorwire.sample import collective, samples
from tensorwire.spec import Closed
from tensorwire.units import format_size

# For the results of a benchmark that is not installed here.
_DEFAULT_SHOWS = ("rtt_p50", "rtt_p99", "rpcs", "bandwidth", "cpu_per_call", "cpu_per_gb")
_STEP_SHOWS = (
    "steps",
    "step_p50",
    "step_p99",
    "step_mean",
    "bandwidth",
    "bandwidth_back",
    "recorded_step",
    "recorded_step_bytes",
    "network_share",
)


class FailedRun(Struct, frozen=True, kw_only=True):
    """A failure, and the number of the repetition that it happened in, from 0."""

    repetition: int
    failure: Failure

    @property
    def words(self) -> str:
        """What went wrong, in one line."""
        return " ".join(f"{self.failure.type}: {self.failure.message}".split())


class Row(Struct, frozen=True, kw_only=True):
    """One point: the metrics that have a value, by name, and what went wrong.

    `measured` of `repetitions` repetitions have values.
    """

    index: int
    point: Point
    measured: int
    repetitions: int
    estimates: dict[str, Estimate]
    failures: tuple[FailedRun, ...]
    collective: Collective | None = None
    """What all ranks did together, where they did not call each other."""

    @property
    def size(self) -> str:
        """The payload bytes of a call; ~ their mean, where payloads of several sizes are sent in turn."""
        several = len(set(self.point.totals)) > 1
        return f"{'~' if several else ''}{format_size(self.mean_total)}"

    @property
    def mean_total(self) -> int:
        return round(sum(self.point.totals) / len(self.point.totals))

    @property
    def buffers(self) -> int:
        return max(len(sizes) for sizes in self.point.payloads)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Each different failure once."""
        return tuple(dict.fromkeys(run.words for run in self.failures))


def rows(result: Result) -> tuple[Row, ...]:
    """One for each point, measured or not."""
    return tuple(_row(result, index) for index in range(len(result.points)))


def shows(result: Result) -> tuple[str, ...]:
    """The metrics that are columns: those of the benchmark, or of steps; then those of the mode and the load."""
    serialized = ("serialization",) if result.spec.mode == "serialized" else ()
    if isinstance(result.spec.payload, Steps):
        return _STEP_SHOWS + serialized
    try:
        shown = registry.benchmark(result.spec.benchmark).shows
    except SpecError:
        shown = _DEFAULT_SHOWS
    if serialized:
        shown += ("rtt_mean", *serialized, "communication")
    if any(answers is not None for point in result.points for answers in point.answers):
        shown += ("bandwidth_back",)
    if not isinstance(result.spec.load, Closed):
        shown += ("offered", "missed")
    return tuple(dict.fromkeys(shown))


def goes_over_tcp(transport: str) -> bool:
    """Whether a rank that names its transport so has TCP among it, whose bytes an interface counts."""
    return "tcp" in transport or "tls" in transport


def transport(result: Result) -> str:
    """What the ranks say that they used: such as "tcp on lo", or "unknown" when none came so far."""
    said = {
        facts.settings["transport"]
        for repetition in result.repetitions
        for facts in repetition.ranks
        if "transport" in facts.settings
    }
    interfaces = {
        each.wire.interface
        for repetition in result.repetitions
        for each in repetition.measurements
        if each.wire is not None
    }
    on = f" on {', '.join(sorted(interfaces))}" if interfaces and any(map(goes_over_tcp, said)) else ""
    return (", ".join(sorted(said)) or "transport unknown") + on


def collective_how(result: Result) -> str:
    """Whether the stack has the operation itself, as the ranks say: native, or emulated and by what."""
    said = {
        facts.settings["collective"]
        for repetition in result.repetitions
        for facts in repetition.ranks
        if facts.settings.get("collective")
    }
    return ", ".join(sorted(said)) or "unknown"


def _row(result: Result, index: int) -> Row:
    repetitions = samples(result, index)
    found = {name: estimate(metric, repetitions) for name, metric in CATALOGUE.items()}
    return Row(
        index=index,
        point=result.points[index],
        collective=collective(result, index),
        measured=sum(sample is not None for sample in repetitions),
        repetitions=len(repetitions),
        estimates={name: value for name, value in found.items() if value is not None},
        failures=tuple(
            FailedRun(repetition=number, failure=failure)
            for number, repetition in enumerate(result.repetitions)
            for failure in repetition.failures
            if failure.point == index
        ),
    )
