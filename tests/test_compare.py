"""Verdicts: what the evidence allows to say, and what may be held against what."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorwire.compare import Comparison, Question, compare, needed, values
from tensorwire.errors import SpecError
from tensorwire.metrics import get
from tensorwire.result import Result
from tensorwire.spec import Placement, Spec
from tensorwire.stats import least_p
from tensorwire.units import Bytes
from tests.results import HOST, SECOND, failing, p2p_run, repeated, repetition, result, workers

STEADY = (100_000, 100_400, 99_800, 100_900, 99_500, 100_100)


def scaled(factor: float, latencies: tuple[int, ...] = STEADY) -> Result:
    return repeated(*(round(factor * latency) for latency in latencies))


def asked(
    base: Result, new: Result, *metrics: str, threshold: float = 0.05, allowed: tuple[str, ...] = ()
) -> Comparison:
    question = Question(threshold=threshold, metrics=metrics or ("rtt_p50",), allowed=frozenset(allowed))
    return compare([base], [new], question)


def changed(base: Result, **changes: Any) -> Result:
    return msgspec.structs.replace(base, spec=msgspec.structs.replace(base.spec, **changes))


@pytest.mark.parametrize(
    ("factor", "latency", "rate"),
    [(1.0, "same", "same"), (1.2, "slower", "slower"), (0.8, "faster", "faster"), (1.02, "same", "same")],
)
def test_the_direction_of_a_metric_says_what_is_faster(factor: float, latency: str, rate: str) -> None:
    found = asked(scaled(1.0), scaled(factor), "rtt_p50", "rpcs").findings
    assert [each.verdict for each in found] == [latency, rate]


def test_what_lies_across_the_threshold_is_inconclusive() -> None:
    (finding,) = asked(scaled(1.0), scaled(1.05)).findings
    assert finding.verdict == "inconclusive"
    assert "neither within the threshold nor beyond it" in finding.reason


def test_the_threshold_decides() -> None:
    assert asked(scaled(1.0), scaled(1.1), threshold=0.05).outcome == "slower"
    assert asked(scaled(1.0), scaled(1.1), threshold=0.2).outcome == "same"


def test_a_small_change_that_is_certain_is_still_the_same() -> None:
    (finding,) = asked(scaled(1.0), scaled(1.03)).findings
    assert finding.p is not None
    assert (finding.verdict, finding.p < 0.05) == ("same", True)


@pytest.mark.parametrize(("base", "new"), [(1, 1), (1, 6), (6, 3)])
def test_few_repetitions_are_inconclusive_and_told_how_many_are_needed(base: int, new: int) -> None:
    (finding,) = asked(scaled(1.0, STEADY[:base]), scaled(2.0, STEADY[:new])).findings
    assert finding.verdict == "inconclusive"
    assert f"{base} and {new} repetition" in finding.reason
    assert "too few: this needs 4 on each side (--repeat 4)" in finding.reason
    assert finding.p is None


def test_two_findings_need_five_repetitions() -> None:
    found = asked(scaled(1.0, STEADY[:4]), scaled(2.0, STEADY[:4]), "rtt_p50", "cpu_per_call").findings
    assert [each.verdict for each in found] == ["inconclusive", "same"]
    assert asked(scaled(1.0, STEADY[:5]), scaled(2.0, STEADY[:5]), "rtt_p50", "cpu_per_call").outcome == "slower"
    assert "4 and 4 repetitions cannot prove one of 2 findings: 5 can (--repeat 5)" in found[0].reason


@pytest.mark.parametrize("findings", [1, 2, 6, 7, 30, 1000])
def test_the_repetitions_needed_are_the_fewest_that_can_prove_one_finding(findings: int) -> None:
    count = needed(findings)
    assert findings * least_p(count, count) <= 0.05
    assert count == 4 or findings * least_p(count - 1, count - 1) > 0.05


def test_p_values_are_adjusted_for_all_findings() -> None:
    (alone,) = asked(scaled(1.0), scaled(1.2)).findings
    together = asked(scaled(1.0), scaled(1.2), "rtt_p50", "cpu_per_call").findings
    assert alone.p == pytest.approx(least_p(6, 6))
    assert together[0].p == pytest.approx(2 * least_p(6, 6))


def test_overlapping_sides_are_not_called_slower_by_the_interval_alone() -> None:
    base, new = repeated(100, 100, 100, 100, 400), repeated(110, 110, 110, 110, 90)
    (finding,) = asked(base, new, threshold=0.0).findings
    assert finding.p is not None
    assert finding.p > 0.05
    assert finding.verdict == "inconclusive"


def test_the_headline_and_the_cost_are_compared_unless_others_are_named() -> None:
    found = compare([scaled(1.0)], [scaled(1.0)], Question()).findings
    assert [each.metric.name for each in found] == ["rtt_p50", "cpu_per_call"]
    found = compare([workers(5, 5)], [workers(5, 5)], Question()).findings
    assert found[0].metric.name == "rpcs"


def test_a_benchmark_that_is_not_installed_here_is_compared_all_the_same() -> None:
    base = changed(scaled(1.0), benchmark="somebodys-own")
    assert [each.metric.name for each in compare([base], [base], Question()).findings] == ["rtt_p50", "cpu_per_call"]


@pytest.mark.parametrize(
    ("question", "fragment"),
    [
        ({"threshold": 1.0}, "threshold is 1.0"),
        ({"threshold": -0.1}, "threshold is -0.1"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"metrics": ("cores_busy",)}, "cores_busy says nothing about faster or slower"),
        ({"metrics": ("rtt_50",)}, "did you mean rtt_p50"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(question: dict[str, Any], fragment: str) -> None:
    with pytest.raises(SpecError, match=fragment):
        Question(**question)


def test_several_files_of_a_case_are_its_repetitions() -> None:
    base, new = ([repeated(round(factor * each)) for each in STEADY] for factor in (1.0, 1.2))
    (finding,) = compare(base, new, Question(metrics=("rtt_p50",))).findings
    assert (len(finding.base_values), finding.verdict) == (6, "slower")


def test_zeros_have_no_ratio_but_may_be_the_same() -> None:
    (finding,) = asked(scaled(1.0), scaled(1.0), "stalls").findings
    assert (finding.verdict, finding.ratio) == ("same", None)
    used = msgspec.structs.replace(scaled(1.0))
    idle = [
        msgspec.structs.replace(
            run,
            measurements=tuple(
                msgspec.structs.replace(each, usage=msgspec.structs.replace(each.usage, user_ns=0, system_ns=0))
                for each in run.measurements
            ),
        )
        for run in used.repetitions
    ]
    (finding,) = asked(msgspec.structs.replace(used, repetitions=tuple(idle)), used, "cpu_per_call").findings
    assert (finding.verdict, finding.reason) == ("inconclusive", "a value of 0 has no ratio")


def test_a_failure_that_is_new_is_worse_than_slow() -> None:
    answer = asked(scaled(1.0), failing(None, None, None, None, "rank 0 went away", None))
    assert answer.outcome == "failed"
    assert "1 of 6 repetitions failed on the new side and none on the other: PeerLost: rank 0 went away" in (
        answer.findings[0].reason
    )
    assert asked(scaled(1.0), failing("gone", "gone")).outcome == "failed"


def test_failures_on_the_base_side_are_told_and_the_rest_is_compared() -> None:
    base = failing(None, None, None, None, None, "rank 0 went away")
    (finding,) = asked(base, failing(*[None] * 5, "again")).findings
    assert (finding.verdict, finding.reason) == ("same", "some repetitions failed: PeerLost: again")
    (finding,) = asked(failing("gone"), scaled(1.0)).findings
    assert (finding.verdict, finding.reason) == ("inconclusive", "no value on the side of base; PeerLost: gone")


def test_a_metric_that_neither_side_has_is_refused() -> None:
    with pytest.raises(SpecError, match="neither side has a value of fairness"):
        asked(scaled(1.0), scaled(1.0), "fairness")


def sweep(*sizes: int, channel: str = "grpc") -> Result:
    spec = Spec(sizes=tuple(map(Bytes, sizes)), duration_ns=SECOND, channel=channel)
    runs = [
        repetition(*(each for point, size in enumerate(sizes) for each in p2p_run([latency] * 5, size, point)))
        for latency in STEADY
    ]
    return result(*runs, spec=spec)


def test_rows_of_one_side_only_are_told() -> None:
    answer = compare([sweep(32, 64, 128)], [sweep(64, 128, 256)], Question(metrics=("rtt_p50",)))
    assert [each.base.total_bytes for each in answer.findings] == [64, 128]
    assert [case.total_bytes for case in answer.only_base] == [32]
    assert [case.total_bytes for case in answer.only_new] == [256]
    assert answer.outcome == "inconclusive"


def test_a_row_that_only_the_new_side_has_changes_nothing() -> None:
    answer = compare([sweep(64)], [sweep(64, 256)], Question(metrics=("rtt_p50",)))
    assert answer.outcome == "same"


def elsewhere(base: Result) -> Result:
    return msgspec.structs.replace(base, environment=msgspec.structs.replace(HOST, host="there"))


@pytest.mark.parametrize(
    ("new", "fragment"),
    [
        (changed(scaled(1.0), mode="serialized"), r"mode differs \(non-serialized \| serialized\)"),
        (elsewhere(scaled(1.0)), r"host differs \(name here \| name there\)"),
        (changed(scaled(1.0), placement=Placement(pin="same")), r"placement differs \(pin distinct \| pin same\)"),
        (changed(scaled(1.0), channel="tcp"), r"channel differs \(grpc \| tcp\)"),
    ],
)
def test_what_may_not_be_compared_is_refused_with_the_reason(new: Result, fragment: str) -> None:
    with pytest.raises(SpecError, match=fragment) as refused:
        asked(scaled(1.0), new)
    (flag,) = [word for word in str(refused.value).split() if word.startswith("different-")]
    answer = asked(scaled(1.0), new, allowed=(flag.removeprefix("different-"),))
    assert answer.outcome == "same"
    assert answer.flagged[0].condition == flag.removeprefix("different-")


def test_another_payload_is_refused_whatever_is_allowed() -> None:
    with pytest.raises(SpecError, match="payload differs") as refused:
        asked(scaled(1.0), repeated(*STEADY, size=64), allowed=("host", "channel"))
    assert "--allow" not in str(refused.value)


def test_beside_rows_that_compare_one_that_may_not_is_left_out_with_the_reason() -> None:
    base = [sweep(64), changed(scaled(1.0), mode="serialized")]
    answer = compare(base, [sweep(64), scaled(1.0)], Question(metrics=("rtt_p50",)))
    assert len(answer.findings) == 1
    assert [each.condition for each in answer.refusals[0].differences] == ["mode"]
    assert answer.outcome == "inconclusive"


def test_the_one_that_is_alike_goes_before_the_one_that_is_allowed() -> None:
    channels = frozenset({"channel"})
    base, new = [sweep(64, channel="tcp")], [sweep(64), sweep(64, channel="tcp")]
    (finding,) = compare(base, new, Question(metrics=("rtt_p50",), allowed=channels)).findings
    assert finding.new.result.spec.channel == "tcp"
    (finding,) = compare(base, new[:1], Question(metrics=("rtt_p50",), allowed=channels)).findings
    assert finding.new.result.spec.channel == "grpc"


def test_versions_and_the_kernel_are_told_where_they_differ() -> None:
    newer = msgspec.structs.replace(HOST, kernel="Linux 7.0", facts={"load_average": "9 9 9"})
    answer = asked(scaled(1.0), msgspec.structs.replace(scaled(1.0), environment=newer))
    assert [str(each) for each in answer.flagged] == ["kernel differs (Linux 6.1 | Linux 7.0)"]


latencies = st.lists(st.integers(50_000, 500_000), min_size=1, max_size=8)


@settings(max_examples=30, deadline=None)
@given(latencies, latencies)
def test_a_verdict_never_says_more_than_the_evidence(base: list[int], new: list[int]) -> None:
    (finding,) = asked(repeated(*base), repeated(*new)).findings
    before, after = values(finding.base, get("rtt_p50")), values(finding.new, get("rtt_p50"))
    assert (len(before), len(after)) == (len(base), len(new))
    if finding.verdict in ("slower", "faster"):
        assert finding.p is not None
        assert finding.ratio is not None
        assert finding.p <= 0.05
        assert (finding.ratio.low > 1.05) == (finding.verdict == "slower")
        assert min(len(before), len(after)) >= 4
    if finding.verdict == "same":
        assert finding.ratio is not None
        assert finding.ratio.low >= 1 / 1.05
        assert finding.ratio.high <= 1.05


def test_results_of_one_build_are_hardly_ever_told_apart() -> None:
    """Seeded comparisons of draws from one distribution, six findings each; benchmarks/ has a thousand of them."""
    draw = random.Random(11)

    def run() -> Result:
        spec = Spec(sizes=tuple(map(Bytes, (32, 64, 128))), duration_ns=SECOND)
        runs = []
        for _ in range(6):
            points = [p2p_run([round(draw.lognormvariate(11.5, 0.08))] * 3, 32, point) for point in range(3)]
            runs.append(repetition(*(each for point in points for each in point)))
        return result(*runs, spec=spec)

    wrong = sum(compare([run()], [run()], Question()).outcome in ("slower", "faster") for _ in range(20))
    assert wrong <= 1
