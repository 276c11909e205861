"""A result is one file of facts: what is written is what is read, and what is not one of ours is refused."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tensorwire import result
from tensorwire.errors import FileFormatError
from tensorwire.payload import Custom, Random, Skew
from tensorwire.result import decode, encode
from tensorwire.spec import Poisson, Spec
from tensorwire.units import Bytes
from tests import results

SCHEMA = Path(__file__).parent.parent / "docs/result.schema.json"

SOME = {
    "nothing measured": results.result(status="partial"),
    "one run": results.result(results.repetition(*results.p2p_run([10, 20, 30]))),
    "several callers": results.workers(3, 5),
    "a failure": results.result(results.repetition(failures=(results.failure(),))),
    "a sweep": results.result(spec=Spec(sizes=(Bytes(1), Bytes(2)))),
    "an open loop": results.result(spec=Spec(load=Poisson(rate=2.5), payload=Random(draw="per-call", draws=2))),
    "custom": results.result(spec=Spec(payload=Custom(buffers=("large", Bytes(3))), options={"call": "stream"})),
    "skew": results.result(spec=Spec(payload=Skew(weights=(3.0, 2.0, 1.0)), pattern={"ps": 1})),
}


@pytest.fixture(params=SOME)
def known(request: pytest.FixtureRequest) -> result.Result:
    return SOME[request.param]


def schema_text() -> str:
    return json.dumps(result.schema(), indent=2, sort_keys=True) + "\n"


def test_the_published_schema_is_that_of_the_code() -> None:
    """To publish it anew: python -m tests.test_result"""
    assert SCHEMA.read_text() == schema_text(), "publish the schema anew with: python -m tests.test_result"


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(result.schema())


def test_what_is_written_is_what_the_schema_says(known: result.Result) -> None:
    jsonschema.validate(json.loads(encode(known)), result.schema())


@pytest.mark.parametrize(
    "change",
    [{"format": 3}, {"spec": {"threads": "many"}}, {"points": [{"payloads": [[1]]}]}, {"repetitions": {}}],
    ids=str,
)
def test_the_schema_refuses_what_is_no_result(change: dict[str, Any]) -> None:
    document = json.loads(encode(SOME["one run"])) | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, result.schema())


def test_what_is_read_is_what_was_written(known: result.Result) -> None:
    assert decode(encode(known)) == known


def test_the_file_is_text_for_people_too(known: result.Result) -> None:
    text = encode(known).decode()
    assert text.endswith("}\n")
    assert '\n "format": "tensorwire.result",\n' in text


@pytest.mark.parametrize("data", [b"", b"hello", b"[]", b"null", b'{"format": 3}', b"\xff\xfe", b'{"format": "tensorw'])
def test_what_is_not_a_result_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(FileFormatError, match=r"^it is not a result, or is damaged"):
        decode(data, "it")


@pytest.mark.parametrize("data", [b"{}", b'{"format": "profile", "version": 1}'])
def test_somebody_elses_file_is_refused_by_its_format(data: bytes) -> None:
    with pytest.raises(FileFormatError, match=r"^it is not a tensorwire result"):
        decode(data, "it")


def test_a_newer_version_is_refused_whatever_it_holds() -> None:
    newer = json.dumps({"format": result.FORMAT, "version": result.VERSION + 1, "spec": "a riddle"}).encode()
    with pytest.raises(FileFormatError, match=r"newer tensorwire.*upgrade"):
        decode(newer)


@pytest.mark.parametrize("cut", [3, 100, 1000])
def test_a_file_that_was_cut_is_damaged(known: result.Result, cut: int) -> None:
    with pytest.raises(FileFormatError, match="damaged"):
        decode(encode(known)[:-cut])


def test_a_spec_that_makes_no_sense_is_damage() -> None:
    document = json.loads(encode(SOME["one run"]))
    document["spec"]["threads"] = 0
    with pytest.raises(FileFormatError, match=r"damaged: threads is 0"):
        decode(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("place", "nonsense"),
    [
        (("points",), []),
        (("points", 0, "payloads"), []),
        (("points", 0, "totals"), [1]),
        (("traffic", "roles"), ["worker"]),
        (("repetitions", 0, "measurements", 1, "rank"), 7),
        (("repetitions", 0, "measurements", 1, "point"), -1),
        (("repetitions", 0, "measurements", 1, "usage", "window_ns"), 0),
        (("repetitions", 0, "measurements", 1, "calling", "calls"), 2),
        (("repetitions", 0, "measurements", 1, "calling", "elapsed_ns"), 0),
        (("repetitions", 0, "measurements", 1, "calling", "series", "interval_ns"), 0),
        (("repetitions", 0, "measurements", 1, "calling", "series", "max_ns"), []),
        (("repetitions", 0, "measurements", 1, "calling", "latency", "count"), 4),
    ],
    ids=str,
)
def test_facts_that_contradict_each_other_are_damage(place: tuple[str | int, ...], nonsense: object) -> None:
    document = json.loads(encode(SOME["one run"]))
    *outer, last = place
    part: Any = document
    for step in outer:
        part = part[step]
    part[last] = nonsense
    with pytest.raises(FileFormatError, match="is damaged: "):
        decode(json.dumps(document).encode())


def test_facts_of_a_later_release_are_passed_over() -> None:
    document = json.loads(encode(SOME["one run"]))
    document["repetitions"][0]["measurements"][0]["usage"]["energy_joules"] = 3
    assert decode(json.dumps(document).encode()) == SOME["one run"]


if __name__ == "__main__":
    SCHEMA.write_text(schema_text())
