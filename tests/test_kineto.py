"""PyTorch's traces give the collectives of one rank; what they do not give is noted and never made up."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorwire.errors import FileFormatError
from tensorwire.imports import kineto
from tensorwire.profile import Profile, decode, encode

DOCS, DATA = Path(__file__).parent.parent / "docs", Path(__file__).parent / "data"
EXAMPLE = DOCS / "example-trace.json"


def sent(made: Profile) -> list[tuple[str, tuple[int, ...]]]:
    """The messages in their order: by which collective, and their buffers."""
    return [(made.streams[stream].method, made.payloads[payload]) for _, stream, payload, _ in made.messages]


def event(at_us: float, **args: Any) -> dict[str, Any]:
    known = {"Collective name": "allreduce", "dtype": "Float", "In msg nelems": 10, "Group size": 2}
    return {"ph": "X", "cat": "cpu_op", "name": "record_param_comms", "ts": at_us, "dur": 1.0, "args": known | args}


def imported(*events: dict[str, Any]) -> Profile:
    return kineto.profile(json.dumps({"traceEvents": events}).encode(), "job")


def node(**attrs: Any) -> dict[str, Any]:
    known = {"collective_name": "allreduce", "dtype": "Float", "in_msg_nelems": 10, "pg_name": "0", "pg_size": 4}
    listed = [{"name": name, "type": "", "value": value} for name, value in (known | attrs).items()]
    return {"id": 1, "name": "record_param_comms", "attrs": listed}


def test_the_example_has_two_steps_of_four_messages() -> None:
    made = kineto.profile(EXAMPLE.read_bytes(), "example")
    assert [made.payloads[payload] for _, _, payload, step in made.messages if step == 0] == [
        (4 * 2_097_152,),
        (4 * 262_144,),
        (2 * 1000,),
        (2 * 25,),
    ]
    assert made.message_sizes().total() == 8
    assert made.messages[0] == (0, 0, 0, -1)
    assert made.steps == ((900_000, 4_400_000), (4_900_000, 8_400_000))
    assert made.roles == ("rank 0", "group 0 of 2", "rank 1")
    assert decode(encode(made)) == made


def test_a_packed_trace_is_the_same() -> None:
    data = EXAMPLE.read_bytes()
    assert kineto.profile(gzip.compress(data), "example") == kineto.profile(data, "example")


@pytest.mark.parametrize(
    ("dtype", "width"),
    [("Byte", 1), ("BFloat16", 2), ("Half", 2), ("Int", 4), ("Float", 4), ("Long", 8), ("Double", 8), ("float32", 4)],
)
def test_bytes_are_elements_times_their_width(dtype: str, width: int) -> None:
    assert imported(event(1.0, dtype=dtype)).payloads == ((10 * width,),)


def test_messages_are_in_the_order_of_their_times() -> None:
    made = imported(event(9.0), event(7.5, dtype="Half"))
    assert [(at, made.payloads[payload]) for at, _, payload, _ in made.messages] == [(0, (20,)), (1500, (40,))]


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({"In msg nelems": 0}, "carry nothing"),
        ({"dtype": "Quaternion"}, "unknown type 'Quaternion'"),
        ({"In msg nelems": None}, "without a name or an element count"),
        ({"Collective name": ""}, "without a name or an element count"),
        ({"Collective name": "recv"}, "of receiving"),
    ],
    ids=str,
)
def test_what_is_left_out_is_counted(args: dict[str, Any], reason: str) -> None:
    made = imported(event(1.0), event(2.0, **args), event(3.0, **args))
    assert len(made.messages) == 1
    (note,) = [note for note in made.captured.notes if reason in note]
    assert note.endswith(": 2, left out")


def test_the_recorded_example_has_the_gradients_of_each_step_in_two_buckets() -> None:
    """Recorded by torch 2.13 of torch-ddp's transformer, then trimmed to what tells of collectives."""
    made = kineto.profile((DOCS / "example-trace-gloo.json").read_bytes(), "example")
    assert sent(made) == 2 * [("all_reduce", (4 * 6_572_032,)), ("all_reduce", (4 * 3_973_632,))]
    assert [step for *_, step in made.messages] == [0, 0, 1, 1]
    assert made.message_sizes().total() == 4
    assert sum(made.payloads[payload][0] for _, _, payload, step in made.messages if step == 0) == 4 * 10_545_664
    assert made.roles == ("rank 0", "group 0 of 2")


def test_every_collective_of_gloo_is_read_from_the_profiler() -> None:
    """Recorded by torch 2.13 on rank 0 of 2: each collective that gloo has, once at least."""
    made = kineto.profile((DATA / "gloo.kineto.json").read_bytes(), "job")
    one, half, longs = (60,), (12,), (64,)  # 3x5 floats, 6 halves, 8 longs
    assert sent(made) == [
        ("all_reduce", one),
        ("all_gather", one),
        ("broadcast", one),
        ("all_gather", one),
        ("all_reduce", half),  # a reduce_scatter, which gloo makes of it
        ("reduce", one),
        ("all_to_all", longs),
        ("all_to_all", longs),
        ("send", one),
        ("scatter", one + one),
        ("gather", one),
        ("send", one),
        ("all_reduce", one + one),
        ("all_reduce", one + one),
    ]
    assert set(made.captured.notes[1:]) == {
        "events that carry nothing, such as waits and barriers: 1, left out",
        "events of receiving, which the sender's trace has: 2, left out",
    }


def test_an_execution_trace_has_the_same_by_the_operators() -> None:
    by_annotation = sent(kineto.profile((DATA / "gloo.kineto.json").read_bytes(), "job"))
    made = kineto.profile((DATA / "gloo.execution.json").read_bytes(), "job")
    assert [sizes for _, sizes in sent(made)] == [sizes for _, sizes in by_annotation]
    assert [name for name, _ in sent(made)][4:7] == ["reduce_scatter_base", "reduce", "alltoall_base"]
    assert made.roles == ("rank", "group 0 of 2")
    assert set(made.captured.notes[2:]) == {
        "events that carry nothing, such as waits and barriers: 1, left out",
        "events of receiving, which the sender's trace has: 2, left out",
    }


@pytest.mark.parametrize("time", [1e308, -1e20, 2**80, None, "1"])
def test_a_time_that_is_none_is_not_read(time: Any) -> None:
    assert len(imported(event(1.0), event(time)).messages) == 1


def test_a_step_that_ends_before_it_begins_is_none() -> None:
    step = {"ph": "X", "cat": "user_annotation", "name": "ProfilerStep#1", "ts": 0.5, "dur": -1.0}
    assert imported(event(1.0), step).steps == ()
    assert imported(event(1.0), step | {"dur": 1.5}).steps == ((0, 1500),)


def test_what_gloo_sent_without_shapes_is_counted() -> None:
    bare = {"ph": "X", "cat": "user_annotation", "name": "gloo:all_reduce", "ts": 2.0, "dur": 1.0, "args": {}}
    made = imported(event(1.0), bare)
    assert len(made.messages) == 1
    assert any("record_shapes=True: 1, left out" in note for note in made.captured.notes)
    with pytest.raises(FileFormatError, match="those of gloo with record_shapes=True"):
        imported(bare)


def test_a_collective_in_an_execution_trace_is_counted_once() -> None:
    """NCCL's record_param_comms lies within the operator, and says more."""
    inputs = {"values": [], "shapes": [[[10]]], "types": ["GenericList[Tensor(float)]"]}
    operator = {"id": 1, "ctrl_deps": 0, "name": "c10d::allreduce_", "inputs": inputs, "attrs": []}
    within = {**node(), "id": 2, "ctrl_deps": 1}
    other = {**operator, "id": 3}
    made = kineto.profile(json.dumps({"nodes": [operator, within, other]}).encode(), "job")
    assert sent(made) == [("allreduce", (40,)), ("allreduce", (40,))]
    assert made.roles == ("rank", "group 0 of 4", "group ? of ?")


@pytest.mark.parametrize("values", [[], ["["], [1], ["[]"], ["[1]"], ["[{}]"], ['[{"pg_name": "0"}, {}]'], "x", None])
def test_a_group_that_cannot_be_read_is_not_known(values: object) -> None:
    inputs = {"shapes": [[[10], []]], "types": ["GenericList[Tensor(float),Tensor(c10::BFloat16)]"]}
    nodes = [
        {"id": 1, "name": "## process_group:init ##", "inputs": {"values": values}},
        {"id": 2, "name": "c10d::allreduce_coalesced_", "inputs": inputs},
    ]
    made = kineto.profile(json.dumps({"nodes": nodes}).encode(), "job")
    assert sent(made) == [("allreduce_coalesced", (40, 2))]
    assert made.roles[1] == "group ? of ?"


def test_lists_of_lists_are_flat() -> None:
    kind = "GenericList[GenericList[Tensor(int),Tensor(int)],GenericList[Tensor(long int)]]"
    inputs = {"shapes": [[], [[[2], [3]], [[4]]]], "types": ["GenericList[]", kind]}
    made = kineto.profile(json.dumps({"nodes": [{"id": 2, "name": "c10d::scatter_", "inputs": inputs}]}).encode(), "j")
    assert sent(made) == [("scatter", (8, 12, 32))]


def test_an_operator_that_is_not_known_is_counted() -> None:
    inputs = {"values": [], "shapes": [[10]], "types": ["Tensor(float)"]}
    odd = [
        {"id": 2, "ctrl_deps": 0, "name": "c10d::teleport_", "inputs": inputs, "attrs": []},
        {"id": 3, "ctrl_deps": 0, "name": "c10d::send", "inputs": {"shapes": 1}, "attrs": []},
        {"id": 4, "ctrl_deps": 0, "name": "c10d::allreduce_", "inputs": {"shapes": [5], "types": ["GenericList["]}},
    ]
    made = kineto.profile(json.dumps({"nodes": [node(), *odd]}).encode(), "job")
    assert len(made.messages) == 1
    assert "events without a name or an element count: 3, left out" in made.captured.notes


def test_an_execution_trace_has_the_order_and_no_times() -> None:
    nodes = [
        node(),
        node(dtype="Half"),
        {"id": 3, "name": "aten::add", "attrs": []},
        node(collective_name="wait", in_msg_nelems=0),
    ]
    made = kineto.profile(json.dumps({"schema": "1.1.1-chakra.0.0.4", "nodes": nodes}).encode(), "job")
    assert [made.payloads[payload] for _, _, payload, _ in made.messages] == [(40,), (20,)]
    assert made.captured.instrument == "pytorch-execution-trace"
    assert made.roles == ("rank", "group 0 of 4")
    assert any("no times" in note for note in made.captured.notes)


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (b"", "not a trace, or is damaged"),
        (b"[]", "not a trace, or is damaged"),
        (b"\x1f\x8b\x08broken", "not a trace, or is damaged"),
        (b"{}", "neither traceEvents nor nodes"),
        (b'{"traceEvents": [1, {}, {"name": "record_param_comms"}]}', "has no collective with a size"),
        (b'{"nodes": [1, {}, {"name": "record_param_comms", "attrs": [3]}]}', "has no collective with a size"),
    ],
)
def test_what_is_not_a_trace_of_collectives_is_refused(data: bytes, wrong: str) -> None:
    with pytest.raises(FileFormatError, match=rf"^t\.json .*{wrong}"):
        kineto.profile(data, "job", "t.json")


_PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-5, 2**70)
    | st.floats(allow_nan=False)
    | st.sampled_from(
        ["gloo:all_reduce", "c10d::allreduce_", "record_param_comms", "GenericList[Tensor(float)]", "float", "", "["]
    )
)
_ODD = st.recursive(_PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))


@given(st.sampled_from([DATA / "gloo.kineto.json", DATA / "gloo.execution.json", EXAMPLE]), st.data())
def test_whatever_a_trace_holds_it_is_read_or_refused(file: Path, draw: st.DataObject) -> None:
    """Some value of a recorded trace is replaced by another."""
    trace = json.loads(file.read_bytes())
    places = list(_places(trace))
    for _ in range(draw.draw(st.integers(1, 4))):
        holder, key = draw.draw(st.sampled_from(places))
        holder[key] = draw.draw(_ODD)
    try:
        made = kineto.profile(json.dumps(trace).encode(), "job")
    except FileFormatError:
        return
    assert decode(encode(made)) == made


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Everything that can be replaced in a JSON value, by what holds it."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])
