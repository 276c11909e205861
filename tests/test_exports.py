"""Exports, read as their consumers read them."""

import io
import json
import re
import sys
from typing import Any

import jsonschema
import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_prometheus
from pyarrow import parquet

from tensorwire.cli import export as command
from tensorwire.errors import ExportUnavailable, SpecError
from tensorwire.exports import FORMS, export
from tensorwire.metrics import CATALOGUE
from tensorwire.report.data import as_csv
from tensorwire.report.osu import osu
from tensorwire.result import Result
from tests.results import failing, repeated, workers
from tests.test_compare import STEADY, scaled, sweep

BASE = scaled(1.0)
NAME = "p2p-latency/grpc/custom/bytes:32/buffers:1/ranks:2/in_flight:1"
NUMBER = {"type": "number"}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_bytes_of_something(form: str) -> None:
    results = [workers(50, 60)] if form == "github-action-bigger" else [BASE]
    assert len(export(form, results)) > 50


def test_an_unknown_form_or_metric_is_refused() -> None:
    with pytest.raises(SpecError, match="did you mean prometheus"):
        export("promtheus", [BASE])
    with pytest.raises(SpecError, match="did you mean rtt_p50"):
        export("bencher", [BASE], ["rtt_50"])


@pytest.mark.parametrize("form", ["csv", "osu", "google-benchmark"])
def test_forms_with_metrics_of_their_own_take_no_others(form: str) -> None:
    with pytest.raises(SpecError, match="has its own metrics"):
        export(form, [BASE], ["rtt_p50"])


@pytest.mark.parametrize("form", ["prometheus", "google-benchmark", "github-action", "bencher"])
def test_two_results_that_are_not_alike_never_share_a_name(form: str) -> None:
    other = repeated(*STEADY, spec=msgspec.structs.replace(BASE.spec, duration_ns=BASE.spec.duration_ns * 2))
    with pytest.raises(SpecError, match="export them one at a time"):
        export(form, [BASE, other])


@pytest.mark.parametrize("form", ["google-benchmark", "bencher", "github-action"])
def test_where_nothing_was_measured_there_is_nothing_to_export(form: str) -> None:
    with pytest.raises(SpecError, match=r"nothing|no result has a value"):
        export(form, [failing("gone")])


# Prometheus


def families(*results: Result) -> dict[str, Any]:
    text = export("prometheus", results).decode()
    assert text.endswith("\n")
    found = {family.name: family for family in read_prometheus(text)}
    assert set(found) == {family.name for family in read_openmetrics(text + "# EOF\n")}
    return found


def test_prometheus_has_base_units() -> None:
    found = families(BASE)
    (sample,) = found["tensorwire_rtt_p50_seconds"].samples
    assert sample.value == pytest.approx(100e-6, rel=0.01)
    assert sample.labels["case"] == NAME
    assert (sample.labels["benchmark"], sample.labels["channel"], sample.labels["bytes"]) == (
        "p2p-latency",
        "grpc",
        "32",
    )
    assert found["tensorwire_bandwidth_bytes_per_second"].samples[0].value == pytest.approx(320_000, rel=0.01)
    assert found["tensorwire_cpu_per_gigabyte_seconds"].type == "gauge"
    assert "tensorwire_wire_ratio" in found
    assert found["tensorwire_repetitions"].samples[0].value == 6
    assert found["tensorwire_created_timestamp_seconds"].samples[0].value == 1767323045


@pytest.mark.parametrize("metric", CATALOGUE)
def test_every_unit_has_a_base_unit_in_prometheus(metric: str) -> None:
    assert export("prometheus", [BASE, sweep(64)], [metric]) is not None


def test_prometheus_names_pass_the_linters_rules() -> None:
    """Those of promtool check metrics: base units, help, no abbreviated units and no kind in the name."""
    for name, family in families(BASE, workers(50, 60)).items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert not set(name.split("_")) & {"s", "ms", "us", "ns", "b", "kb", "mb", "gb", "gauge", "histogram"}
        assert family.documentation
        assert family.type in ("gauge", "histogram")


def test_prometheus_has_bounds_only_where_there_are_several_repetitions() -> None:
    low, high = (families(BASE)[f"tensorwire_rtt_p50_{end}_seconds"].samples[0].value for end in ("low", "high"))
    assert low < 100e-6 < high
    assert "tensorwire_rtt_p50_low_seconds" not in families(repeated(100_000))


def test_prometheus_counts_all_round_trips() -> None:
    seen = families(repeated(100_000, 200_000, 1_000_000, calls=10))["tensorwire_round_trip_seconds"]
    buckets = {float(each.labels["le"]): each.value for each in seen.samples if each.name.endswith("_bucket")}
    assert buckets[float("inf")] == 30
    assert buckets[(2**17 - 1) / 1e9] == 10
    assert buckets[(2**18 - 1) / 1e9] == 20
    assert list(buckets.values()) == sorted(buckets.values())
    (total,) = [each.value for each in seen.samples if each.name.endswith("_sum")]
    assert total == pytest.approx(13e-3)


def test_prometheus_escapes_labels() -> None:
    odd = msgspec.structs.replace(BASE, environment=msgspec.structs.replace(BASE.environment, host='a"b\\c\nd'))
    assert families(odd)["tensorwire_repetitions"].samples[0].labels["host"] == 'a"b\\c\nd'


# google/benchmark: what tools/compare.py reads of an entry, and src/json_reporter.cc writes

_RUN = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "run_name": {"type": "string"},
        "run_type": {"enum": ["iteration", "aggregate"]},
        "repetitions": {"type": "integer"},
        "repetition_index": {"type": "integer"},
        "family_index": {"type": "integer"},
        "per_family_instance_index": {"type": "integer"},
        "threads": {"type": "integer"},
        "iterations": {"type": "integer"},
        "real_time": NUMBER,
        "cpu_time": NUMBER,
        "time_unit": {"enum": ["ns", "us", "ms", "s"]},
        "aggregate_name": {"type": "string"},
        "aggregate_unit": {"enum": ["time", "percentage"]},
        "label": {"type": "string"},
    },
    "additionalProperties": NUMBER,
    "required": [
        "name",
        "run_name",
        "run_type",
        "repetitions",
        "threads",
        "iterations",
        "real_time",
        "cpu_time",
        "time_unit",
    ],
    "if": {"properties": {"run_type": {"const": "aggregate"}}},
    "then": {"required": ["aggregate_name", "aggregate_unit"]},
    "else": {"required": ["repetition_index"]},
}
GOOGLE_BENCHMARK = {
    "type": "object",
    "properties": {"context": {"type": "object"}, "benchmarks": {"type": "array", "items": _RUN}},
    "required": ["context", "benchmarks"],
}


def google(*results: Result) -> list[dict[str, Any]]:
    document = json.loads(export("google-benchmark", results))
    jsonschema.validate(document, GOOGLE_BENCHMARK)
    runs: list[dict[str, Any]] = document["benchmarks"]
    return runs


def test_google_benchmark_has_an_entry_for_each_repetition_and_aggregates() -> None:
    runs = google(BASE)
    assert [run["run_type"] for run in runs] == ["iteration"] * 6 + ["aggregate"] * 4
    assert [run["name"] for run in runs[5:]] == [
        NAME,
        *(f"{NAME}_{each}" for each in ("mean", "median", "stddev", "cv")),
    ]
    assert runs[0]["real_time"] == pytest.approx(100, rel=0.01)
    assert runs[0]["cpu_time"] == pytest.approx(200)
    assert runs[0]["iterations"] == 10
    assert runs[0]["items_per_second"] == pytest.approx(10_000)
    assert runs[0]["bytes_per_second"] == pytest.approx(320_000)
    assert runs[0]["label"] == "real_time: rtt_p50"
    assert runs[7]["real_time"] == pytest.approx(100, rel=0.01)


def test_google_benchmarks_real_time_of_a_rate_is_the_time_per_call() -> None:
    (run,) = google(workers(50, 50))
    assert run["real_time"] == pytest.approx(10_000)
    assert run["label"] == "real_time: time per call"


def test_google_benchmark_has_no_entry_for_a_repetition_that_failed() -> None:
    document = json.loads(export("google-benchmark", [failing(None, "gone", None)]))
    assert [run["repetition_index"] for run in document["benchmarks"] if "repetition_index" in run] == [0, 1]
    assert document["context"]["failed_repetitions"] == "1"


def test_google_benchmarks_compare_finds_the_same_names_on_both_sides() -> None:
    """As gbench/report.py pairs: by name and time unit, then real_time and cpu_time of each."""
    before, after = google(BASE, sweep(64)), google(scaled(1.2), sweep(64))
    names = dict.fromkeys(run["name"] for run in before)
    assert list(names) == list(dict.fromkeys(run["name"] for run in after))
    for name in names:
        sides = [[run for run in side if run["name"] == name and run["time_unit"] == "us"] for side in (before, after)]
        assert len(sides[0]) == len(sides[1]) > 0
    change = [side[7]["real_time"] for side in (after, before)]
    assert change[0] / change[1] == pytest.approx(1.2, rel=0.01)


# github-action-benchmark: the fields of BenchmarkResult in src/extract.ts

GITHUB = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "unit": {"type": "string", "minLength": 1},
            "value": NUMBER,
            "range": {"type": "string", "pattern": r"^± \d+\.\d+$"},
            "extra": {"type": "string"},
        },
        "required": ["name", "unit", "value"],
        "additionalProperties": False,
    },
}


def github(form: str, results: list[Result], *names: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(export(form, results, names))
    jsonschema.validate(entries, GITHUB)
    return entries


def test_each_of_githubs_two_tools_gets_the_metrics_of_its_direction() -> None:
    assert [each["name"] for each in github("github-action", [BASE])] == [f"{NAME} rtt_p50", f"{NAME} cpu_per_call"]
    assert [each["unit"] for each in github("github-action-bigger", [workers(50, 60)])] == ["RPC/s"]
    assert [each["name"].split()[-1] for each in github("github-action-bigger", [BASE], "rpcs")] == ["rpcs"]


def test_a_metric_of_the_other_direction_is_refused() -> None:
    with pytest.raises(SpecError, match="rpcs has no place in customSmallerIsBetter: of it, higher is better"):
        export("github-action", [BASE], ["rpcs"])
    with pytest.raises(SpecError, match="choose one with --metric, or --to github-action"):
        export("github-action-bigger", [BASE])


def test_the_range_is_half_the_interval() -> None:
    first = github("github-action", [BASE])[0]
    assert float(first["range"].removeprefix("± ")) == pytest.approx((100.9 - 99.5) / 2, abs=0.5)
    assert "median of 6 repetitions" in first["extra"]
    assert "range" not in github("github-action", [repeated(100_000)])[0]


# Bencher: https://bencher.dev/bmf.json

BMF = {
    "type": "object",
    "patternProperties": {
        ".+": {
            "type": "object",
            "patternProperties": {
                ".+": {
                    "type": "object",
                    "properties": {"value": NUMBER, "lower_value": NUMBER, "upper_value": NUMBER},
                    "required": ["value"],
                    "additionalProperties": False,
                }
            },
        }
    },
}


def test_bencher_has_measures_by_case() -> None:
    told = json.loads(export("bencher", [BASE, workers(50, 60)]))
    jsonschema.validate(told, BMF)
    measure = told[NAME]["rtt_p50_us"]
    assert measure["lower_value"] < measure["value"] < measure["upper_value"]
    assert list(told) == [NAME, "ps-throughput/grpc/uniform/bytes:4030030/buffers:10/ranks:3/in_flight:1"]
    assert all(len(name) <= 1024 and len(each) <= 64 for name, measures in told.items() for each in measures)


# What is shown as well


def test_csv_and_osu_are_those_that_show_prints() -> None:
    assert export("csv", [BASE, sweep(64)]).decode() == as_csv(BASE, sweep(64))
    assert export("osu", [BASE]).decode() == osu(BASE)
    with pytest.raises(SpecError, match="2 ranks call"):
        export("osu", [workers(50, 60)])


# Parquet


def test_parquet_has_a_row_for_each_value() -> None:
    table = parquet.read_table(io.BytesIO(export("parquet", [BASE, sweep(64)], ["rtt_p50", "fairness"]))).to_pylist()
    assert len(table) == 12
    first = table[0]
    assert (first["metric"], first["unit"], first["better"], first["repetition"]) == ("rtt_p50", "us", "lower", 0)
    assert first["value"] == pytest.approx(100, rel=0.01)
    assert (first["case"], first["total_bytes"]) == (NAME, 32)
    assert {row["total_bytes"] for row in table} == {32, 64}


def test_parquet_without_pyarrow_is_refused_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ExportUnavailable, match=r"pip install 'tensorwire\[parquet\]'") as refused:
        export("parquet", [BASE])
    assert refused.value.exit_code == 3


def test_several_files_of_a_case_are_one_export() -> None:
    told = json.loads(export("bencher", [repeated(100_000), repeated(102_000)]))
    assert told[NAME]["rtt_p50_us"]["value"] == pytest.approx(101, rel=0.01)


def test_the_command_offers_every_form() -> None:
    (option,) = [each for each in command.command.params if each.name == "form"]
    assert list(option.type.choices) == list(FORMS)
