"""Files that are not results, or no longer: one sentence that says what is wrong with which file."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.system.conftest import Run
from tests.system.driver import PROGRAM, SHORT


@pytest.fixture
def good(run: Run, home: Path) -> Path:
    assert run("run", *SHORT, "-c", "null", "--calls", "3", "--format", "none", "--output", "good.json").code == 0
    return home / "good.json"


def test_a_file_that_is_not_there_is_named(run: Run) -> None:
    run("show", "absent.json").refused(2, "cannot read absent.json", "No such file")


def test_a_directory_is_not_a_result(run: Run, home: Path) -> None:
    (home / "folder").mkdir()
    run("show", "folder").refused(2, "cannot read folder")


@pytest.mark.parametrize("text", ["", "hello", '{"a": 1', "[]", "\x00\x01", "null"])
def test_what_is_not_json_is_no_result(run: Run, home: Path, text: str) -> None:
    (home / "odd.json").write_text(text)
    run("show", "odd.json").refused(2, "odd.json", "not a result, or is damaged")


def test_bytes_that_are_no_text_are_no_result(run: Run, home: Path) -> None:
    (home / "odd.json").write_bytes(os.urandom(100))
    run("show", "odd.json").refused(2, "odd.json")


@pytest.mark.parametrize("text", ["{}", '{"format": "somebody.else", "version": 1}'])
def test_a_foreign_file_is_no_result(run: Run, home: Path, text: str) -> None:
    (home / "odd.json").write_text(text)
    run("show", "odd.json").refused(2, "odd.json is not a tensorwire result")


def test_a_truncated_file_is_damaged(run: Run, good: Path) -> None:
    good.write_bytes(good.read_bytes()[:-200])
    run("show", "good.json").refused(2, "good.json", "damaged")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("traffic",), 3),
        (("spec", "threads"), 0),
        (("spec", "payload", "scheme"), "even"),
        (("repetitions", 0, "measurements", 0, "rank"), "first"),
        (("repetitions", 0, "ranks"), None),
    ],
)
def test_a_file_whose_facts_cannot_be_is_damaged(
    run: Run, good: Path, path: tuple[str | int, ...], value: object
) -> None:
    document = json.loads(good.read_text())
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    good.write_text(json.dumps(document))
    run("show", "good.json").refused(2, "good.json is damaged")


def test_a_histogram_that_contradicts_itself_is_damaged(run: Run, good: Path) -> None:
    document = json.loads(good.read_text())
    for measurement in document["repetitions"][0]["measurements"]:
        if measurement["calling"]:
            measurement["calling"]["latency"]["count"] += 1
    good.write_text(json.dumps(document))
    run("show", "good.json").refused(2, "good.json is damaged", "histogram")


def test_a_file_of_a_newer_version_asks_for_an_upgrade(run: Run, good: Path) -> None:
    document = json.loads(good.read_text())
    good.write_text(json.dumps({**document, "version": document["version"] + 1, "traffic": "other now"}))
    run("show", "good.json").refused(2, "good.json", "newer tensorwire", "upgrade")


def test_a_file_with_facts_that_this_version_does_not_know_can_be_read(run: Run, good: Path) -> None:
    document = json.loads(good.read_text())
    good.write_text(json.dumps({**document, "mood": "good"}))
    assert run("show", "good.json").code == 0


def test_an_older_file_is_replaced_whole(run: Run, good: Path) -> None:
    before = good.read_bytes()
    assert run("run", *SHORT, "-c", "null", "--calls", "4", "--format", "none", "--output", "good.json").code == 0
    assert good.read_bytes() != before
    assert run("show", "good.json").code == 0


def test_a_reader_that_has_seen_enough_ends_it_without_a_word(good: Path) -> None:
    """As in `tensorwire show good.json | head`."""
    reading, writing = os.pipe()
    os.close(reading)
    show = subprocess.run([PROGRAM, "show", str(good)], stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writing)
    assert (show.returncode, show.stderr) == (1, b"")
