"""How numbers are said in a page: three digits and a unit that fits."""

from collections.abc import Sequence

from tensorwire.metrics import CATALOGUE, Estimate
from tensorwire.page import Table
from tensorwire.page.entries import Entry
from tensorwire.stats import Interval
from tensorwire.units import format_duration, format_rate

NOTHING = "-"
_PLAIN = {
    "rtt_min": "shortest round trip",
    "rtt_p50": "median round trip",
    "rtt_p99": "99th percentile of the round trips",
    "rtt_mean": "mean round trip",
    "rpcs": "calls per second",
    "bandwidth": "payload sent per second",
    "step_p50": "median traffic of a step",
    "step_p99": "99th percentile of the traffic of a step",
    "cpu_per_gb": "CPU seconds per GB moved",
    "fairness": "fairness",
}


def plain(metric: str) -> str:
    """A metric in the words of a sentence."""
    return _PLAIN.get(metric, CATALOGUE[metric].meaning.lower())


def say(unit: str, value: float) -> str:
    """A number of the catalogue's unit, with a unit."""
    match unit:
        case "us":
            return format_duration(value * 1e3)
        case "ns":
            return format_duration(value)
        case "MB/s":
            return format_rate(value * 1e6)
        case "RPC/s" | "steps/s":
            return f"{digits(value)} {unit}"
        case "":
            return digits(value)
    return f"{digits(value)} {unit}"


def digits(value: float) -> str:
    """Three of them; thousands in full, with commas."""
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def ratio(value: float) -> str:
    """Two digits; three where they are needed to tell it from 1."""
    return f"{value:.0f}" if value >= 9.95 else f"{value:.3g}" if 0.95 < value < 1.05 else f"{value:.2g}"


def median(found: Estimate | None) -> str:
    return NOTHING if found is None else say(found.metric.unit, found.interval.median)


def spread(found: Estimate | None) -> str:
    """The median, and its interval in brackets where several repetitions give one."""
    if found is None:
        return NOTHING
    interval = found.interval
    if not interval.confidence:
        return median(found)
    low, high = (say(found.metric.unit, value) for value in (interval.low, interval.high))
    return f"{median(found)} [{low}, {high}]"


def bounds(interval: Interval) -> tuple[float | None, float | None]:
    """Low and high; nothing of one repetition."""
    return (interval.low, interval.high) if interval.confidence else (None, None)


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """One, two and three."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def table(found: Sequence[Entry], labels: Sequence[str], metrics: Sequence[str], what: str = "") -> Table:
    """A row for each entry, with its payload; a column for each metric that any has."""
    shown = [name for name in metrics if any(name in each.estimates for each in found)]
    header = (what or "run", "payload", *(f"{_title(name)}" for name in shown), "repetitions")
    rows = [
        (label, each.payload, *(spread(each.estimates.get(name)) for name in shown), str(len(each.measured)))
        for each, label in zip(found, labels, strict=True)
    ]
    return Table(header=header, rows=tuple(rows))


def _title(metric: str) -> str:
    return CATALOGUE[metric].title.replace("- ", "").replace(" /", "/")


def certainty(found: Sequence[Entry]) -> str:
    """What bands and brackets are, as far as these entries have them."""
    known = [each for entry in found for each in entry.estimates.values()]
    levels = {each.interval.confidence for each in known if each.interval.confidence}
    alone = any(len(entry.measured) == 1 for entry in found)
    single = "one repetition has no interval: nothing tells how far the next would be from it"
    if not levels:
        return f"{single[0].upper()}{single[1:]}."
    least = f"{100 * min(levels):.3g} %"
    words = least if len(levels) == 1 else f"at least {least}"
    held = f"Bands, whiskers and brackets hold the median over repetitions with a confidence of {words}"
    return f"{held}; {single}." if alone else f"{held}."
