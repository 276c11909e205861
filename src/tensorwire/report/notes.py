"""What stands below a table: what went wrong, and what the numbers are."""

from collections.abc import Sequence

from tensorwire.report import Row
from tensorwire.result import Fidelity, Result
from tensorwire.sample import collective
from tensorwire.spec import Closed
from tensorwire.units import Bytes

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
    found += _together(result, shown)
    if "bandwidth" in shown:
        found.append("MB/s: 1e6 payload bytes per second, in one direction.")
        found += _uncounted(result)
    if "network_share" in shown:
        found.append(
            "Traffic of a step: of one worker, from its first call to its last reply, here. Network share: of the "
            "recorded time of a step, by the clock of one process of the job; a job computes meanwhile, so that what "
            "is left is not what it computed."
        )
    if any("missed" in row.estimates and row.estimates["missed"].interval.high for row in rows):
        found.append("Missed calls were due and never began; the RTTs are those of the others, a lower bound.")
    found += _intervals(rows, shown)
    found += fidelity(result.fidelity) if result.fidelity else []
    if any(row.size.startswith("~") for row in rows):
        found.append("~: the mean of the payloads, which are sent in turn.")
    return found


def _together(result: Result, shown: Sequence[str]) -> list[str]:
    """What the numbers of collective operations are, and which sizes were rounded."""
    operation = result.traffic.collective
    if operation is None:
        return []
    found = []
    if "coll_time" in shown:
        found.append("Time: of a call, on average over calls and ranks, from its start to its end on that rank.")
    if "busbw" in shown:
        found.append(
            "GB/s: 1e9 bytes per second. algbw: size over time; busbw: algbw x factor of nccl-tests "
            f"({collective_factor(result)})."
        )
    asked = result.spec.sizes or [Bytes(payload.total) for point in result.spec.points() for payload in point]
    down = [
        f"{size} B to {point.totals[0]} B"
        for size, point in zip(asked, result.points, strict=True)
        if size != point.totals[0]
    ]
    if down:
        found.append(f"Rounded down, as nccl-tests does: {', '.join(down)}.")
    return found


def collective_factor(result: Result) -> str:
    """The factor between the two bandwidths, which is the same for all sizes."""
    first = collective(result, 0)
    return f"{float(first.bus_factor):.4g}" if first else ""


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


def _uncounted(result: Result) -> list[str]:
    """What the bandwidth of one direction leaves out."""
    if any(point.answers for point in result.points):
        return ["What replies bring back is counted apart."]
    return ["An echo brings as much again, which is not counted."] if result.traffic.reply == "echo" else []


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


def fidelity(found: Fidelity) -> list[str]:
    """In sentences, one for requests and one for replies, and what is to be said of them."""
    lines = []
    for what, apart in (("requests", found.requests), ("replies", found.replies)):
        if apart is not None:
            share = apart.wasserstein_bytes / (apart.mean_bytes or 1)
            far = f"{apart.wasserstein_bytes:,.1f} B" if apart.wasserstein_bytes else "0 B"
            lines.append(
                f"Fidelity: the sizes of {apart.seen} {what} that a tap saw in an extra run differ from those asked "
                f"for by {far}, {share:.2%} of their mean (Wasserstein); KS {apart.ks:.3g}."
            )
    return lines + [f"Fidelity: {note}." for note in found.notes]
