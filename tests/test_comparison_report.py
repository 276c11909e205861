"""Comparisons as they are shown: a table, Markdown, JSON, CSV and JUnit XML."""

import csv
import io
import json
from xml.etree import ElementTree

import msgspec
import pytest
from rich.console import Console

from tensorwire.compare import Comparison, Question, compare
from tensorwire.report import comparison
from tensorwire.report.junit import junit
from tests.results import HOST, failing, repeated
from tests.test_compare import scaled, sweep

GATE = ("failed", "slower", "inconclusive")


def slower() -> Comparison:
    return compare([scaled(1.0)], [scaled(1.2)], Question())


def mixed() -> Comparison:
    return compare([sweep(32, 64)], [sweep(64, 128)], Question())


def shown(answer: Comparison, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    comparison.show(answer, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_has_medians_ratio_interval_and_verdict() -> None:
    text = shown(slower())
    (line,) = [line for line in text.splitlines() if "rtt_p50" in line]
    assert line.split()[:5] == ["32", "B", "rtt_p50", "us", "100.0"]
    assert "[1.1" in line
    assert line.rstrip().endswith("slower")
    assert "6/6" in line
    assert "1 slower, 1 same of 2 findings" in text
    assert "benchmark p2p-latency, channel grpc, payload custom, ranks 2, in flight 1" in text
    assert "lies within 0.952 to 1.050" in text


def test_no_line_is_wider_than_the_console() -> None:
    assert max(map(len, shown(mixed(), 80).splitlines())) <= 80


def test_what_differs_is_a_column_and_what_was_left_out_is_told() -> None:
    text = shown(mixed())
    assert "64 B" in text
    assert "only in base: p2p-latency over grpc, sweep, 32 B" in text
    assert "only in new: p2p-latency over grpc, sweep, 128 B" in text


def test_few_repetitions_show_no_interval() -> None:
    answer = compare([repeated(100_000)], [repeated(110_000)], Question())
    text = shown(answer)
    assert "[" not in text.replace("[bold", "")
    assert "too few" in text
    assert json.loads(comparison.as_json(answer))["findings"][0]["low"] is None


def test_a_version_that_changed_is_noted() -> None:
    newer = msgspec.structs.replace(scaled(1.0), environment=msgspec.structs.replace(HOST, kernel="Linux 7.0"))
    assert "Note: kernel differs (Linux 6.1 | Linux 7.0)." in shown(compare([scaled(1.0)], [newer], Question()))


def test_markdown_is_a_table_with_what_stands_out() -> None:
    lines = comparison.markdown(slower()).splitlines()
    assert lines[0] == "1 slower, 1 same of 2 findings"
    assert lines[2].startswith("| case | metric |")
    assert all(line.count("|") == 8 for line in lines[2:6])
    assert "**slower**" in lines[4]


def test_markdown_escapes_what_would_end_a_cell() -> None:
    answer = compare([failing(None)], [failing("a|b")], Question())
    assert r"a\|b" in comparison.markdown(answer)


def test_json_has_the_evidence() -> None:
    told = json.loads(comparison.as_json(slower()))
    finding = told["findings"][0]
    assert (told["format"], told["outcome"], told["threshold"]) == ("tensorwire.comparison", "slower", 0.05)
    assert (finding["metric"], finding["unit"], finding["better"], finding["verdict"]) == (
        *("rtt_p50", "us", "lower"),
        "slower",
    )
    assert len(finding["base_values"]) == len(finding["new_values"]) == 6
    assert 1.05 < finding["low"] <= finding["ratio"] <= finding["high"]
    told = json.loads(comparison.as_json(mixed()))
    assert (len(told["only_base"]), len(told["only_new"])) == (1, 1)


def test_json_has_why_a_row_was_not_compared() -> None:
    serialized = msgspec.structs.replace(scaled(1.0), spec=msgspec.structs.replace(scaled(1.0).spec, mode="serialized"))
    answer = compare([sweep(64), serialized], [sweep(64), scaled(1.0)], Question())
    (refused,) = json.loads(comparison.as_json(answer))["refused"]
    assert refused["differences"] == [{"condition": "mode", "base": "serialized", "new": "non-serialized"}]
    assert "not compared: p2p-latency over grpc, custom, 32 B, mode serialized: mode differs" in shown(answer)


def test_csv_has_a_line_for_each_finding() -> None:
    first, second = csv.DictReader(io.StringIO(comparison.as_csv(slower())))
    assert (first["metric"], first["verdict"], first["repetitions"]) == ("rtt_p50", "slower", "6/6")
    assert float(first["ratio"]) == pytest.approx(1.2, rel=0.01)
    assert (second["metric"], second["verdict"]) == ("cpu_per_call", "same")


def test_junit_fails_what_the_gate_fails() -> None:
    suites = ElementTree.fromstring(junit(slower(), GATE).split("\n", 1)[1])
    (suite,) = suites
    assert suite.attrib == {
        "name": "tensorwire compare",
        **{"tests": "2", "failures": "1", "errors": "0", "skipped": "0"},
    }
    slow, same = suite
    (failure,) = slow
    assert (failure.tag, failure.get("type")) == ("failure", "slower")
    assert "new / base 1.200 [1.1" in failure.get("message", "")
    assert [each.tag for each in same] == ["system-out"]


def test_junit_skips_what_is_inconclusive_unless_that_fails_the_gate() -> None:
    skipped = ElementTree.fromstring(junit(mixed(), ("failed", "slower")).split("\n", 1)[1])
    failed = ElementTree.fromstring(junit(mixed(), GATE).split("\n", 1)[1])
    assert (skipped.get("skipped"), skipped.get("failures")) == ("1", "0")
    assert (failed.get("skipped"), failed.get("failures")) == ("0", "1")
    assert len(failed[0]) == 3  # what only the new side has is no test


def test_junit_is_xml_whatever_a_failure_says() -> None:
    answer = compare([failing(None)], [failing('<&">\x00\x1b[1m')], Question())
    (suite,) = ElementTree.fromstring(junit(answer, GATE).split("\n", 1)[1])
    assert suite.get("failures") == "2"
