"""The laws of the schemes that hold what a job sent."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorwire.errors import SpecError
from tensorwire.payload import MAX_BUFFER
from tensorwire.recorded import Call, Replay, Step, Steps, Turn
from tensorwire.spec import Scheme
from tensorwire.units import Bytes

ONE = {"name": "job", "sizes": ((Bytes(1),),), "order": "exact"}


@given(times=st.lists(st.integers(0, 10**12), min_size=1).map(sorted), pace=st.floats(0.1, 10))
def test_gaps_add_up_to_when_messages_are_due(times: list[int], pace: float) -> None:
    due = [0, *times, times[-1] + 1]
    scheme = Replay(**{**ONE, "messages": (0,) * len(due), "times": tuple(due)})  # type: ignore[arg-type]
    gaps = scheme.gaps(pace)
    assert len(gaps) == len(due)
    assert min(gaps) >= 0
    assert sum(gaps) > 0
    for number, time in enumerate(due):
        assert sum(gaps[:number]) == round(time / pace)


def test_after_the_last_message_comes_the_mean_gap() -> None:
    scheme = Replay(**{**ONE, "messages": (0, 0, 0), "times": (0, 10, 40)})  # type: ignore[arg-type]
    assert scheme.gaps(1) == [10, 30, 20]
    assert scheme.gaps(2) == [5, 15, 10]
    assert scheme.gaps(0.5) == [20, 60, 40]


@pytest.mark.parametrize(
    "fields",
    [
        {"replies": ()},
        {"messages": (0,), "replies": (0,)},
        {"messages": (0,), "replies": (0, 0), "answers": ((),)},
        {"messages": (0,), "replies": (-2,), "answers": ((),)},
        {"messages": (0,), "replies": (0,), "answers": ((Bytes(0),),)},
        {"messages": (0,), "replies": (0,), "answers": ((Bytes(MAX_BUFFER + 1),),)},
        {"messages": (0,), "times": (0,)},
        {"messages": (0, 0), "times": (0,)},
        {"messages": (0, 0), "times": (1, 2)},
        {"messages": (0, 0, 0), "times": (0, 2, 1)},
    ],
    ids=str,
)
def test_what_contradicts_itself_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        Replay(**{**ONE, **fields})  # type: ignore[arg-type]


STEP = Step(time_ns=10, bytes=5, workers=(Turn(0, (Call(0, 0, 0, 3),), (Call(0, 0, 1, 4),)),))
STEPS = Steps(
    name="job", sizes=((Bytes(4),),), answers=((), (Bytes(9), Bytes(1))), ps=1, workers=1, steps=(STEP,), period_ns=10
)


def test_what_a_worker_sends_in_a_step_is_one_payload() -> None:
    assert [payload.sizes for payload in STEPS.payloads()] == [(4, 4)]
    assert STEPS.replied() == ((9, 1),)
    assert STEPS.step_ns == 10
    assert STEPS.step_bytes == 5


def test_steps_are_read_as_they_were_written() -> None:
    assert msgspec.json.decode(msgspec.json.encode(STEPS), type=Scheme) == STEPS


def test_steps_describe_themselves_in_one_line() -> None:
    assert STEPS.describe() == (
        "profile job: 1 step of 1 worker and 1 ps in turn; a worker's step has 1 pulls and 1 pushes, "
        "8 B to the servers, 10 B back; recorded steps took 10.0 ns"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": ()},
        {"ps": 0},
        {"workers": 2},
        {"sizes": ((),)},
        {"answers": ((), (Bytes(0),))},
        {"period_ns": -1},
        {"steps": (msgspec.structs.replace(STEP, workers=(Turn(-1, (Call(0, 0, 0, 3),), ()),)),)},
        {"steps": (msgspec.structs.replace(STEP, time_ns=0),)},
        {"steps": (msgspec.structs.replace(STEP, workers=(Turn(0, (), ()),)),)},
        *(
            {"steps": (msgspec.structs.replace(STEP, workers=(Turn(0, (call,), ()),)),)}
            for call in (Call(1, 0, 0, 0), Call(-1, 0, 0, 0), Call(0, 1, 0, 0), Call(0, 0, 2, 0), Call(0, 0, 0, -1))
        ),
    ],
    ids=str,
)
def test_steps_that_contradict_themselves_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        msgspec.structs.replace(STEPS, **changes)
