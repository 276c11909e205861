"""PyTorch's traces give the collectives of one rank; what they do not give is noted and never made up."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tensorwire.errors import FileFormatError
from tensorwire.imports import kineto
from tensorwire.profile import Profile, decode, encode

EXAMPLE = Path(__file__).parent.parent / "docs/example-trace.json"


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
        (b'{"traceEvents": [1, {}, {"name": "record_param_comms"}]}', "has no record_param_comms"),
        (b'{"nodes": [1, {}, {"name": "record_param_comms", "attrs": [3]}]}', "has no record_param_comms"),
    ],
)
def test_what_is_not_a_trace_of_collectives_is_refused(data: bytes, wrong: str) -> None:
    with pytest.raises(FileFormatError, match=rf"^t\.json .*{wrong}"):
        kineto.profile(data, "job", "t.json")
