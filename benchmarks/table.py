"""Verdicts as lines for a terminal and as a Markdown table."""

import os

from benchmarks.judging import Verdict
from tensorwire import environment
from tensorwire.environment import Files

_HEAD = ("claim", "limit", "seen (a / b)", "spread over rounds", "")
_WORDS = {True: "holds", False: "MISSES", None: "not measured"}


def machine(rounds: int, seconds: float) -> str:
    """The host and how it was measured, in one line."""
    host = environment.record()
    congestion = Files().text("proc/sys/net/ipv4/tcp_congestion_control") or environment.UNKNOWN
    load = ", ".join(f"{each:.2f}" for each in os.getloadavg())
    return (
        f"{host.cpu}, {len(host.cores)} cores, Linux {host.kernel}, TCP congestion control {congestion}, "
        f"{rounds} rounds of {seconds:g} s, load average before {load}"
    )


def line(verdict: Verdict) -> str:
    """One verdict for a terminal."""
    spread = f"  [{verdict.spread}]" if verdict.spread else ""
    return f"{_WORDS[verdict.holds]:12}  {verdict.claim}  {verdict.limit}: {verdict.seen}{spread}"


def markdown(head: str, verdicts: list[Verdict]) -> str:
    """All verdicts as a table, below the machine."""
    rows = [(v.claim, v.limit, v.seen, v.spread, _WORDS[v.holds]) for v in verdicts]
    lines = [_HEAD, ("---",) * len(_HEAD), *rows]
    return f"{head}\n\n" + "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
