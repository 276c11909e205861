"""A profile is a file of sizes: what is written is what is read, and what is not one of ours is refused."""

import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.console import Console

from tensorwire import library, profile
from tensorwire.errors import FileFormatError, SpecError
from tensorwire.profile import Profile, Stream, SystemCalls, decode, encode
from tensorwire.report import profile as report
from tensorwire.report import shelf
from tensorwire.report.picture import svg
from tensorwire.report.summary import summary
from tensorwire.report.tally import bins, by, category, whole
from tests import profiles

SCHEMA = Path(__file__).parent.parent / "docs/profile.schema.json"
MIB = 1 << 20

JOB = profiles.profile((7,), (0, 1024), (MIB,), (), (MIB, 1023), (MIB,), steps=(-1, 0, 0, 0, 1, 1))
CALLS = (SystemCalls(sender=0, receiver=1, calls=2, bytes=9, iovecs=((1, 1), (4, 2)), per_call=((1, 1), (2, 1))),)
SOME = {
    "a job": replace(JOB, warmup=1, exchanges=((0, 1), (3, 4)), system_calls=CALLS),
    "without steps": profiles.profile((1, 2), (3,)),
    "nothing": profiles.profile(),
}

vectors = st.lists(st.lists(st.integers(0, 2**40), max_size=4), max_size=20)


@pytest.fixture(params=SOME)
def known(request: pytest.FixtureRequest) -> Profile:
    return SOME[request.param]


def schema_text() -> str:
    return json.dumps(profile.schema(), indent=2, sort_keys=True) + "\n"


def test_the_published_schema_is_that_of_the_code() -> None:
    assert SCHEMA.read_text() == schema_text(), "publish the schema anew with: python -m tests.test_profile"


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(profile.schema())


def test_what_is_written_is_what_the_schema_says(known: Profile) -> None:
    jsonschema.validate(json.loads(encode(known)), profile.schema())


@pytest.mark.parametrize("change", [{"streams": [{}]}, {"messages": [[1, 2]]}, {"payloads": [1]}], ids=str)
def test_the_schema_refuses_what_is_no_profile(change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(encode(JOB)) | change, profile.schema())


def test_what_is_read_is_what_was_written(known: Profile) -> None:
    assert decode(encode(known)) == known


@given(vectors)
def test_any_profile_can_be_written_and_read(sent: list[list[int]]) -> None:
    made = profiles.profile(*sent)
    assert decode(encode(made)) == made


def test_the_file_has_a_line_for_each_message() -> None:
    lines = encode(JOB).decode().splitlines()
    assert "  [0,0,0,-1]," in lines
    assert len(lines) < 40


@pytest.mark.parametrize("data", [b"", b"hello", b"[]", b"null", b'{"format": 3}', b"\xff\xfe", b'{"format": "tensorw'])
def test_what_is_not_a_profile_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(FileFormatError, match=r"^it is not a profile, or is damaged"):
        decode(data, "it")


@pytest.mark.parametrize("data", [b"{}", b'{"format": "tensorwire.result", "version": 1}'])
def test_another_file_is_refused_by_its_format(data: bytes) -> None:
    with pytest.raises(FileFormatError, match=r"^it is not a tensorwire profile"):
        decode(data, "it")


def test_a_newer_version_is_refused_whatever_it_holds() -> None:
    newer = json.dumps({"format": profile.FORMAT, "version": profile.VERSION + 1, "messages": "a riddle"}).encode()
    with pytest.raises(FileFormatError, match=r"newer tensorwire.*upgrade"):
        decode(newer)


@pytest.mark.parametrize("cut", [3, 50, 300])
def test_a_file_that_was_cut_is_damaged(cut: int) -> None:
    with pytest.raises(FileFormatError, match="damaged"):
        decode(encode(JOB)[:-cut])


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"messages": [[0, 3, 0, -1]]}, "no stream 3"),
        ({"messages": [[0, 0, 99, -1]]}, "no payload 99"),
        ({"messages": [[0, 0, 0, 2]]}, "no step 2"),
        ({"messages": [[0, -1, 0, 0]]}, "no stream -1"),
        ({"messages": [[5, 0, 0, -1], [4, 0, 0, -1]]}, "not in the order"),
        ({"roles": ["worker"]}, "no role 1"),
        ({"steps": [[2, 1], [3, 4]]}, "ends before it begins"),
        ({"payloads": [[-1]] * 6}, "a buffer of -1 bytes cannot be"),
        ({"payloads": [[2**70]] * 6}, "a buffer of 1180591620717411303424 bytes cannot be"),
        ({"steps": [[0, 2**63], [3, 4]]}, "a time of 9223372036854775808 ns cannot be"),
        ({"warmup": 2}, "2 of 2 steps are warm-up"),
        ({"warmup": -1}, "-1 of 2 steps are warm-up"),
        ({"steps": [], "messages": [], "warmup": 1}, "1 of 0 steps"),
        ({"exchanges": [[0, 9]]}, "no message 9"),
        ({"exchanges": [[0, 2]]}, "message 2 as its reply"),
        ({"exchanges": [[1, 4]]}, "message 1 as its request"),
        ({"exchanges": [[0, 1], [0, 4]]}, "message 0 is in several"),
        ({"exchanges": [[0, 1], [3, 1]]}, "message 1 is in several"),
        ({"exchanges": [[3, 1], [0, 4]]}, "order of their requests"),
        ({"system_calls": [{"sender": 2, "calls": 1, "bytes": 1, "iovecs": [], "per_call": []}]}, "no role 2"),
    ],
)
def test_facts_that_contradict_each_other_are_damage(change: dict[str, Any], wrong: str) -> None:
    with pytest.raises(FileFormatError, match=f"damaged: .*{wrong}"):
        decode(json.dumps(json.loads(encode(JOB)) | change).encode())


def test_facts_of_a_later_release_are_passed_over() -> None:
    assert decode(json.dumps(json.loads(encode(JOB)) | {"mood": "good"}).encode()) == JOB


def test_what_counts_is_what_was_sent_within_steps() -> None:
    assert [message[2] for message in JOB.steady] == [1, 2, 3, 4, 2]
    assert JOB.message_sizes() == {1024: 1, MIB: 2, 0: 1, MIB + 1023: 1}
    assert JOB.buffer_sizes() == {0: 1, 1024: 1, MIB: 3, 1023: 1}


def test_warm_up_does_not_count() -> None:
    assert [message[2] for message in replace(JOB, warmup=1).steady] == [4, 2]


def test_a_part_has_the_exchanges_that_are_whole_in_it() -> None:
    linked = replace(JOB, exchanges=((0, 1), (3, 4)), system_calls=CALLS)
    assert profile.only(linked, "RecvTensor").exchanges == ((0, 1), (2, 3))
    assert profile.only(linked, "request").exchanges == ()
    assert profile.only(linked, "request").system_calls == ()


def test_without_steps_everything_counts() -> None:
    assert SOME["without steps"].message_sizes() == {3: 2}


@pytest.mark.parametrize(("size", "name"), [(0, 0), (1023, 0), (1024, 1), (MIB - 1, 1), (MIB, 2), (MIB + 1, 2)])
def test_the_boundaries_belong_to_the_larger_category(size: int, name: int) -> None:
    assert category(size) == name


def test_the_parts_sum_to_the_whole() -> None:
    everything = whole(JOB)
    assert (everything.messages, everything.buffers, everything.total) == (5, (2, 1, 3), 3 * MIB + 1024 + 1023)
    for place in (1, 3):
        groups = by(JOB, lambda message, place=place: message[place])  # type: ignore[misc]
        assert sum(each.messages for each in groups.values()) == everything.messages
        assert sum(each.total for each in groups.values()) == everything.total


@given(vectors)
def test_every_buffer_is_in_the_bin_that_has_its_size(sent: list[list[int]]) -> None:
    made = profiles.profile(*sent)
    for each in bins(made):
        inside = {size: times for size, times in made.buffer_sizes().items() if each.low <= size < each.high}
        assert each.buffers == sum(inside.values())
        assert each.bytes == sum(size * times for size, times in inside.items())
    assert sum(each.buffers for each in bins(made)) == made.buffer_sizes().total()


@pytest.mark.parametrize(
    ("what", "places"),
    [("request", [0, 3]), ("RecvTensor", [0, 1, 3, 4]), (profiles.STREAMS[0].method, [0, 1, 3, 4]), ("raw", [2, 5])],
)
def test_a_part_has_the_messages_of_one_kind_or_method(what: str, places: list[int]) -> None:
    part = profile.only(JOB, what)
    assert part.messages == tuple(JOB.messages[place] for place in places)
    assert part.name == f"job/{what.rpartition('/')[2]}"


def test_an_unknown_part_lists_the_known_ones() -> None:
    with pytest.raises(SpecError, match=r"'RecvTenser'; did you mean RecvTensor\? known: .*raw, reply, request"):
        profile.only(JOB, "RecvTenser")


def shown(made: Profile, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    report.show(made, console)
    return console.export_text()


def test_the_table_shows_categories_streams_and_steps() -> None:
    text = shown(JOB, 120)
    for part in ("python by by hand, 2 processes", "1 MiB and more", "█", "RecvTensor", "reply", "step", "outside the"):
        assert part in text


def test_totals_are_decimal_in_every_row_and_powers_of_two_only_bound_sizes() -> None:
    text = shown(replace(JOB, system_calls=CALLS), 120)
    cells = re.findall(r"  +(\S+ [KMGT]i?B)(?=  |\n)", text)
    assert {"3.15 MB", "1.05 MB"} <= set(cells)
    assert not [cell for cell in cells if "i" in cell]


def test_the_table_shows_peers_payloads_and_system_calls() -> None:
    text = shown(replace(JOB, warmup=1, system_calls=CALLS), 120)
    for part in ("worker  ps", "1048576 + 1023", "1 step of warm-up", "another transport does it otherwise", "iovec"):
        assert part in text


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            JOB,
            "Each of 2 steps moves 1.05 MB to 2.10 MB, in it 1 to 2 buffers of 1 MiB and more: in the middle one, "
            "1.05 MB to others that were not watched, 1024 B to worker.",
        ),
        (
            replace(JOB, warmup=1, roles=("worker 0", "ps 0")),
            "The one step moves 2.10 MB, in it 2 buffers of 1 MiB and more: "
            "1.05 MB to the worker, 1.05 MB to others that were not watched.",
        ),
        (
            profiles.profile((7_000_000,), (2,), (), (7_000_000,), (3,), (), steps=(0, 0, 0, 1, 1, 1)),
            "Each of 2 steps moves 7.00 MB, in it 1 buffer of 1 MiB and more: 7.00 MB to ps, 2 B to worker.",
        ),
        (
            replace(SOME["without steps"], roles=("worker 0", "worker 1")),
            "The whole job, without steps, moves 6 B, in it no buffers of 1 MiB and more: 6 B to the workers.",
        ),
        (SOME["nothing"], "No message was sent."),
    ],
    ids=range(5),
)
def test_the_summary_says_what_a_step_moves(made: Profile, sentence: str) -> None:
    assert summary(made) == sentence


def test_the_picture_is_well_formed_and_says_all_in_words() -> None:
    root = ElementTree.fromstring(svg(replace(JOB, name="<a & b>")))
    said = next(each.text for each in root if each.tag.endswith("desc"))
    assert said is not None
    assert "1 MiB to below 4 MiB: 3, 3.15 MB" in said
    assert root.get("aria-labelledby") == "title text"
    texts = [each.text for each in root.iter() if each.tag.endswith("}text")]
    assert {"<a & b>", "1 KiB", "1 MiB", "256 KiB", "small: 33.3% of buffers, 0.0% of bytes"} <= set(texts)
    widths = [float(each.get("height", 0)) for each in root.iter() if each.get("class") == "large"]
    assert max(widths) > 100


def test_what_a_name_holds_commands_no_terminal_and_breaks_no_picture() -> None:
    made = replace(JOB, name="x\x1b[31m\ny", roles=("worker\x07", "ps"))
    text = shown(made, 120)
    assert "profile x\\x1b[31m\\x0ay" in text
    assert "worker\\x07" in text
    ElementTree.fromstring(svg(made))


def test_the_picture_of_nothing_has_no_bars() -> None:
    root = ElementTree.fromstring(svg(SOME["nothing"]))
    assert [each for each in root.iter() if each.tag.endswith("}rect")] == []


def test_a_shelf_tells_the_model_and_the_command() -> None:
    command = ("tensorwire", "workload", "run", "tf-ps", "--model", "resnet 152")
    made = replace(JOB, captured=replace(JOB.captured, command=command))
    console = Console(width=120, file=io.StringIO(), record=True)
    shelf.show([made, SOME["nothing"]], console)
    text = console.export_text()
    for part in ("tensorwire workload run tf-ps --model 'resnet 152'", "model", "Each of 2 steps", "not told"):
        assert part in text
    first, second = json.loads(shelf.as_json([made, SOME["nothing"]]))
    assert (first["model"], first["step_bytes"], second["model"], second["step_bytes"]) == (
        "resnet 152",
        MIB + 1024,
        "",
        None,
    )


def test_profiles_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(library, "SHIPPED", tmp_path / "shipped")
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped/resnet152-tf-ps.profile.json").write_bytes(encode(JOB))
    assert library.names() == ["resnet152-tf-ps"]
    assert library.resolve("resnet152-tf-ps") == tmp_path / "shipped/resnet152-tf-ps.profile.json"
    for file in ("absent.json", "there/resnet152-tf-ps", "./resnet152-tf-ps"):
        assert library.resolve(file) == Path(file)
    with pytest.raises(SpecError, match=r"unknown profile 'resnet15-tf-ps'; did you mean resnet152-tf-ps\?"):
        library.resolve("resnet15-tf-ps")
    (tmp_path / "mine").write_bytes(encode(JOB))
    assert library.resolve("mine") == Path("mine")


def test_every_profile_of_the_library_can_be_read_and_was_captured() -> None:
    for name in library.names():
        made = decode(library.file_of(name).read_bytes())
        assert (made.name, made.captured.instrument) == (name, "wire")
        assert made.captured.command
        assert made.steps


def test_the_table_fits_a_narrow_terminal() -> None:
    assert max(map(len, shown(JOB, 80).splitlines())) <= 80


def test_a_profile_without_messages_can_be_shown() -> None:
    assert "0 messages" in shown(SOME["nothing"], 80)
    assert json.loads(report.as_json(SOME["nothing"]))["histogram"] == []


def test_the_report_for_programs_has_every_stream_and_step() -> None:
    told = json.loads(report.as_json(JOB))
    assert [each["messages"] for each in told["streams"]] == [2, 2, 1]
    assert [(each["step"], each["messages"]) for each in told["steps"]] == [(0, 3), (1, 2)]
    assert told["total"]["buffers_by_category"] == {"small": 2, "medium": 1, "large": 3}
    assert told["left_out"] == 1


def test_a_stream_may_end_where_nobody_looked() -> None:
    odd = replace(JOB, streams=(Stream(sender=0, kind="raw"),) * 3)
    assert decode(encode(odd)) == odd


if __name__ == "__main__":
    SCHEMA.write_text(schema_text())
