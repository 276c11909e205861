"""The command line as a user types it: what it measures, prints, writes and tells."""

import csv
import io
import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest

from tensorwire import payload, registry, result
from tensorwire.collective import OPERATIONS
from tensorwire.metrics import CATALOGUE
from tests.system.conftest import Run
from tests.system.driver import PROGRAM, SHORT

TCP = (*SHORT, "-c", "tcp", "--output", "r.json")


@pytest.mark.parametrize("benchmark", registry.names("benchmark"))
def test_each_benchmark_runs_with_its_defaults(run: Run, home: Path, benchmark: str) -> None:
    together = benchmark in OPERATIONS
    done = run("run", benchmark, *SHORT, *(("-c", "null") if together else ()), "--output", "r.json")
    assert done.code == 0, done.stderr
    assert benchmark in done.stdout
    assert done.stderr == "result file: r.json\n"
    measured = result.decode((home / "r.json").read_bytes())
    channel = "null" if together else "grpc"
    assert (measured.status, measured.spec.benchmark, measured.spec.channel) == ("complete", benchmark, channel)
    assert len(measured.repetitions[0].measurements) == len(measured.traffic.roles)


def test_the_benchmark_is_the_papers_unless_named(run: Run, home: Path) -> None:
    assert run("run", *TCP).code == 0
    assert result.decode((home / "r.json").read_bytes()).spec.benchmark == "p2p-latency"


def test_a_sweep_has_a_row_for_each_size(run: Run) -> None:
    done = run("run", "p2p-bandwidth", *TCP, "-b", "1KiB", "-e", "64KiB", "-f", "8", "--format", "csv")
    assert done.code == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [int(row["total_bytes"]) for row in rows] == [1024, 8192, 65536]
    assert all(float(row["bandwidth_MB_per_s"]) > 0 for row in rows)


def test_sizes_are_measured_in_the_order_given(run: Run, home: Path) -> None:
    assert run("run", *TCP, "--sizes", "64KB,1,2KiB").code == 0
    assert [point.totals for point in result.decode((home / "r.json").read_bytes()).points] == [(64000,), (1,), (2048,)]


def test_flags_come_on_top_of_a_spec_file(run: Run, home: Path) -> None:
    (home / "spec.toml").write_text(
        """
        benchmark = "ps-throughput"
        channel = "grpc"
        warmup = "0s"
        duration = "10m"
        calls = 20
        port = 0
        pattern = { ps = 2, workers = 1 }
        load = { outstanding = 2 }
        options = { call = "stream" }
        payload = { scheme = "skew", bias = "small", count = 5, large = "2MB" }
        """
    )
    done = run("run", "--spec", "spec.toml", "--workers", "2", "--count", "6", "--calls", "30", "--output", "r.json")
    assert done.code == 0, done.stderr
    measured = result.decode((home / "r.json").read_bytes())
    assert measured.traffic.roles == ("ps", "ps", "worker", "worker")
    assert measured.spec.payload == payload.Skew(bias="small", count=6, large=payload.Bytes(2_000_000))
    assert measured.spec.options == {"call": "stream"}
    assert {each.calling.calls for each in measured.repetitions[0].measurements if each.calling} == {30}


def test_repetitions_have_fresh_processes(run: Run, home: Path) -> None:
    assert run("run", *TCP, "--calls", "5", "--repeat", "3").code == 0
    measured = result.decode((home / "r.json").read_bytes())
    pids = [facts.pid for repetition in measured.repetitions for facts in repetition.ranks]
    assert len(measured.repetitions) == 3
    assert len(set(pids)) == 6


def test_a_precision_ends_the_repetitions_once_it_is_met(run: Run, home: Path) -> None:
    done = run("run", *TCP, "--calls", "5", "--precision", "99%", "--repeat", "9")
    assert done.code == 0, done.stderr
    assert 6 <= len(result.decode((home / "r.json").read_bytes()).repetitions) <= 9  # fewer than 6 cannot tell


def test_the_result_file_lies_where_the_default_says(run: Run, home: Path) -> None:
    done = run("run", *SHORT, "-c", "tcp", "--calls", "5")
    (file,) = (home / "results").iterdir()
    assert re.fullmatch(r"\d{8}T\d{6}\.\d{6}Z-p2p-latency-tcp\.json", file.name)
    assert done.stderr == f"result file: results/{file.name}\n"


def test_the_result_file_is_what_its_schema_says(run: Run, home: Path) -> None:
    done = run(
        "run",
        "ps-throughput",
        "--workers",
        "2",
        "--rate",
        "500",
        "--buffers",
        "1KB",
        *TCP,
        "--calls",
        "20",
        "--repeat",
        "2",
    )
    assert done.code == 0, done.stderr
    jsonschema.validate(json.loads((home / "r.json").read_text()), result.schema())


def test_json_is_all_that_stdout_has(run: Run) -> None:
    done = run("run", *TCP, "--format", "json")
    assert json.loads(done.stdout)["rows"][0]["metrics"]["rtt_p50"]["median"] > 0
    assert done.stderr


def test_csv_has_a_header_and_every_metric(run: Run) -> None:
    header, row = csv.reader(io.StringIO(run("run", *TCP, "--format", "csv").stdout))
    assert len(header) == len(row) > len(CATALOGUE)
    assert "rtt_p50_us" in header


@pytest.mark.parametrize(
    ("benchmark", "title"), [("p2p-latency", "Latency (us)"), ("p2p-bandwidth", "Bandwidth (MB/s)")]
)
def test_osu_has_a_size_and_a_number_in_each_line(run: Run, benchmark: str, title: str) -> None:
    done = run("run", benchmark, *TCP, "--sizes", "8,4096", "--format", "osu")
    lines = done.stdout.splitlines()
    assert any(title in line and line.startswith("# Size") for line in lines)
    numbers = [re.fullmatch(r"(\d+)\s+(\d+\.\d\d)", line) for line in lines if not line.startswith("#")]
    assert [match and match[1] for match in numbers] == ["8", "4096"]


def test_none_prints_nothing(run: Run) -> None:
    assert run("run", *TCP, "--format", "none").stdout == ""


@pytest.mark.parametrize("words", [(), ("--detail",)])
def test_tables_fit_the_terminal(run: Run, words: tuple[str, ...]) -> None:
    done = run("run", "p2p-bandwidth", *TCP, "--sizes", "1,1MB", *words, COLUMNS="80")
    assert done.code == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("form", ["table", "json", "csv", "osu"])
def test_show_prints_what_run_printed(run: Run, form: str) -> None:
    first = run("run", *TCP, "--format", form)
    again = run("show", "r.json", "--format", form)
    assert (again.code, again.stdout) == (0, first.stdout)


def test_show_takes_several_results(run: Run) -> None:
    assert run("run", *TCP).code == 0
    assert run("run", "-c", "null", *SHORT, "--output", "n.json").code == 0
    done = run("show", "r.json", "n.json")
    assert done.code == 0, done.stderr
    assert "tcp" in done.stdout
    assert "null" in done.stdout


def test_a_seed_on_the_command_line_is_that_of_the_draw_as_well(run: Run, home: Path) -> None:
    (home / "spec.toml").write_text("payload = { scheme = 'random', seed = 3 }\nwarmup_ns = 5\n")
    done = run("run", "--spec", "spec.toml", *TCP, "--seed", "4")
    assert done.code == 0, done.stderr
    asked = result.decode((home / "r.json").read_bytes()).spec
    assert (asked.seed, asked.payload) == (4, payload.Random(seed=4))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
@pytest.mark.parametrize("words", [("list",), ("doctor",), ("list", "metrics")])
def test_a_stdout_that_takes_nothing_is_one_sentence(home: Path, words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([PROGRAM, *words], stdout=full, stderr=subprocess.PIPE, text=True, cwd=home, check=False)
    assert done.stderr == "tensorwire: the system refused: [Errno 28] No space left on device\n"
    assert done.returncode == 3


def test_list_tells_all_plug_ins_with_their_options(run: Run) -> None:
    done = run("list")
    assert done.code == 0
    for kind in ("benchmark", "channel", "launcher"):
        assert all(name in done.stdout for name in registry.names(kind))
    assert "frame_size=1MiB" in done.stdout
    assert "call=unary|stream" in done.stdout
    assert "workers=1" in done.stdout


@pytest.mark.parametrize("kind", ["schemes", "metrics"])
def test_list_tells_schemes_and_metrics(run: Run, kind: str) -> None:
    done = run("list", kind)
    assert done.code == 0
    known = CATALOGUE if kind == "metrics" else ("uniform", "random", "skew", "custom")
    assert all(name in done.stdout for name in known)


def test_doctor_tells_of_every_channel(run: Run) -> None:
    done = run("doctor", "--port", "0")
    assert done.code in (0, 3)
    assert all(name in done.stdout for name in registry.names("channel"))


def test_help_tells_every_parameter_of_the_papers_table_2(run: Run) -> None:
    told = " ".join(run("run", "--help").stdout.split())
    for flag, default in [
        ("--ip", "localhost"),
        ("--port", "50001"),
        ("--ps", "1"),
        ("--workers", "1"),
        ("--mode", "non-serialized"),
        ("--scheme", "uniform"),
        ("--count", "10"),
        ("--small", "10"),
        ("--medium", "10KB"),
        ("--large", "1MB"),
        ("--categories", ""),
        ("--warmup", "2s"),
        ("--duration", "10s"),
    ]:
        _, found, rest = told.partition(flag)
        assert found, flag
        assert f"[default: {default}" in rest[:200] or not default, flag


@pytest.mark.parametrize("words", [(), ("--help",), ("run", "-h"), ("show", "-h"), ("list", "-h"), ("doctor", "-h")])
def test_help_is_there(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words)
    assert "Usage: tensorwire" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_version_is_that_of_the_result(run: Run, home: Path) -> None:
    said = run("--version").stdout
    assert run("run", *TCP, "--calls", "1").code == 0
    assert said == f"tensorwire {result.decode((home / 'r.json').read_bytes()).tensorwire}\n"
