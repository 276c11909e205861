"""tensorwire compare and export as a user types them: what they print, and the exit codes that gate."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tensorwire.result import Result, encode
from tests.results import failing, repeated
from tests.system.conftest import Run
from tests.system.driver import SHORT
from tests.test_compare import STEADY, scaled

Write = Callable[[str, Result], None]


@pytest.fixture
def write(home: Path) -> Write:
    def to(name: str, result: Result) -> None:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(encode(result))

    return to


@pytest.mark.parametrize(
    ("new", "default", "on_regression"),
    [
        (scaled(1.0), 0, 0),
        (scaled(0.8), 0, 0),
        (scaled(1.2), 1, 1),
        (scaled(1.05), 4, 0),
        (repeated(100_000), 4, 0),
        (failing(None, None, "gone"), 1, 1),
    ],
    ids=["same", "faster", "slower", "inconclusive", "too few", "failed"],
)
def test_the_exit_code_gates(run: Run, write: Write, new: Result, default: int, on_regression: int) -> None:
    write("base.json", scaled(1.0))
    write("new.json", new)
    assert run("compare", "base.json", "new.json").code == default
    assert run("compare", "base.json", "new.json", "--fail-on", "regression").code == on_regression
    assert run("compare", "base.json", "new.json", "--fail-on", "never").code == 0


def test_the_evidence_is_on_stdout_and_nothing_on_stderr(run: Run, write: Write) -> None:
    write("base.json", scaled(1.0))
    write("new.json", scaled(1.2))
    done = run("compare", "base.json", "new.json", "--threshold", "10%", "--metric", "rtt_p99", "--junit", "j.xml")
    assert (done.code, done.stderr) == (1, "")
    assert "rtt_p99" in done.stdout
    assert "1 slower of 1 finding" in done.stdout
    for form in ("json", "csv", "markdown"):
        assert "slower" in run("compare", "base.json", "new.json", "--format", form).stdout


def test_junit_is_written(run: Run, write: Write, home: Path) -> None:
    write("base.json", scaled(1.0))
    write("new.json", scaled(1.2))
    assert run("compare", "base.json", "new.json", "--junit", "j.xml").code == 1
    assert ElementTree.parse(home / "j.xml").getroot().get("failures") == "1"
    done = run("compare", "base.json", "new.json", "--junit", "no/such/j.xml")
    assert done.code == 2
    done.said("cannot write no/such/j.xml", "--junit FILE")


def test_directories_and_patterns_are_several_repetitions(run: Run, write: Write, home: Path) -> None:
    for side, factor in (("base", 1.0), ("new", 1.2)):
        for number, latency in enumerate(STEADY):
            write(f"{side}/{number}.json", repeated(round(factor * latency)))
    (home / "new/notes.json").write_text("{}")
    done = run("compare", "base", "new")
    assert done.code == 1
    assert "6/6" in done.stdout
    assert done.stderr == "new/notes.json: left out, because it is not a result\n"
    done = run("compare", "base/*.json", "new/[0-9].json")
    assert (done.code, done.stderr) == (1, "")


def test_what_cannot_be_read_or_compared_is_refused(run: Run, write: Write, home: Path) -> None:
    write("base.json", scaled(1.0))
    write("other.json", repeated(*STEADY, size=64))
    (home / "empty").mkdir()
    run("compare", "base.json", "absent.json").refused(2, "cannot read absent.json")
    run("compare", "base.json", "empty").refused(2, "there is no result in empty")
    run("compare", "base.json", "no*.json").refused(2, "there is no result in no*.json")
    run("compare", "base.json", "other.json").refused(2, "payload differs (custom", "32 B", "64 B")
    run("compare", "base.json", "base.json", "--threshold", "x").refused(2, "threshold is 'x'", "such as 1%")
    run("compare", "base.json", "base.json", "--metric", "rtt_50").refused(2, "did you mean rtt_p50")


def test_real_runs_compare_with_each_other_and_other_channels_only_when_allowed(run: Run) -> None:
    few = (*SHORT, "--sizes", "32,1KiB", "--calls", "20", "--repeat", "4", "--format", "none")
    for name, channel in (("a.json", "null"), ("b.json", "null"), ("c.json", "tcp")):
        assert run("run", *few, "-c", channel, "--output", name).code == 0
    done = run("compare", "a.json", "b.json", "--fail-on", "never", "--format", "json")
    assert done.code == 0, done.stderr
    assert len(json.loads(done.stdout)["findings"]) == 4
    run("compare", "a.json", "c.json").refused(2, "channel differs (null | tcp)", "--allow different-channel")
    done = run("compare", "a.json", "c.json", "--allow", "different-channel", "--fail-on", "never")
    assert done.code == 0, done.stderr
    assert "channel null | tcp" in done.stdout


@pytest.mark.parametrize(
    "form", ["prometheus", "google-benchmark", "github-action", "bencher", "csv", "osu", "parquet"]
)
def test_results_are_exported_to_stdout_or_a_file(run: Run, write: Write, home: Path, form: str) -> None:
    write("base.json", scaled(1.0))
    done = run("export", "base.json", "--to", form, "-o", "out")
    assert (done.code, done.stdout, done.stderr) == (0, "", "")
    assert (home / "out").stat().st_size > 100
    if form != "parquet":
        assert run("export", "base.json", "--to", form).stdout == (home / "out").read_text()


def test_what_has_no_such_form_is_refused(run: Run, write: Write) -> None:
    write("base.json", scaled(1.0))
    run("export", "base.json", "--to", "github-action-bigger").refused(2, "--to github-action")
    run("export", "base.json", "--to", "csv", "--metric", "rpcs").refused(2, "csv has its own metrics")
    run("export", "base.json", "--to", "csv", "-o", "no/such/file").refused(2, "cannot write no/such/file")
