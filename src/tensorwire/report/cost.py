"""What watching a job costs, for people and for programs."""

from typing import Any

import msgspec

from tensorwire.cost import Cost, busiest, control, interval, paired, share, verdict
from tensorwire.stats import Interval


def as_text(cost: Cost) -> str:
    """Some lines, each of which says what its number is."""
    seen, alike = interval(paired(cost.blocks)), interval(control(cost.blocks))
    length = f" of {_seconds(sum(block.ns for block in cost.blocks) / len(cost.blocks))}" if cost.blocks else ""
    lines = [
        f"what watching costs, over {len(cost.blocks)} blocks{length}: on, off, off, on, ...",
        f"  bytes sent a second, watched / unwatched   {_ratio(seen)}   over {len(paired(cost.blocks))} pairs",
        f"  the same of blocks alike, for the noise    {_ratio(alike)}   over {len(control(cost.blocks))} pairs",
        f"  slowdown of the job                        {_told(cost)}",
        f"  the tap's own time                         {_own(cost)}",
        *(f"  note: {note}" for note in cost.notes),
    ]
    return "\n".join(lines) + "\n"


def as_json(cost: Cost) -> str:
    """All facts, and what is concluded from them, in one line."""
    most = busiest(cost)
    told: dict[str, Any] = {
        **msgspec.to_builtins(cost),
        "progress": msgspec.to_builtins(interval(paired(cost.blocks))),
        "control": msgspec.to_builtins(interval(control(cost.blocks))),
        "verdict": verdict(cost)[0],
        "why": verdict(cost)[1],
        "own_share": share(most) if most else None,
    }
    return msgspec.json.encode(told).decode()


def _ratio(found: Interval | None) -> str:
    if found is None:
        return "-"
    return f"{found.median:.4f} ({found.low:.4f} to {found.high:.4f} with {found.confidence:.1%})"


def _told(cost: Cost) -> str:
    which, why = verdict(cost)
    return why if which != "cannot be told" else f"cannot be told: {why}"


def _own(cost: Cost) -> str:
    most = busiest(cost)
    if most is None:
        return "was not measured: the job ended before"
    each = (
        f", {most.ns / most.calls:,.0f} ns a call, {most.calls / most.over_ns * 1e9:,.0f} calls/s" if most.calls else ""
    )
    return f"{share(most):.2%} of wall time in {most.program}, all threads together{each}"


def _seconds(ns: float) -> str:
    return f"{ns / 1e9:.3g} s"
