"""A comparison for people and programs: a line for each finding, then what the verdicts rest on."""

import csv
import io
import re
import statistics
from collections.abc import Sequence

import msgspec
from rich.console import Console

from tensorwire.compare import FEWEST, LEVEL, VERDICTS, Comparison, Finding
from tensorwire.report.columns import Column
from tensorwire.report.drawing import show_columns, show_line
from tensorwire.stats import Interval
from tensorwire.units import format_size

_HEAD = ("metric", "unit", "base", "new", "ratio", "low", "high", "p", "repetitions", "verdict", "reason")
_ALWAYS = ("benchmark", "channel", "payload", "bytes", "buffers", "ranks", "in_flight")


def show(comparison: Comparison, console: Console) -> None:
    """Prints a table no wider than the console, the reasons, and what was left out."""
    findings = comparison.findings
    subjects = {name: [subject[name] for subject in map(_subject, findings)] for name in _subject(findings[0])}
    common = {name: cells[0] for name, cells in subjects.items() if len(set(cells)) == 1 and name != "size"}
    show_line(f"new over base, threshold {_percent(comparison.question.threshold)}", console, "bold")
    show_line(", ".join(f"{name} {value}" for name, value in common.items() if value), console, "dim")
    first = [_column(name, cells, left=name != "size") for name, cells in subjects.items() if name not in common]
    show_columns(
        [*first, _column("metric", [each.metric.name for each in findings], left=True)], _values(findings), console
    )
    for line in _reasons(comparison):
        show_line(line, console, "")
    for line in left_out(comparison):
        show_line(line, console, "red")
    show_line(summary(comparison), console, "bold")
    for line in _notes(comparison):
        show_line(line, console, "dim")


def markdown(comparison: Comparison) -> str:
    """The same as a table for a pull request."""
    head = ("case", "metric", "base", "new", "new / base", "p", "verdict")
    lines = [head, ("---",) * len(head)]
    for each in comparison.findings:
        unit = f" {each.metric.unit}" if each.metric.unit else ""
        numbers = [f"{_median(side)}{unit}" for side in (each.base_values, each.new_values)]
        verdict = f"**{each.verdict}**" if each.verdict in ("slower", "failed") else each.verdict
        lines.append((each.base.words(), each.metric.name, *numbers, _ratio(each), _p(each), verdict))
    table = "".join(f"| {' | '.join(map(_escaped, cells))} |\n" for cells in lines)
    below = [*_reasons(comparison), *left_out(comparison), *_notes(comparison)]
    return f"{summary(comparison)}\n\n{table}\n" + "".join(f"- {_escaped(line)}\n" for line in below)


def as_json(comparison: Comparison) -> str:
    """All of it for programs: values of every repetition, conditions that differ, what was not compared."""
    report = {
        "format": "tensorwire.comparison",
        "outcome": comparison.outcome,
        "threshold": comparison.question.threshold,
        "level": LEVEL,
        "findings": [_finding(each) for each in comparison.findings],
        "refused": [
            {"base": each.base.name(), "new": each.new.name(), "differences": each.differences}
            for each in comparison.refusals
        ],
        "only_base": [case.name() for case in comparison.only_base],
        "only_new": [case.name() for case in comparison.only_new],
        "flagged": comparison.flagged,
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def as_csv(comparison: Comparison) -> str:
    """A line for each finding; what was not compared has none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", *_HEAD])
    for each in comparison.findings:
        told = _finding(each)
        counts = f"{len(each.base_values)}/{len(each.new_values)}"
        known = {**told, "repetitions": counts}
        writer.writerow(["" if known[name] is None else known[name] for name in ("case", *_HEAD)])
    return text.getvalue()


def summary(comparison: Comparison) -> str:
    """How many findings have which verdict, in one line."""
    counted = [f"{count} {verdict}" for verdict in VERDICTS if (count := comparison.count(verdict))]
    return f"{', '.join(counted)} of {_plural(len(comparison.findings), 'finding')}"


def left_out(comparison: Comparison) -> list[str]:
    """A sentence for each case that was not compared."""
    lines = [
        f"not compared: {each.base.words()}: {'; '.join(map(str, each.differences))}" for each in comparison.refusals
    ]
    lines += [f"only in base: {case.words()}" for case in comparison.only_base]
    return lines + [f"only in new: {case.words()}" for case in comparison.only_new]


def evidence(finding: Finding) -> str:
    """The numbers behind a verdict, in one line."""
    unit = f" {finding.metric.unit}" if finding.metric.unit else ""
    medians = f"{_median(finding.base_values)} to {_median(finding.new_values)}{unit}"
    tested = "" if finding.p is None else f", p {_p(finding)}"
    reason = f"; {finding.reason}" if finding.reason else ""
    return f"{finding.verdict}: {finding.metric.name} {medians}, new / base {_ratio(finding)}{tested}{reason}"


def _subject(finding: Finding) -> dict[str, str]:
    """What a line is about, in words; `size` is always a column."""
    traits = finding.base.traits()
    unusual = {name: value for name, value in traits.items() if name not in _ALWAYS}
    return {
        "benchmark": traits["benchmark"],
        "channel": _both(finding, "channel"),
        "payload": traits["payload"],
        "ranks": traits["ranks"],
        "in flight": traits["in_flight"],
        "with": " ".join(f"{name} {value}" for name, value in unusual.items()),
        "size": format_size(finding.base.total_bytes),
    }


def _both(finding: Finding, trait: str) -> str:
    """A trait that may have been allowed to differ."""
    values = [case.traits()[trait] for case in (finding.base, finding.new)]
    return " | ".join(dict.fromkeys(values))


def _values(findings: Sequence[Finding]) -> list[Column]:
    return [
        _column("unit", [each.metric.unit or "-" for each in findings], left=True),
        _column("base", [_median(each.base_values) for each in findings]),
        _column("new", [_median(each.new_values) for each in findings]),
        _column("new/base", [_ratio(each) for each in findings], left=True),
        _column("p", [_p(each) for each in findings]),
        _column("runs", [f"{len(each.base_values)}/{len(each.new_values)}" for each in findings]),
        _column("verdict", [each.verdict for each in findings], left=True),
    ]


def _reasons(comparison: Comparison) -> list[str]:
    """Each reason once, with the lines that it is of."""
    found: dict[str, list[str]] = {}
    for each in comparison.findings:
        if each.reason:
            found.setdefault(f"{each.verdict}: {each.reason}", []).append(f"{each.metric.name} of {each.base.words()}")
    return [f"{reason} ({of[0] if len(of) == 1 else f'{len(of)} findings'})" for reason, of in found.items()]


def _notes(comparison: Comparison) -> list[str]:
    """What the verdicts rest on, and what else is not alike."""
    least, most = comparison.question.band
    lines = [
        f"Same: the 95 % bootstrap interval of the ratio of medians lies within {least:.3f} to {most:.3f}.",
        f"Faster, slower: it lies beyond, and p (Mann-Whitney, adjusted for {len(comparison.findings)} by Holm) is at "
        f"most {LEVEL:g}. Else inconclusive.",
    ]
    return lines + [f"Note: {difference}." for difference in comparison.flagged]


def _finding(finding: Finding) -> dict[str, object]:
    shown = _shown(finding)
    return {
        "case": finding.base.name(),
        "benchmark": finding.base.result.spec.benchmark,
        "channel": finding.base.result.spec.channel,
        "payload": finding.base.result.payload,
        "total_bytes": finding.base.total_bytes,
        "metric": finding.metric.name,
        "unit": finding.metric.unit,
        "better": finding.metric.better,
        "base": _middle(finding.base_values),
        "new": _middle(finding.new_values),
        "base_values": finding.base_values,
        "new_values": finding.new_values,
        "ratio": finding.ratio.median if finding.ratio else None,
        "low": shown.low if shown else None,
        "high": shown.high if shown else None,
        "p": finding.p,
        "verdict": finding.verdict,
        "reason": finding.reason,
    }


def _shown(finding: Finding) -> Interval | None:
    """The interval, where there are enough repetitions for it to mean anything."""
    few = min(len(finding.base_values), len(finding.new_values)) < FEWEST
    return None if few else finding.ratio


def _middle(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _median(values: Sequence[float]) -> str:
    middle = _middle(values)
    return "-" if middle is None else _digits(middle)


def _digits(value: float) -> str:
    """Four digits, all of those before the point."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.4g}".rstrip(".")


def _ratio(finding: Finding) -> str:
    if finding.ratio is None:
        return "-"
    shown = _shown(finding)
    between = f" [{shown.low:.3f}, {shown.high:.3f}]" if shown else ""
    return f"{finding.ratio.median:.3f}{between}"


def _p(finding: Finding) -> str:
    if finding.p is None:
        return "-"
    return f"{finding.p:.3f}" if finding.p >= 0.001 else "<0.001"


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _column(header: str, cells: Sequence[str], left: bool = False) -> Column:
    return Column(header=(header,), cells=tuple(cells), justify="left" if left else "right")


def _escaped(cell: str) -> str:
    return re.sub(r"([|<>])", r"\\\1", cell)
