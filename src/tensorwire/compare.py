"""Two sets of results held against each other: a verdict for each metric of each case, with the evidence for it.

A repetition, a run with fresh processes, is one piece of evidence. docs/comparing.md says what a verdict means.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from tensorwire import metrics, registry
from tensorwire.case import Case, cases
from tensorwire.errors import SpecError
from tensorwire.matching import Difference, Pair, Refusal, flagged, match, nothing_alike, refuse, widened
from tensorwire.metrics import Metric
from tensorwire.result import Result
from tensorwire.stats import Interval, holm, least_p, mann_whitney, ratio_interval

Verdict = Literal["failed", "slower", "inconclusive", "same", "faster"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""The worst first."""

FEWEST = 4
"""Repetitions of each side below which nothing is judged: the U test cannot tell three from three."""
LEVEL = 0.05
"""The chance, of the whole comparison, that anything is called faster or slower where nothing has changed."""

_COSTS = ("cpu_per_gb", "cpu_per_call")
_USUAL = ("rtt_p50", "cpu_per_call")  # for the results of a benchmark that is not installed here


class Question(Struct, frozen=True, kw_only=True):
    """What is asked: changes up to `threshold` count as none; cases may differ in the `allowed` conditions."""

    threshold: float = 0.05
    metrics: tuple[str, ...] = ()
    """Their names; those that sum up the benchmark unless given."""
    allowed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < 1:
            raise SpecError("threshold", self.threshold, "from 0 % to below 100 %, such as 5% or 0.05")
        for name in self.metrics:
            if metrics.get(name).better == "neither":
                sentence = f"{name} says nothing about faster or slower: neither more nor less of it is better"
                raise SpecError("metric", name, "one that has a better direction", sentence)

    @property
    def band(self) -> tuple[float, float]:
        """The ratios that count as no change, alike to either side: 5 % are 1/1.05 to 1.05."""
        return 1 / (1 + self.threshold), 1 + self.threshold


class Finding(Struct, frozen=True, kw_only=True):
    """One metric of one case. `ratio` is new over base; `p` is adjusted for all findings of the comparison.

    Both are None where there is too little to compute them from. `reason` is a sentence unless the verdict says all.
    """

    base: Case
    new: Case
    metric: Metric
    base_values: tuple[float, ...]
    new_values: tuple[float, ...]
    ratio: Interval | None
    p: float | None
    verdict: Verdict
    reason: str = ""


class Comparison(Struct, frozen=True, kw_only=True):
    """The answer. `flagged` are conditions that differ and were allowed, and what differs without being a condition."""

    question: Question
    findings: tuple[Finding, ...]
    refusals: tuple[Refusal, ...]
    only_base: tuple[Case, ...]
    only_new: tuple[Case, ...]
    flagged: tuple[Difference, ...]

    def count(self, verdict: Verdict) -> int:
        return sum(finding.verdict == verdict for finding in self.findings)

    @property
    def outcome(self) -> Verdict:
        """The worst that was found; what could not be judged, or is not there any more, is inconclusive."""
        found = {finding.verdict for finding in self.findings}
        if self.refusals or self.only_base:
            found.add("inconclusive")
        return next(verdict for verdict in VERDICTS if verdict in found)


def compare(base: Sequence[Result], new: Sequence[Result], question: Question) -> Comparison:
    """Raises SpecError, naming what differs, when the two sides have nothing that may be held against each other."""
    before, after = cases(base), cases(new)
    allowed = widened(question.allowed)
    matched = match(before, after, allowed)
    if not matched.pairs:
        raise nothing_alike(before, after, allowed)
    refusals, only_base, only_new = refuse(matched, allowed)
    return Comparison(
        question=question,
        findings=tuple(_judge_all(matched.pairs, question)),
        refusals=refusals,
        only_base=only_base,
        only_new=only_new,
        flagged=flagged(matched.pairs, base, new),
    )


def needed(findings: int) -> int:
    """The fewest repetitions of each side with which one of so many findings can be told from chance."""
    count = FEWEST
    while least_p(count, count) * findings > LEVEL:
        count += 1
    return count


def chosen_metrics(case: Case, names: Sequence[str] = ()) -> tuple[Metric, ...]:
    """Those of the names, else the benchmark's headline and the CPU time that it shows."""
    if not names:
        try:
            benchmark = registry.benchmark(case.result.spec.benchmark)
        except SpecError:
            names = _USUAL
        else:
            cost = next((name for name in _COSTS if name in benchmark.shows), _COSTS[0])
            names = (benchmark.headline, cost)
    return tuple(metrics.get(name) for name in names)


def values(case: Case, metric: Metric) -> tuple[float, ...]:
    """One for each repetition that has one."""
    found = [metric.value(sample) for sample in case.samples if sample is not None]
    return tuple(value for value in found if value is not None)


def _judge_all(pairs: Sequence[Pair], question: Question) -> list[Finding]:
    """Together, because their p-values are adjusted for how many they are."""
    found = [finding for pair in pairs for finding in _facts(pair, question)]
    if not found:
        wanted = ", ".join(question.metrics)
        raise SpecError("metric", wanted, "one that both sides have", f"neither side has a value of {wanted or 'any'}")
    adjusted = holm([1.0 if each.p is None else each.p for each in found])
    return [
        _judged(msgspec.structs.replace(each, p=None if each.p is None else p), len(found), question)
        for each, p in zip(found, adjusted, strict=True)
    ]


def _facts(pair: Pair, question: Question) -> list[Finding]:
    """The values, their ratio and its own p-value; nothing for a metric that neither side has, unless one failed."""
    found = []
    for metric in chosen_metrics(pair.base, question.metrics):
        before, after = values(pair.base, metric), values(pair.new, metric)
        if not (before or after or pair.base.failed or pair.new.failed):
            continue
        positive = bool(before and after) and min(*before, *after) > 0
        finding = Finding(
            base=pair.base,
            new=pair.new,
            metric=metric,
            base_values=before,
            new_values=after,
            ratio=ratio_interval(before, after) if positive else None,
            p=mann_whitney(before, after) if positive and min(len(before), len(after)) >= FEWEST else None,
            verdict="inconclusive",
        )
        found.append(finding)
    return found


def _judged(finding: Finding, findings: int, question: Question) -> Finding:
    verdict, reason = _verdict(finding, findings, question)
    lost = finding.new.failed + finding.base.failed
    if lost and not reason:
        reason = f"some repetitions failed: {lost[0]}"
    return msgspec.structs.replace(finding, verdict=verdict, reason=reason)


def _verdict(finding: Finding, findings: int, question: Question) -> tuple[Verdict, str]:
    least, most = question.band
    before, after = finding.base_values, finding.new_values
    if finding.new.failed and not finding.base.failed:
        failures = sum(words is not None for words in finding.new.failures)
        count = f"{failures} of {len(finding.new.failures)} repetitions failed on the new side and none on the other"
        return "failed", f"{count}: {finding.new.failed[0]}"
    if not (before and after):
        lacking = " and ".join(side for side, seen in (("base", before), ("new", after)) if not seen)
        return "inconclusive", "; ".join([f"no value on the side of {lacking}", *finding.base.failed])
    if min(len(before), len(after)) < FEWEST:
        few = "repetition" if len(before) == len(after) == 1 else "repetitions"
        said = f"{len(before)} and {len(after)} {few} are too few"
        return "inconclusive", f"{said}: this needs {needed(findings)} on each side (--repeat {needed(findings)})"
    if finding.ratio is None:
        if set(before) == set(after) == {0.0}:
            return "same", ""
        return "inconclusive", "a value of 0 has no ratio"
    if least <= finding.ratio.low and finding.ratio.high <= most:
        return "same", ""
    if least <= finding.ratio.high and finding.ratio.low <= most:
        return "inconclusive", "the interval is neither within the threshold nor beyond it"
    if finding.p is None or finding.p > LEVEL:
        return "inconclusive", _unproven(finding, findings)
    more = finding.ratio.low > most
    return ("faster" if more == (finding.metric.better == "higher") else "slower"), ""


def _unproven(finding: Finding, findings: int) -> str:
    m, n = len(finding.base_values), len(finding.new_values)
    if least_p(m, n) * findings > LEVEL:
        count = needed(findings)
        return f"{m} and {n} repetitions cannot prove one of {findings} findings: {count} can (--repeat {count})"
    return f"the sides overlap (p = {finding.p:.2g})"
