"""Cases: which results are repetitions of one, what tells them apart, and how they are named."""

from typing import Any

import msgspec
import pytest

from tensorwire.case import NEVER_ALIKE, apart, cases, condition_names, differences
from tensorwire.payload import Random
from tensorwire.result import Result
from tensorwire.spec import Closed, Placement, Poisson, Repeat, Spec
from tensorwire.units import Bytes, Nanoseconds
from tests.results import HOST, SECOND, failing, repeated, result, workers

BASE = repeated(100_000, 101_000)


def with_spec(**changes: Any) -> Result:
    return msgspec.structs.replace(BASE, spec=msgspec.structs.replace(BASE.spec, **changes))


def test_results_under_the_same_conditions_are_repetitions_of_one_case() -> None:
    (case,) = cases([BASE, repeated(102_000), failing("rank 0 went away")])
    assert [sample is not None for sample in case.samples] == [True, True, True, False]
    assert case.failures == (None, None, None, "PeerLost: rank 0 went away")
    assert case.failed == ("PeerLost: rank 0 went away",)


@pytest.mark.parametrize(
    "change",
    [
        {"port": 4711},
        {"seed": 9},
        {"timeout_ns": Nanoseconds(5 * SECOND)},
        {"repeat": Repeat(count=7)},
        {"host": "127.0.0.1"},
    ],
)
def test_what_moves_no_number_is_no_condition(change: dict[str, Any]) -> None:
    assert len(cases([BASE, with_spec(**change)])) == 1


@pytest.mark.parametrize(
    ("condition", "change"),
    [
        ("channel", {"channel": "tcp"}),
        ("options", {"options": {"call": "stream"}}),
        ("mode", {"mode": "serialized"}),
        ("load", {"load": Poisson(rate=100.0, outstanding=None)}),
        ("load", {"threads": 2}),
        ("placement", {"placement": Placement(pin="same")}),
        ("time", {"duration_ns": Nanoseconds(2 * SECOND)}),
        ("fill", {"fill": "zeros"}),
        ("launcher", {"launcher": "other"}),
        ("benchmark", {"benchmark": "fully-connected"}),
    ],
)
def test_what_was_asked_for_is_a_condition(condition: str, change: dict[str, Any]) -> None:
    one, other = cases([BASE, with_spec(**change)])
    assert differences(one, other) == (condition,)
    assert one.name() != other.name() or condition in ("time",)


def test_the_host_the_traffic_and_the_payload_are_conditions() -> None:
    elsewhere = msgspec.structs.replace(BASE, environment=msgspec.structs.replace(HOST, host="there"))
    traffic = msgspec.structs.replace(BASE.traffic, reply="acknowledge")
    one, *others = cases(
        [BASE, elsewhere, msgspec.structs.replace(BASE, traffic=traffic), repeated(100_000, 101_000, size=64)]
    )
    assert [differences(one, other) for other in others] == [("host",), ("pattern",), ("payload",)]
    assert apart(one, others[0], "host") == ("name here", "name there")
    assert apart(one, others[1], "pattern") == ("1 x ps, 1 x worker, echo", "1 x ps, 1 x worker, acknowledge")


def test_more_calls_in_flight_are_another_load() -> None:
    more = msgspec.structs.replace(BASE.traffic, outstanding=4)
    one, other = cases([BASE, msgspec.structs.replace(BASE, traffic=more)])
    assert differences(one, other) == ("load",)
    assert apart(one, other, "load") == ("outstanding 1", "outstanding 4")


def test_an_explicit_default_is_the_default() -> None:
    assert len(cases([BASE, with_spec(load=Closed(outstanding=1))])) == 1


def test_what_nothing_tells_differs_from_nothing() -> None:
    nothing = msgspec.structs.replace(BASE, repetitions=())
    one, other = (cases([each])[0] for each in (BASE, nothing))
    assert other.conditions["transport"] is None
    assert differences(one, other) == ()


def test_every_field_of_a_spec_is_a_condition_or_known_to_be_none() -> None:
    """A new field makes two results different until somebody decides otherwise."""
    (case,) = cases([BASE])
    assert set(case.conditions) == {*condition_names(), *NEVER_ALIKE}


def test_a_sweep_has_a_case_for_each_size() -> None:
    swept = result(spec=Spec(sizes=(Bytes(32), Bytes(64))))
    assert [case.total_bytes for case in cases([swept])] == [32, 64]


def test_names_have_what_is_unusual_and_no_spaces() -> None:
    spec = Spec(
        payload=Random(seed=7),
        mode="serialized",
        placement=Placement(pin="same"),
        options={"call": "stream"},
        threads=2,
    )
    (case,) = cases([result(spec=spec)])
    begin, end = case.name().split("/bytes:")
    assert begin == "p2p-latency/grpc/random-seed-7"
    assert (
        end.partition("/")[2] == "buffers:10/ranks:2/in_flight:1/mode:serialized/threads:2/pin:same/options:call=stream"
    )
    assert case.words().startswith("p2p-latency over grpc, random, seed 7, ")
    assert cases([workers(5, 5)])[0].name() == (
        "ps-throughput/grpc/uniform/bytes:4030030/buffers:10/ranks:3/in_flight:1"
    )
