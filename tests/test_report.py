"""What people see: nothing dropped, nothing cut, numbers in line, and what was run above them."""

import csv
import io
import json
import re
import subprocess
import sys
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tensorwire import metrics
from tensorwire.errors import SpecError
from tensorwire.metrics import CATALOGUE
from tensorwire.payload import Random
from tensorwire.report import rows, shows, transport
from tensorwire.report.data import as_csv, as_json, csv_name
from tensorwire.report.detail import sparkline
from tensorwire.report.heading import cores, heading
from tensorwire.report.osu import osu
from tensorwire.report.table import table
from tensorwire.result import HostFacts, Network, Result, Traffic
from tensorwire.spec import Placement, Poisson, Repeat, Spec
from tensorwire.units import Bytes
from tests import results
from tests.results import SECOND

LATENCY = (
    "rtt_min",
    "rtt_p50",
    "rtt_p99",
    "rtt_p999",
    "rtt_max",
    "one_way_p50",
    "rpcs",
    "bandwidth",
    "cpu_per_call",
)
SWEEP = Spec(sizes=(Bytes(8), Bytes(65536), Bytes(4 << 20)), duration_ns=SECOND)


def printed(result: Result, width: int = 80, detail: bool = False, shown: tuple[str, ...] = LATENCY) -> list[str]:
    text = io.StringIO()
    table(result, Console(file=text, width=width), detail, shown)
    return [line.rstrip() for line in text.getvalue().splitlines()]


def sweep(repetitions: int = 1) -> Result:
    runs = [
        results.repetition(
            *results.p2p_run([30_000 + 100 * n] * 50, 8, point=0),
            *results.p2p_run([60_000] * 50, 65536, point=1),
            *results.p2p_run([4_000_000] * 50, 4 << 20, point=2),
        )
        for n in range(repetitions)
    ]
    return results.result(*runs, spec=SWEEP)


def broken_sweep() -> Result:
    """The second size fails in one of two repetitions, the third in both."""
    small = results.p2p_run([30_000] * 50, 8, point=0)
    middle = results.p2p_run([60_000] * 50, 65536, point=1)
    lost = results.failure(2, "rank 0 went\naway")
    return results.result(
        results.repetition(*small, *middle, failures=(lost,)),
        results.repetition(*small, failures=(results.failure(1), lost)),
        spec=SWEEP,
    )


@pytest.mark.parametrize("width", [80, 120])
def test_a_p2p_table_fits_a_terminal_in_one_piece(width: int) -> None:
    lines = printed(results.result(results.repetition(*results.p2p_run([52_100] * 300, 4_030_030))), width)
    assert max(map(len, lines)) <= width
    start = next(i for i, line in enumerate(lines) if line.split()[:2] == ["size", "bufs"])
    assert lines[start].split() == ["size", "bufs", *["us"] * 6, "RPC/s", "MB/s", "us"]
    assert lines[start + 2].split() == (
        ["4.03", "MB", "10", "52.1", "52.1", "52.1", "52.1", "52.1", "26.1", "19194", "77352", "6.67"]
    )
    assert sum("4.03 MB    10" in line for line in lines) == 1


@pytest.mark.parametrize("width", [80, 120])
def test_a_table_that_does_not_fit_goes_on_below_and_no_number_is_cut(width: int) -> None:
    result = sweep(repetitions=5)
    lines = printed(result, width)
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    rule = [i for i, line in enumerate(lines) if line and not line.strip("─")]
    assert len(rule) > 1
    for row in rows(result):
        text = " ".join(line for line in lines if line.lstrip().startswith(f"{row.size} "))
        assert len(re.findall(r"\[ *[0-9.]+, *[0-9.]+\]", text)) == len(LATENCY)


def test_numbers_stand_in_line() -> None:
    lines = printed(sweep(), width=120)
    sizes = [next(line for line in lines if line.lstrip().startswith(size)) for size in ("8 B", "64 KiB", "4 MiB")]
    points = [[match.start() for match in re.finditer(r"\.", line)] for line in sizes]
    assert points[0] == points[1] == points[2]
    assert len({len(line) for line in sizes}) == 1


def test_what_was_run_stands_above_the_numbers() -> None:
    text = " ".join(" ".join(printed(sweep(2), width=200)).split())
    for said in (
        "p2p-latency over grpc (tcp on lo), non-serialized",
        "1 x ps, 1 x worker; every reply echoes the payload",
        "sweep: one buffer of 8 B, 64 KiB, 4 MiB; filled with random bytes of seed 1",
        "closed loop, 1 call in flight to each peer",
        "pin distinct: 2 ranks on cores 0-1; waits block; malloc tuned; congestion control cubic",
        "2 s warm-up, 1 s measured; 2 repetitions with fresh processes each",
        "40 ns a call, in the timing loop itself",
        "One-way: half of a round trip.",
        "MB/s: 1e6 payload bytes per second, in one direction. An echo brings as much again, which is not counted.",
        "holds the median over repetitions with a confidence of 50 %; 6 repetitions reach 95 %.",
    ):
        assert said in text


def test_the_heading_tells_of_other_requests_too() -> None:
    spec = Spec(
        benchmark="ps-throughput",
        load=Poisson(rate=1500.0),
        threads=2,
        fill="zeros",
        calls=10,
        options={"frame_size": 16384},
        placement=Placement(wait="spin", malloc="default"),
        repeat=Repeat(count=5),
    )
    traffic = Traffic(roles=("ps", "worker", "worker"), calls=((), (0,), (0,)), reply="acknowledge", outstanding=64)
    result = results.result(results.repetition(*results.p2p_run([1000])), spec=spec, traffic=traffic, status="partial")
    lines = dict(heading(result, rows(result)))
    assert lines["ranks"] == "1 x ps, 2 x worker; replies acknowledge the payload"
    assert lines["load"] == (
        "open loop, Poisson arrivals, 1500 calls/s from each calling rank, "
        "at most 64 calls in flight to each peer, 2 threads in each rank"
    )
    assert lines["payload"].endswith("filled with zeros")
    assert lines["options"] == "frame_size 16384"
    assert "waits spin; malloc default" in lines["placement"]
    assert lines["time"].endswith("at most 10 calls of each thread; 1 repetition, of at most 5")
    assert "when a call was due" in " ".join(printed(result))


def test_hosts_are_told_with_their_ranks_and_their_network() -> None:
    def host(number: int, *ranks: int, **rates: int) -> HostFacts:
        address = f"10.203.0.{number + 1}"
        return HostFacts(name=f"host-{number}", address=address, ranks=ranks, interface="eth0", mtu=9000, **rates)

    def told(*hosts: HostFacts) -> str:
        made = results.workers(10, 10, 10)
        network = Network(hosts=hosts, up_ns=123_400_000)
        run = msgspec.structs.replace(made.repetitions[0], network=network)
        spec = msgspec.structs.replace(made.spec, launcher="emulated")
        found = msgspec.structs.replace(made, repetitions=(run,), spec=spec)
        return dict(heading(found, rows(found)))["hosts"]

    assert "hosts" not in dict(heading(results.workers(10), rows(results.workers(10))))
    ten = {"send_bits_per_s": 10**10, "receive_bits_per_s": 10**10, "burst_bytes": 250_000}
    assert told(host(0, 0, 3, **ten), host(1, 1, **ten), host(2, 2, **ten)) == (
        "emulated, 10 Gbit/s each way, 250 KB at once, with MTU 9000; "
        "host-0: ps, worker; host-1 to host-2: worker each; up in 123 ms"
    )
    odd = told(host(0, 0), host(1, 1, 2, 3, send_bits_per_s=2_500_000_000), host(2))
    assert odd == (
        "emulated, 2.5 Gbit/s out and unlimited in with MTU 9000, unlimited each way with MTU 9000; host-0: ps; "
        "host-1: 3 x worker; host-2: no rank; up in 123 ms"
    )


def test_ranks_that_share_cores_are_said_to() -> None:
    result = results.workers(10, 10, 10)
    assert "4 ranks on cores 0-1, which they share" in dict(heading(result, rows(result)))["placement"]


def test_failures_are_told_and_their_rows_stay() -> None:
    lines = printed(broken_sweep(), width=200)
    of = {size: next(line for line in lines if line.lstrip().startswith(size)) for size in ("8 B", "64 KiB", "4 MiB")}
    assert [of[size].split()[3] for size in of] == ["2/2", "1/2", "0/2"]
    assert of["4 MiB"].split()[4:] == ["failed"] * len(LATENCY)
    assert "64 KiB failed in 1 of 2 repetitions: PeerLost: rank 0 went away" in lines
    assert "4 MiB failed in 2 of 2 repetitions: PeerLost: rank 0 went away" in lines


def test_a_result_of_failures_alone_is_a_table_too() -> None:
    lines = printed(results.result(results.repetition(failures=(results.failure(message="gone [bold]"),))))
    assert any(line.endswith("failed") for line in lines)
    assert "4.03 MB failed in 1 of 1 repetition: PeerLost: gone [bold]" in lines


def test_many_reasons_are_counted() -> None:
    failures = tuple(results.failure(message=f"reason {n}") for n in range(5))
    lines = printed(results.result(results.repetition(failures=failures)), width=120)
    assert "4.03 MB failed for 2 more reasons, which the JSON report lists" in lines


def test_a_partial_result_says_so() -> None:
    run = results.repetition(*results.p2p_run([1000], 8))
    lines = printed(results.result(run, spec=SWEEP, status="partial"), width=120)
    assert "Partial result: the run was cut short; 2 of 3 points have no value." in lines
    assert [line.split()[3:5] for line in lines if line.lstrip().startswith("4 MiB")] == [["0/1", "-"]]


def test_a_result_without_any_repetition_is_told() -> None:
    lines = printed(results.result(status="partial"))
    assert lines[0] == "p2p-latency over grpc (transport unknown), non-serialized"
    assert any("not measured" in line for line in lines)


def test_a_mean_size_is_marked() -> None:
    spec = Spec(payload=Random(draw="per-call", draws=4), duration_ns=SECOND)
    lines = printed(results.result(results.repetition(*results.p2p_run([1000])), spec=spec))
    assert any(line.lstrip().startswith("~") for line in lines)
    assert "~: the mean of the payloads, which are sent in turn." in lines


def test_detail_shows_all_metrics_each_rank_and_the_time_series() -> None:
    result = results.workers(1000, 900, 1100)
    lines = printed(result, detail=True, shown=("rpcs", "fairness"))
    assert max(map(len, lines)) <= 80
    first = {line.split()[0] for line in lines if line}
    assert set(rows(result)[0].estimates) <= first
    ranks = [line.split() for line in lines if re.match(r" +[0-9]  (ps|worker) ", line)]
    assert [(rank[1], rank[3]) for rank in ranks] == (
        [("ps", "-"), ("worker", "1000"), ("worker", "900"), ("worker", "1100")]
    )
    rate = next(line for line in lines if line.startswith("rate "))
    assert re.fullmatch(r"rate +\|[▁▂▃▄▅▆▇█]+\| [0-9]+ RPC/s", rate)


def test_the_replies_after_the_duration_make_no_last_bar() -> None:
    """The last slice of the run runs to the last reply, here three slices later."""
    (server, worker) = results.p2p_run([9_990_000] * 103)
    lines = printed(results.result(results.repetition(server, worker)), detail=True)
    rate = next(line for line in lines if line.startswith("rate "))
    assert rate.endswith("| 101 RPC/s")


def test_settings_are_folded_and_not_cut() -> None:
    many = ",".join(str(2**20 + n) for n in range(40))
    run = results.repetition(*results.p2p_run([1000] * 9))
    ranks = tuple(msgspec.structs.replace(facts, settings={"receive_buffer": many}) for facts in run.ranks)
    lines = printed(results.result(msgspec.structs.replace(run, ranks=ranks)), detail=True)
    assert many in "".join(line.strip() for line in lines)


def test_the_confidence_is_that_of_the_numbers_shown() -> None:
    """Not of one that is not: the second to fifth repetition have calls as long as a slice, and so no stalls."""
    runs = [results.repetition(*results.p2p_run([20_000_000 if n else 1000] * 50)) for n in range(5)]
    text = " ".join(" ".join(printed(results.result(*runs))).split())
    assert "a confidence of 93.8 %" in text


def test_missed_calls_make_the_percentiles_a_lower_bound() -> None:
    server, _ = results.p2p_run([1000])
    worker = results.measurement(1, results.calling([1000], missed=9))
    spec = Spec(load=Poisson(rate=10.0), duration_ns=SECOND)
    assert "a lower bound." in " ".join(printed(results.result(results.repetition(server, worker), spec=spec)))
    assert "a lower bound." not in " ".join(printed(sweep()))


@pytest.mark.parametrize(
    ("transport", "told"),
    [("tcp", True), ("tls", True), ("unix", False), ("none", False), ("shm (cma, posix)", False), ("rc_mlx5", False)],
)
def test_congestion_control_is_told_where_there_is_tcp(transport: str, told: bool) -> None:
    run = results.repetition(*results.p2p_run([1000] * 9))
    settings = {"transport": transport, "tcp_congestion": "cubic"}
    ranks = tuple(msgspec.structs.replace(facts, settings=settings) for facts in run.ranks)
    text = " ".join(printed(results.result(msgspec.structs.replace(run, ranks=ranks))))
    assert ("congestion control cubic" in text) == told


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(SpecError, match="unknown metric"):
        printed(sweep(), shown=("latency",))


def test_bars_grow_with_their_values() -> None:
    assert sparkline([0, 1, 4, 8]) == " ▁▄█"
    assert sparkline([0, 0]) == "  "
    assert sparkline([]) == ""


@given(st.lists(st.integers(0, 10**9), min_size=2))
def test_only_nothing_is_blank(values: list[int]) -> None:
    line = sparkline(values)
    assert [bar == " " for bar in line] == [value == 0 for value in values]
    for (a, left), (b, right) in pairwise(zip(values, line, strict=True)):
        assert (left <= right) if a <= b else (left >= right)


def test_mode_and_load_bring_columns_of_their_own() -> None:
    unknown = Spec(benchmark="one of another package")
    usual = shows(results.result(spec=unknown))
    asked = msgspec.structs.replace(unknown, mode="serialized", load=Poisson(rate=10.0))
    assert shows(results.result(spec=asked)) == (
        (*usual, "rtt_mean", "serialization", "communication", "offered", "missed")
    )


def test_core_lists_are_short() -> None:
    assert cores([3, 0, 1, 2, 8, 8]) == "0-3,8"


def test_the_transport_is_the_one_the_ranks_report() -> None:
    assert transport(sweep()) == "tcp on lo"
    assert transport(results.workers(10)) == "tcp"
    assert transport(results.result()) == "transport unknown"


def test_json_has_every_value_of_every_repetition() -> None:
    report = json.loads(as_json(broken_sweep()))
    small, middle, large = report["rows"]
    assert small["metrics"]["rtt_max"] == {
        "unit": "us",
        "better": "lower",
        "median": 30.0,
        "low": 30.0,
        "high": 30.0,
        "coverage": 0.5,
        "values": [30.0, 30.0],
    }
    assert middle["metrics"]["rtt_max"]["values"] == [60.0, None]
    assert (middle["measured"], middle["repetitions"]) == (1, 2)
    assert large["metrics"] == {}
    assert [failure["repetition"] for failure in large["failures"]] == [0, 1]
    assert large["failures"][0]["type"] == "PeerLost"
    assert [row["total_bytes"] for row in report["rows"]] == [[8], [65536], [4194304]]


@given(st.lists(st.lists(st.integers(100, 10**8), min_size=1, max_size=20), min_size=1, max_size=8))
def test_json_medians_are_those_of_the_values(runs: list[list[int]]) -> None:
    result = results.result(*(results.repetition(*results.p2p_run(run)) for run in runs))
    (row,) = json.loads(as_json(result))["rows"]
    assert set(row["metrics"]) <= set(CATALOGUE)
    for found in row["metrics"].values():
        assert found["low"] <= found["median"] <= found["high"]
        assert len(found["values"]) == len(runs)
    assert row["metrics"]["rpcs"]["values"] == pytest.approx([len(run) / (sum(run) / 1e9) for run in runs])


def test_csv_has_a_line_for_each_point_and_units_in_its_names() -> None:
    lines = as_csv(broken_sweep()).splitlines()
    small, middle, large = csv.DictReader(lines)
    assert len(lines) == 4
    assert float(small["rtt_p50_us"]) == pytest.approx(30, rel=0.004)
    assert float(middle["bandwidth_MB_per_s"]) == pytest.approx(65536 / 60)
    assert (large["measured"], large["repetitions"], large["rtt_p50_us"]) == ("0", "2", "")
    assert large["failures"] == "PeerLost: rank 0 went away"
    assert small["transport"] == "tcp on lo"


def test_csv_of_several_results_has_one_header_and_tells_them_apart() -> None:
    lines = list(csv.DictReader(as_csv(sweep(), results.workers(5)).splitlines()))
    assert [line["benchmark"] for line in lines] == ["p2p-latency"] * 3 + ["ps-throughput"]
    assert lines[0]["payload"].startswith("sweep: ")
    assert lines[0]["created"] == "2026-01-02T03:04:05Z"


def test_json_of_several_results_is_a_list() -> None:
    one, other = json.loads(as_json(sweep(), results.workers(5)))
    assert one == json.loads(as_json(sweep()))
    assert other["benchmark"] == "ps-throughput"
    assert one["spec"]["sizes"] == [8, 65536, 4194304]


def test_csv_names_are_words() -> None:
    names = [csv_name(metric) for metric in CATALOGUE.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"\w+", name) for name in names)


def test_osu_latency_is_half_the_mean_round_trip() -> None:
    assert osu(sweep()).splitlines() == [
        "# tensorwire p2p-latency over grpc (tcp on lo), non-serialized",
        "# latency is the mean round trip over two; 1 in flight",
        "# sweep: one buffer of 8 B, 64 KiB, 4 MiB",
        "# median of 1 repetition; complete result",
        "# Size          Latency (us)",
        "8                      15.00",
        "65536                  30.00",
        "4194304              2000.00",
    ]


def test_osu_bandwidth_is_that_of_acknowledged_payloads() -> None:
    traffic = Traffic(roles=results.P2P_ROLES, calls=results.P2P_CALLS, reply="acknowledge", outstanding=4)
    lines = osu(msgspec.structs.replace(sweep(2), traffic=traffic)).splitlines()
    assert lines[1] == "# MB/s is 1e6 payload bytes; every message is acknowledged; 4 in flight"
    assert lines[3:] == [
        "# median of 2 repetitions; complete result",
        "# Size      Bandwidth (MB/s)",
        "8                       0.27",
        "65536                1092.27",
        "4194304              1048.58",
    ]


def test_osu_keeps_failed_sizes_as_comments() -> None:
    assert osu(broken_sweep()).splitlines()[-1] == "# 4194304 failed: PeerLost: rank 0 went away"


def test_osu_has_no_form_for_several_callers() -> None:
    with pytest.raises(
        SpecError, match="2 ranks call in this result; p2p-latency, p2p-bandwidth and collectives alone"
    ):
        osu(results.workers(10, 20))


def test_only_the_table_needs_rich() -> None:
    code = "import sys, tensorwire.report.data, tensorwire.report.osu; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_meanings_fit_a_line() -> None:
    assert all("\n" not in metric.meaning and len(metric.meaning) <= 110 for metric in metrics.CATALOGUE.values())
