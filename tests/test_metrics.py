"""Metrics against what can be worked out by hand from the facts."""

import math
from pathlib import Path
from statistics import median

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorwire import metrics, registry
from tensorwire.errors import SpecError
from tensorwire.recorded import Steps
from tensorwire.result import Measurement, PeerCount, RankFacts, Result, Serialization, Traffic
from tensorwire.sample import Sample, samples
from tensorwire.spec import Closed, Constant, Load, Poisson, Recorded, Spec
from tensorwire.stats import median_interval
from tensorwire.step_replay import step
from tests import results
from tests.jobs import parameter_servers
from tests.results import SECOND

DOCS = Path(__file__).parents[1] / "docs" / "metrics.md"
latencies = st.lists(st.integers(100, 10**9), min_size=1, max_size=100)


def only(result: Result, point: int = 0) -> Sample:
    (sample,) = samples(result, point)
    assert sample is not None
    return sample


def p2p(durations: list[int], size: int = 32, spec: Spec | None = None) -> Sample:
    return only(results.result(results.repetition(*results.p2p_run(durations, size)), spec=spec))


def value(name: str, sample: Sample) -> float:
    found = metrics.get(name).value(sample)
    assert found is not None
    return found


@pytest.mark.parametrize("metric", metrics.CATALOGUE.values(), ids=lambda metric: metric.name)
def test_every_metric_is_documented_with_its_unit_and_direction(metric: metrics.Metric) -> None:
    letter = {"lower": "L", "higher": "H", "neither": "-"}[metric.better]
    unit = f" {metric.unit} " if metric.unit else " "
    assert f"\n| `{metric.name}` |{unit}| {letter} | " in DOCS.read_text()
    assert metric.meaning


def test_every_documented_metric_exists() -> None:
    rows = [line.split("`")[1] for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    assert rows == list(metrics.CATALOGUE)


@pytest.mark.parametrize("name", registry.names("benchmark"))
def test_benchmarks_show_metrics_that_exist(name: str) -> None:
    assert set(registry.benchmark(name).shows) <= set(metrics.CATALOGUE)


def test_an_unknown_metric_is_refused_with_the_closest_one() -> None:
    with pytest.raises(SpecError, match="did you mean rtt_p50"):
        metrics.get("rtt_p5")


def test_round_trips_in_microseconds() -> None:
    sample = p2p([*range(1, 101)])
    assert [value(name, sample) for name in ("rtt_min", "rtt_p50", "rtt_p90", "rtt_p99", "rtt_max")] == [
        0.001,
        0.050,
        0.090,
        0.099,
        0.100,
    ]
    assert value("rtt_p999", sample) == 0.1
    assert value("rtt_mean", sample) == 0.0505
    assert value("one_way_p50", sample) == 0.025
    assert value("one_way_mean", sample) == 0.02525


@given(latencies)
def test_percentiles_ascend_from_the_exact_minimum_to_the_exact_maximum(durations: list[int]) -> None:
    sample = p2p(durations)
    names = ["rtt_min", "rtt_p50", "rtt_p90", "rtt_p99", "rtt_p999", "rtt_max"]
    found = [value(name, sample) for name in names]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (min(durations) / 1e3, max(durations) / 1e3)
    assert value("one_way_mean", sample) == pytest.approx(sum(durations) / len(durations) / 2e3)


@given(st.lists(latencies, min_size=1, max_size=4))
def test_rates_are_summed_each_over_its_own_elapsed_time(ranks: list[list[int]]) -> None:
    measurements = [results.measurement(0, results.serving(1))]
    measurements += [results.measurement(i, results.calling(each, size=7)) for i, each in enumerate(ranks, 1)]
    sample = with_measurements(p2p([1]), *measurements)
    by_hand = sum(len(each) / (sum(each) / 1e9) for each in ranks)
    assert value("rpcs", sample) == pytest.approx(by_hand)
    assert value("bandwidth", sample) == pytest.approx(by_hand * 7 / 1e6)
    merged = sorted(duration for each in ranks for duration in each)
    assert value("rtt_p50", sample) * 1e3 == pytest.approx(merged[(len(merged) - 1) // 2], rel=0.005)


def with_measurements(sample: Sample, *measurements: Measurement) -> Sample:
    return msgspec.structs.replace(sample, measurements=measurements)


def test_an_open_loop_tells_what_was_offered_and_what_was_missed() -> None:
    spec = Spec(load=Poisson(rate=100.0), duration_ns=SECOND)
    calling = results.calling([10_000_000] * 80, missed=20, elapsed_ns=2 * SECOND)
    sample = with_measurements(p2p([1], spec=spec), results.measurement(1, calling))
    assert value("offered", sample) == 100
    assert value("missed", sample) == 20
    assert value("rpcs", sample) == 40


def test_an_open_loop_lasts_for_its_duration_although_the_last_reply_is_in_before() -> None:
    sample = p2p([1000], size=8_000_000, spec=Spec(load=Constant(rate=1.0), duration_ns=SECOND))
    assert (value("rpcs", sample), value("bandwidth", sample), value("served", sample)) == (1, 8, 1)


def test_a_limit_on_the_calls_ends_what_is_offered() -> None:
    spec = Spec(load=Poisson(rate=100.0), duration_ns=SECOND, calls=10)
    sample = with_measurements(p2p([1], spec=spec), results.measurement(1, results.calling([10_000_000] * 10)))
    assert value("offered", sample) == 100


def test_a_closed_loop_offers_and_misses_nothing() -> None:
    assert metrics.offered.value(p2p([1000])) is None
    assert metrics.missed.value(p2p([1000])) is None


def test_ranks_are_compared_by_their_rates() -> None:
    sample = only(results.workers(100, 300))
    assert value("fairness", sample) == pytest.approx(0.8)
    assert value("slowest_rank", sample) == 100
    assert value("fastest_rank", sample) == 300
    assert value("served", sample) == 400


@pytest.mark.parametrize("name", ["fairness", "slowest_rank", "fastest_rank"])
def test_one_rank_is_compared_with_nobody(name: str) -> None:
    assert metrics.get(name).value(p2p([1000])) is None


def test_one_rank_by_itself() -> None:
    worker = only(results.workers(100, 300)).of_rank(2)
    assert value("rpcs", worker) == 300
    assert metrics.served.value(worker) is None


def test_a_steady_rate_does_not_vary() -> None:
    assert value("variation", p2p([500_000] + [1_000_000] * 999)) == 0


def test_variation_by_hand() -> None:
    # Slices of 10 ms: 50 of 10 replies, then 50 of 5, the last of which does not count.
    sample = p2p([1_000_000] * 500 + [2_000_000] * 250)
    counts = sample.calling[0].series.calls[:99]
    mean = sum(counts) / 99
    deviation = math.sqrt(sum((count - mean) ** 2 for count in counts) / 99)
    assert value("variation", sample) == pytest.approx(100 * deviation / mean)


def test_a_stall_is_counted_in_slices() -> None:
    steady = [1_000_000] * 400
    # From 400 to 455 ms nothing comes: the slices of 10 ms from 410 to 450 are empty, and the call began before all.
    assert value("stalls", p2p([*steady, 55_000_000, *steady])) == 4
    assert value("stalls", p2p(steady)) == 0


def test_a_stall_at_the_end_is_seen() -> None:
    # The last reply comes 200 ms after the duration: all from 900 ms on was waiting.
    assert value("stalls", p2p([500_000] + [1_000_000] * 899 + [300_000_000])) == 9


def test_an_idle_open_loop_does_not_stall() -> None:
    calling = msgspec.structs.replace(
        results.calling([1_000_000] * 2, elapsed_ns=SECOND),
        series=results.series([(1_000_000, 1_000_000), (999_000_000, 1_000_000)], 32, 10_000_000),
    )
    assert value("stalls", with_measurements(p2p([1]), results.measurement(1, calling))) == 0


def test_calls_as_long_as_a_slice_have_no_stalls() -> None:
    assert metrics.stalls.value(p2p([10_000_000] * 10)) is None


def test_serialization_is_that_of_both_ends() -> None:
    server, worker = results.p2p_run([100_000] * 4)
    assert server.serving is not None
    assert worker.calling is not None
    client = Serialization(serialize_ns=40_000, deserialize_ns=20_000)
    peer = Serialization(serialize_ns=12_000, deserialize_ns=8_000)
    sample = with_measurements(
        p2p([1], spec=Spec(mode="serialized")),
        msgspec.structs.replace(server, serving=msgspec.structs.replace(server.serving, serialization=peer)),
        msgspec.structs.replace(worker, calling=msgspec.structs.replace(worker.calling, serialization=client)),
    )
    assert value("serialization", sample) == 20
    assert value("communication", sample) == 80


def test_there_is_no_serialization_in_non_serialized_mode() -> None:
    assert metrics.serialization.value(p2p([1000])) is None
    assert metrics.communication.value(p2p([1000])) is None


def test_cpu_is_that_of_all_ranks() -> None:
    sample = p2p([1000] * 10, size=1_000_000)  # two ranks with 0.6 ms user and 0.4 ms system each
    assert value("cpu_per_call", sample) == 200
    assert value("cpu_user_per_call", sample) == 120
    assert value("cpu_system_per_call", sample) == 80
    assert value("cores_busy", sample) == 0.002
    assert value("switches_per_call", sample) == 2
    assert value("peak_memory", sample) == 10


def test_an_echo_moves_its_payload_twice() -> None:
    echo = p2p([1000] * 10, size=1_000_000)
    acknowledged = msgspec.structs.replace(echo, reply="acknowledge")
    assert value("cpu_per_gb", echo) == pytest.approx(0.1)
    assert value("cpu_per_gb", acknowledged) == pytest.approx(0.2)
    assert value("bandwidth", echo) == value("bandwidth", acknowledged)


def hosts(*names: str) -> dict[int, RankFacts]:
    return {rank: results.facts(rank, host) for rank, host in enumerate(names)}


def test_loopback_is_counted_once_from_the_widest_window() -> None:
    calling = results.calling([1000] * 10, size=100)
    sample = Sample(
        spec=Spec(),
        reply="echo",
        ranks=hosts("here", "here"),
        measurements=(
            results.measurement(0, results.serving(10), used=results.usage(window_ns=5), moved=results.wire(2200)),
            results.measurement(1, calling, used=results.usage(window_ns=4), moved=results.wire(2100)),
        ),
    )
    assert value("wire_ratio", sample) == 1.1
    apart = msgspec.structs.replace(sample, ranks=hosts("here", "there"))
    assert value("wire_ratio", apart) == 2.15


def test_there_is_no_wire_ratio_without_an_interface() -> None:
    assert metrics.wire_ratio.value(only(results.workers(10))) is None


def test_the_loop_cost_is_that_of_the_least_disturbed_rank() -> None:
    ranks = {0: results.facts(0, loop_cost_ns=31.0), 1: results.facts(1, loop_cost_ns=42.5)}
    assert value("loop_cost", msgspec.structs.replace(p2p([1]), ranks=ranks)) == 31


@pytest.mark.parametrize("metric", metrics.CATALOGUE.values(), ids=lambda metric: metric.name)
def test_a_rank_that_got_no_reply_has_no_latency_and_breaks_nothing(metric: metrics.Metric) -> None:
    idle = with_measurements(
        p2p([1], spec=Spec(mode="serialized", load=Poisson(rate=1.0))),
        results.measurement(0, results.serving(0)),
        results.measurement(1, results.calling([])),
    )
    of_calls = metric.name.startswith(("rtt_", "one_way_")) or metric.name.endswith("_per_call")
    found = metric.value(idle)
    assert found is None if of_calls else found is None or math.isfinite(found)


def test_a_repetition_that_failed_or_is_incomplete_has_no_value() -> None:
    run = results.p2p_run([1000])
    result = results.result(
        results.repetition(*run),
        results.repetition(*run, failures=(results.failure(),)),
        results.repetition(run[0]),
        results.repetition(*results.p2p_run([3000])),
    )
    estimate = metrics.estimate(metrics.rtt_max, samples(result, 0))
    assert estimate is not None
    assert estimate.values == (1.0, None, None, 3.0)
    assert estimate.interval == median_interval([1.0, 3.0])


def test_without_any_value_there_is_no_estimate() -> None:
    result = results.result(results.repetition(failures=(results.failure(),)))
    assert metrics.estimate(metrics.rtt_max, samples(result, 0)) is None


def stepped(*workers: list[int], load: Load | None = None) -> Sample:
    """Workers whose steps took so long each, without pauses: three calls to one server in each, 100 B there and 300 B
    back in all; in the job a step took 90 us."""
    measurements = [results.measurement(0, results.serving(3 * sum(map(len, workers))))]
    for rank, durations in enumerate(workers, start=1):
        seen = results.calling(durations, size=100)
        peers = (PeerCount(rank=0, calls=3 * len(durations), latency_ns=1),)
        seen = msgspec.structs.replace(seen, peers=peers, received=300 * len(durations))
        measurements.append(results.measurement(rank, seen, used=results.usage(user_ns=6000)))
    scheme = step(parameter_servers(chief=False)).scheme
    spec = Spec(benchmark="ps-throughput", payload=scheme, load=load or Closed(), duration_ns=SECOND)
    traffic = Traffic(
        roles=("ps", *["worker"] * len(workers)),
        calls=((), *[(0,)] * len(workers)),
        reply="acknowledge",
        outstanding=16,
    )
    return only(results.result(results.repetition(*measurements), spec=spec, traffic=traffic))


@pytest.mark.parametrize("load", [Closed(), Recorded(pace=2)], ids=repr)
def test_steps_are_set_beside_those_of_the_job(load: Load) -> None:
    sample = stepped([9_000] * 10, [18_000] * 5, load=load)
    assert value("steps", sample) == pytest.approx(10 / 90e-6 + 5 / 90e-6)
    assert value("step_p50", sample) == pytest.approx(9, rel=0.01)
    assert value("step_p99", sample) == pytest.approx(18, rel=0.01)
    assert value("step_mean", sample) == pytest.approx(12)
    assert value("recorded_step", sample) == 90
    steps = sample.spec.payload
    assert isinstance(steps, Steps)
    assert value("recorded_step_bytes", sample) == median(each.bytes for each in steps.steps) / 1e6
    assert value("network_share", sample) == pytest.approx(10, rel=0.01)


def test_numbers_per_call_stay_those_of_calls_where_steps_are_replayed() -> None:
    sample = stepped([9_000] * 10, [18_000] * 5)
    assert sample.calls == 45
    assert value("rpcs", sample) == pytest.approx(45 / 90e-6)
    assert value("bandwidth", sample) == pytest.approx(1500 / 90e-6 / 1e6)
    assert value("bandwidth_back", sample) == pytest.approx(4500 / 90e-6 / 1e6)
    assert sample.moved == 1500 + 4500
    assert value("cpu_per_call", sample) == pytest.approx(12 / 45)
    for name in ("rtt_p50", "rtt_mean", "one_way_mean", "offered", "missed", "variation", "stalls", "communication"):
        assert metrics.get(name).value(sample) is None


def test_a_run_that_is_no_replay_of_steps_has_no_numbers_of_steps() -> None:
    sample = p2p([1000, 2000])
    for name in ("steps", "step_p50", "step_p99", "step_mean", "recorded_step", "recorded_step_bytes", "network_share"):
        assert metrics.get(name).value(sample) is None


def test_what_came_back_is_counted_where_it_was_told_and_echoes_of_old_files_as_much_as_was_sent() -> None:
    sample = p2p([1000] * 4, size=50)
    assert sample.reply == "echo"
    assert sample.moved == 2 * 4 * 50
    assert value("bandwidth_back", sample) == value("bandwidth", sample)
    assert metrics.get("bandwidth_back").value(only(results.workers(10))) is None
