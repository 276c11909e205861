"""A request is checked whole: what makes sense becomes a Spec, what does not is named."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, json, to_builtins
from msgspec.structs import replace

from tensorwire import replay, spec
from tensorwire.errors import SpecError
from tensorwire.payload import Custom, Random, Skew, Uniform
from tensorwire.spec import Closed, Constant, Placement, Poisson, Recorded, Repeat, Spec, parse, parse_toml, sweep
from tensorwire.step_replay import step
from tensorwire.units import Bytes, Nanoseconds
from tests.jobs import parameter_servers

SECOND = 1_000_000_000


def test_the_defaults_are_those_of_the_paper() -> None:
    assert parse({}) == Spec()
    assert (Spec().benchmark, Spec().channel, Spec().mode) == ("p2p-latency", "grpc", "non-serialized")
    assert (Spec().host, Spec().port) == ("localhost", 50001)
    assert (Spec().warmup_ns, Spec().duration_ns) == (2 * SECOND, 10 * SECOND)
    assert (Spec().payload, Spec().load, Spec().repeat) == (Uniform(), Closed(), Repeat())
    assert Spec().payload.count == 10


def test_words_with_units_become_whole_numbers() -> None:
    wanted = parse({"warmup": "500ms", "duration": 3, "timeout": "1m", "sizes": "32,64KiB,1MB", "threads": "4"})
    assert (wanted.warmup_ns, wanted.duration_ns, wanted.timeout_ns) == (SECOND // 2, 3 * SECOND, 60 * SECOND)
    assert wanted.sizes == (32, 65536, 1_000_000)
    assert wanted.threads == 4


def test_tables_become_values() -> None:
    wanted = parse(
        {
            "payload": {"scheme": "skew", "bias": "small", "large": "2MB", "weights": "5,3,2"},
            "load": {"kind": "poisson", "rate": "2000", "outstanding": "8"},
            "placement": {"pin": "same", "wait": "spin"},
            "repeat": {"count": "5", "precision": 0.01},
        }
    )
    assert wanted.payload == Skew(bias="small", large=Bytes(2_000_000), weights=(5.0, 3.0, 2.0))
    assert wanted.load == Poisson(rate=2000.0, outstanding=8)
    assert wanted.placement == Placement(pin="same", wait="spin")
    assert wanted.repeat == Repeat(count=5, precision=0.01)


def test_a_table_without_its_tag_is_the_default_kind() -> None:
    assert parse({"payload": {"count": "3"}}).payload == Uniform(count=3)
    assert parse({"load": {"outstanding": "3"}}).load == Closed(outstanding=3)


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        ({"chanel": "tcp"}, ("'chanel'", "did you mean channel")),
        ({"payload": {"scheme": "even"}}, ("scheme 'even'", "uniform", "skew")),
        ({"payload": {"scheme": "uniform", "bias": "large"}}, ("bias is 'large'", "scheme uniform", "goes with skew")),
        ({"payload": {"scheme": "uniform", "bais": "large"}}, ("unknown uniform field 'bais'",)),
        ({"payload": {"scheme": "custom"}}, ("payload needs buffers",)),
        ({"payload": {"categories": "huge"}}, ("'huge'", "large, medium, small")),
        ({"payload": {"buffers": "huge", "scheme": "custom"}}, ("'huge'", "large or medium or small or", "KiB")),
        ({"payload": {"scheme": "skew", "weights": "1,a,1"}}, ("payload.weights[1] is 'a'", "a number")),
        ({"load": {"kind": "bursty"}}, ("load 'bursty'", "poisson")),
        ({"load": {"kind": "constant"}}, ("load needs rate",)),
        ({"load": {"kind": "closed", "rate": 5}}, ("rate is 5", "load closed", "goes with constant or poisson")),
        ({"load": {"kind": "constant", "rate": 0}}, ("rate is 0",)),
        ({"load": {"kind": "poisson", "rate": float("inf")}}, ("rate is inf",)),
        ({"load": {"outstanding": 0}}, ("outstanding is 0", "1 to 4096")),
        ({"placement": {"pin": "all"}}, ("pin", "all")),
        ({"threads": 257}, ("threads is 257", "1 to 256")),
        ({"threads": "many"}, ("threads is 'many'", "a whole number")),
        ({"warmup": True}, ("warmup is True", "a whole number")),
        ({"port": -1}, ("port is -1",)),
        ({"calls": -1}, ("calls is -1",)),
        ({"seed": 2**63}, ("seed",)),
        ({"duration": "25h"}, ("duration", "24 h")),
        ({"duration": "1us"}, ("duration", "0.001 s")),
        ({"join_timeout": "0s"}, ("join-timeout",)),
        ({"warmup": "1s", "warmup_ns": 5}, ("warmup", "once")),
        ({"repeat": {"count": 10_001}}, ("repeat is 10001",)),
        ({"repeat": {"precision": 1.0}}, ("precision is 1.0", "1%")),
        ({"sizes": [0]}, ("sizes is 0", "1 B to 2 GiB")),
        ({"sizes": ["4GiB"]}, ("sizes is 4294967296", "1 B to 2 GiB")),
        ({"sizes": [1], "payload": {"scheme": "random"}}, ("sizes", "one buffer")),
        ({"fill": "ones"}, ("unknown fill 'ones'", "float32")),
        ({"mode": "zipped"}, ("unknown mode 'zipped'", "serialized")),
        ({"pattern": 3}, ("pattern is 3", "a table")),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_named(words: dict[str, object], fragments: tuple[str, ...]) -> None:
    with pytest.raises(SpecError) as refused:
        parse(words)
    assert refused.value.exit_code == 2
    for fragment in fragments:
        assert fragment in str(refused.value)


def test_each_size_of_a_sweep_is_a_point_of_one_buffer() -> None:
    points = parse({"sizes": "8,1KiB"}).points()
    assert [[payload.sizes for payload in point] for point in points] == [[(8,)], [(1024,)]]


def test_a_scheme_is_one_point_with_all_its_payloads() -> None:
    ((*payloads,),) = replace(Spec(), payload=Random(draw="per-call", draws=7)).points()
    assert len(payloads) == 7


def test_what_is_sent_is_told_in_words() -> None:
    assert parse({"sizes": "8,1KiB"}).describe_payload() == "sweep: one buffer of 8 B, 1 KiB"
    assert "4.03 MB" in Spec().describe_payload()


@given(
    begin=st.integers(1, 2**20),
    factor=st.integers(2, 1024),
    steps=st.integers(0, 8),
)
def test_a_sweep_reaches_from_begin_to_end_by_the_factor(begin: int, factor: int, steps: int) -> None:
    end = min(begin * factor**steps, 2**62)
    sizes = sweep(str(begin), str(end), factor)
    assert sizes[0] == begin
    assert all(after == before * factor for before, after in pairwise(sizes))
    assert sizes[-1] <= end < sizes[-1] * factor


@pytest.mark.parametrize(("begin", "end", "factor"), [("0", "8", 2), ("16", "8", 2), ("1", "8", 1), ("1", "8", 2000)])
def test_a_sweep_that_goes_nowhere_is_refused(begin: str, end: str, factor: int) -> None:
    with pytest.raises(SpecError):
        sweep(begin, end, factor)


def test_a_spec_file_says_the_same_as_flags() -> None:
    text = """
    benchmark = "ps-throughput"
    sizes = ["1KiB", 2048]
    warmup = "1s"
    [pattern]
    workers = 3
    [load]
    kind = "constant"
    rate = 10
    """
    assert parse(parse_toml(text)) == Spec(
        benchmark="ps-throughput",
        sizes=(Bytes(1024), Bytes(2048)),
        warmup_ns=Nanoseconds(SECOND),
        pattern={"workers": 3},
        load=Constant(rate=10.0),
    )


def test_a_file_that_is_not_toml_is_refused_with_its_line() -> None:
    with pytest.raises(SpecError, match=r"not TOML.*line 2"):
        parse_toml("\na = \n")


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plug-in's."""

    frame: Bytes = Bytes(1)
    fast: bool = False


def test_the_options_of_a_plug_in_are_read_with_their_units() -> None:
    assert spec.options(Options, "it", {"frame": "2KiB", "fast": "true"}) == Options(frame=Bytes(2048), fast=True)


@pytest.mark.parametrize("words", [{"fram": "1"}, {"frame": "big"}, {"fast": "maybe"}])
def test_an_option_that_is_wrong_is_named_with_its_owner(words: dict[str, object]) -> None:
    with pytest.raises(SpecError, match=r"^channel it: .*fra|^channel it: .*fast"):
        spec.options(Options, "channel it", words)


@pytest.mark.parametrize(
    "wanted",
    [
        Spec(),
        Spec(load=Poisson(rate=3.5), payload=Custom(buffers=("large", Bytes(3))), options={"call": "stream"}),
        Spec(sizes=(Bytes(1),), repeat=Repeat(count=3, precision=0.1), placement=Placement(congestion="reno")),
    ],
    ids=lambda wanted: wanted.describe_payload(),
)
def test_a_spec_in_a_file_is_the_same_spec(wanted: Spec) -> None:
    assert json.decode(json.encode(wanted), type=Spec) == wanted


REPLAY = to_builtins(replay.exact(parameter_servers()).scheme)
STEPS = to_builtins(step(parameter_servers()).scheme)
BY_STEP = {"benchmark": "ps-throughput", "payload": STEPS}


@pytest.mark.parametrize("pace", [0.1, 1, 10, "2"])
def test_recorded_arrivals_go_with_the_times_of_a_profile(pace: object) -> None:
    load = {"kind": "recorded", "pace": pace}
    assert spec.parse({"payload": REPLAY, "load": load}).load == Recorded(pace=float(str(pace)))
    assert spec.parse({**BY_STEP, "load": load}).load == Recorded(pace=float(str(pace)))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"load": {"kind": "recorded"}}, "recorded arrivals need the times of a profile"),
        ({"load": {"kind": "recorded"}, "sizes": [1]}, "recorded arrivals need the times of a profile"),
        ({"load": {"kind": "recorded"}, "payload": {**REPLAY, "times": []}}, "profile job does not tell when"),
        ({"load": {"kind": "recorded"}, "payload": REPLAY, "threads": 2}, "threads is 2"),
        ({"load": {"kind": "recorded", "pace": 0.09}, "payload": REPLAY}, r"pace is 0.09.*2 is twice as fast"),
        ({"load": {"kind": "recorded", "pace": 10.1}, "payload": REPLAY}, "pace is 10.1"),
        ({"load": {"kind": "recorded", "pace": float("nan")}, "payload": REPLAY}, "pace is nan"),
        ({"load": {"kind": "closed", "pace": 2}, "payload": REPLAY}, "pace .*recorded"),
        ({"payload": STEPS}, "benchmark is 'p2p-latency', but must be ps-throughput"),
        ({**BY_STEP, "load": {"kind": "poisson", "rate": 1}}, "closed or recorded"),
        ({**BY_STEP, "threads": 2}, "a thread is a worker"),
        ({**BY_STEP, "pattern": {"reply": "echo"}}, "replies are as recorded"),
    ],
    ids=str,
)
def test_a_replay_that_makes_no_sense_is_refused(words: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        spec.parse(words)


def test_steps_bring_their_numbers_of_servers_and_workers() -> None:
    assert spec.parse(BY_STEP).pattern_words() == {"ps": 2, "workers": 2}
    assert spec.parse({**BY_STEP, "pattern": {"workers": 5}}).pattern_words() == {"ps": 2, "workers": 5}
    assert spec.parse({"pattern": {"workers": 5}}).pattern_words() == {"workers": 5}
