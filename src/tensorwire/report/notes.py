"""What stands below a table: what went wrong, and what the numbers are."""

from collections.abc import Sequence

from tensorwire.report import Row
from tensorwire.result import Result
from tensorwire.spec import Closed

_MOST_REASONS = 3


def failures(rows: Sequence[Row]) -> list[str]:
    """For each point with failures, how often it failed and each different reason once."""
    lines = []
    for row in rows:
        failed = {run.repetition for run in row.failures}
        times = f"{len(failed)} of {_repetitions(row.repetitions)}"
        lines += [f"{row.size} failed in {times}: {reason}" for reason in row.reasons[:_MOST_REASONS]]
        if (more := len(row.reasons) - _MOST_REASONS) > 0:
            lines.append(f"{row.size} failed for {more} more reasons, which the JSON report lists")
    return lines


def notes(result: Result, rows: Sequence[Row], shown: Sequence[str]) -> list[str]:
    """One sentence for each thing that a reader could take for another."""
    found = []
    if any(name.startswith(("rtt_", "one_way_")) for name in shown):
        found.append(_round_trip(result))
    if any(name.startswith("one_way_") for name in shown):
        found.append("One-way: half of a round trip.")
    if "bandwidth" in shown:
        found.append("MB/s: 1e6 payload bytes per second, in one direction.")
        found += ["An echo brings as much again, which is not counted."] if result.traffic.reply == "echo" else []
    if any("missed" in row.estimates and row.estimates["missed"].interval.high for row in rows):
        found.append("Missed calls were due and never began; the RTTs are those of the others, a lower bound.")
    found += _intervals(rows, shown)
    if any(row.size.startswith("~") for row in rows):
        found.append("~: the mean of the payloads, which are sent in turn.")
    return found


def cut_short(result: Result, rows: Sequence[Row]) -> list[str]:
    """A sentence for a partial result."""
    if result.status == "complete":
        return []
    unmeasured = sum(row.measured == 0 for row in rows)
    rest = f"; {unmeasured} of {len(rows)} points have no value" if unmeasured else ""
    return [f"Partial result: the run was cut short{rest}."]


def _round_trip(result: Result) -> str:
    if isinstance(result.spec.load, Closed):
        return "RTT: round trip, from the start of a call to its reply."
    return "RTT in an open loop: from when a call was due, even if it began later, to its reply."


def _intervals(rows: Sequence[Row], shown: Sequence[str]) -> list[str]:
    estimates = [row.estimates[name] for row in rows for name in shown if name in row.estimates]
    coverages = {each.interval.confidence for each in estimates if each.interval.confidence}
    if not coverages:
        return ["One repetition: nothing tells how far the next would be from it."] if estimates else []
    least = min(coverages)
    words = f"{100 * least:.3g} %" if len(coverages) == 1 else f"at least {100 * least:.3g} %"
    few = "; 6 repetitions reach 95 %" if least < 0.95 else ""
    return [f"[low, high] holds the median over repetitions with a confidence of {words}{few}."]


def _repetitions(count: int) -> str:
    return f"{count} repetition{'' if count == 1 else 's'}"
