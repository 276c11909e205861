"""What every channel promises, whichever there are: found through the registry, run for real."""

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tensorwire import registry, replay
from tensorwire.channels import calls
from tensorwire.errors import ChannelError, SpecError
from tensorwire.payload import Custom, Random, Skew, Uniform
from tensorwire.profile import OUTSIDE
from tensorwire.recorded import Steps
from tensorwire.result import Result
from tensorwire.session import Session
from tensorwire.spec import Closed, Constant, Load, Mode, Placement, Poisson, Recorded, Repeat, Spec
from tensorwire.step_replay import step
from tests.contract.channel_runs import (
    CALLS,
    available,
    buffers,
    calling,
    measure,
    payloads,
    serving,
    short,
    transport,
)
from tests.jobs import Job, parameter_servers

PAYLOADS = {
    "one buffer": buffers(70_000),
    "one byte": buffers(1),
    "ten mixed": Uniform(),
    "two thousand tiny": Custom(buffers=(7,) * 2000),
    "larger than a frame": buffers(3_000_001, 5),
}


@pytest.fixture(params=[name for name in registry.names("channel") if calls(registry.channel(name))])
def name(request: pytest.FixtureRequest) -> str:
    return available(request.param)


def test_it_is_what_its_entry_point_says(name: str) -> None:
    channel = registry.channel(name)
    assert channel.name == name
    assert channel.summary
    assert Path(channel.command()[0]).exists()
    assert msgspec.convert({}, channel.options) == channel.options()


@pytest.mark.parametrize("reply", ["echo", "acknowledge"])
@pytest.mark.parametrize("shape", PAYLOADS)
def test_all_shapes_of_payload_arrive(name: str, shape: str, reply: str, tmp_path: Path) -> None:
    scheme = PAYLOADS[shape]
    result = measure(tmp_path, short(name, payload=scheme, pattern={"reply": reply}))
    (seen,) = calling(result)
    assert seen.calls == CALLS
    assert seen.bytes == CALLS * payloads(scheme)[0]


@pytest.mark.parametrize("reply", ["echo", "acknowledge"])
def test_many_calls_are_in_flight(name: str, reply: str, tmp_path: Path) -> None:
    spec = short(name, load=Closed(outstanding=8), calls=100, pattern={"reply": reply}, payload=Skew())
    result = measure(tmp_path, spec)
    assert result.traffic.outstanding == 8
    assert calling(result)[0].calls == 100


@pytest.mark.parametrize("reply", ["echo", "acknowledge"])
def test_several_threads_call(name: str, reply: str, tmp_path: Path) -> None:
    spec = short(name, load=Closed(outstanding=6), threads=3, pattern={"reply": reply})
    assert calling(measure(tmp_path, spec))[0].calls == 3 * CALLS


def test_more_threads_than_calls_in_flight_are_left_out(name: str, tmp_path: Path) -> None:
    assert calling(measure(tmp_path, short(name, threads=5)))[0].calls == CALLS


def test_every_worker_calls_every_server(name: str, tmp_path: Path) -> None:
    result = measure(tmp_path, short(name, pattern={"ps": 2, "workers": 3}))
    assert [each.calls for each in calling(result)] == [CALLS] * 3
    called = [{peer.rank: peer.calls for peer in each.peers} for each in calling(result)]
    assert all(set(peers) == {0, 1} and min(peers.values()) > 0 for peers in called)
    if transport(result) != "none":
        each_served = [sum(peers[server] for peers in called) for server in (0, 1)]
        assert [each.calls for each in serving(result)] == each_served


def test_nodes_call_each_other(name: str, tmp_path: Path) -> None:
    spec = short(name, benchmark="fully-connected", pattern={"nodes": 3}, load=Closed(outstanding=2))
    result = measure(tmp_path, spec)
    assert sum(each.calls for each in calling(result)) == 3 * CALLS
    for rank, each in enumerate(calling(result)):
        assert {peer.rank for peer in each.peers} == {0, 1, 2} - {rank}


def test_payloads_drawn_for_each_call_are_sent_in_turn(name: str, tmp_path: Path) -> None:
    scheme = Random(count=3, draw="per-call", draws=5, seed=4)
    result = measure(tmp_path, short(name, payload=scheme))
    totals = payloads(scheme)
    assert len(set(totals)) > 1
    assert result.points[0].totals == tuple(totals)
    assert calling(result)[0].bytes == sum(totals[i % 5] for i in range(CALLS))


@pytest.mark.parametrize("reply", ["echo", "acknowledge"])
def test_a_rank_that_polls_gets_its_replies(name: str, reply: str, tmp_path: Path) -> None:
    spec = short(name, placement=Placement(wait="spin"), pattern={"reply": reply}, load=Closed(outstanding=2))
    assert calling(measure(tmp_path, spec))[0].calls == CALLS


@pytest.mark.parametrize("shape", PAYLOADS)
def test_serialized_messages_carry_the_same_payloads(name: str, shape: str, tmp_path: Path) -> None:
    spec = short(name, mode="serialized", payload=PAYLOADS[shape], pattern={"reply": "echo"})
    if not registry.channel(name).serializes:
        with pytest.raises(SpecError, match="no serialized mode"):
            Session(spec, tmp_path / "result.json")
        return
    result = measure(tmp_path, spec)
    assert calling(result)[0].bytes == CALLS * payloads(spec.payload)[0]
    for side in (*calling(result), *serving(result)):
        assert side.serialization.serialize_ns > 0
        assert side.serialization.deserialize_ns > 0


def test_nothing_is_serialized_unless_asked_for(name: str, tmp_path: Path) -> None:
    result = measure(tmp_path, short(name))
    for side in (*calling(result), *serving(result)):
        assert (side.serialization.serialize_ns, side.serialization.deserialize_ns) == (0, 0)


def test_it_serves_at_unix_sockets_or_says_that_it_cannot(name: str, tmp_path: Path) -> None:
    spec = short(name, host="unix", pattern={"ps": 2, "workers": 2})
    try:
        said = transport(measure(tmp_path, spec))
    except (SpecError, ChannelError) as wrong:
        said = str(wrong)
    assert "unix" in said or said == "none"


@pytest.mark.parametrize("load", [Poisson(rate=2000), Constant(rate=2000), Poisson(rate=2000, outstanding=1)], ids=repr)
def test_calls_of_an_open_loop_are_made_or_missed(name: str, load: Any, tmp_path: Path) -> None:
    (seen,) = calling(measure(tmp_path, short(name, load=load, calls=50)))
    assert seen.calls + seen.missed == 50
    assert seen.calls > 0
    assert seen.bytes == 1000 * seen.calls


def test_it_measures_again_after_a_warm_up_and_for_each_size(name: str, tmp_path: Path) -> None:
    sizes = (1, 100_000, 64)
    spec = msgspec.structs.replace(
        short(name, warmup_ns=50_000_000, repeat=Repeat(count=2)), payload=Uniform(), sizes=sizes
    )
    result = Session(spec, tmp_path / "result.json").run()
    assert len(result.repetitions) == 2
    for repetition in result.repetitions:
        called = {each.point: each.calling for each in repetition.measurements if each.calling}
        assert {point: (seen.calls, seen.bytes) for point, seen in called.items()} == {
            point: (CALLS, CALLS * size) for point, size in enumerate(sizes)
        }
        served = {each.point: each.serving.calls for each in repetition.measurements if each.serving}
        assert set(served.values()) <= {CALLS, 0}, "calls of the check or of the warm-up were counted"
    first, second = result.repetitions
    assert {facts.pid for facts in first.ranks}.isdisjoint(facts.pid for facts in second.ranks)


def test_an_option_that_it_does_not_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as refused:
        Session(short(name, options={"no_such_option": "1"}), tmp_path / "result.json")
    assert "no_such_option" in str(refused.value)
    assert name in str(refused.value)
    for field in msgspec.structs.fields(registry.channel(name).options):
        assert field.name in str(refused.value)


MODES = ["non-serialized", "serialized"]


def replayed(name: str, directory: Path, spec: Spec) -> Result:
    """A replay over a channel; skipped where it has no such mode."""
    if spec.mode == "serialized" and not registry.channel(name).serializes:
        pytest.skip("no serialized mode")
    return measure(directory, spec)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("outstanding", [1, 8])
def test_requests_get_the_replies_that_were_recorded(name: str, mode: Mode, outstanding: int, tmp_path: Path) -> None:
    scheme = replay.exact(parameter_servers()).scheme
    spec = short(name, payload=scheme, mode=mode, calls=3 * CALLS, load=Closed(outstanding=outstanding))
    (seen,) = calling(replayed(name, tmp_path, spec))
    totals, back = payloads(scheme), scheme.replied()
    assert seen.bytes == sum(totals[i % len(totals)] for i in range(3 * CALLS))
    assert seen.received == sum(sum(back[i % len(back)] or ()) for i in range(3 * CALLS))


@pytest.mark.parametrize("reply", ["echo", "acknowledge"])
def test_messages_without_a_recorded_reply_are_replied_to_as_the_benchmark_says(
    name: str, reply: str, tmp_path: Path
) -> None:
    job = Job(("worker", "ps"))
    job.exchange(0, ("worker", "ps"), ((10,), (300,)), OUTSIDE)
    job.send(1, ("worker", "ps"), "raw", (7,), OUTSIDE)
    scheme = replay.exact(job.profile(0)).scheme
    (seen,) = calling(measure(tmp_path, short(name, payload=scheme, pattern={"reply": reply})))
    assert seen.bytes == CALLS // 2 * (10 + 7)
    assert seen.received == CALLS // 2 * (300 + (7 if reply == "echo" else 0))


def test_calls_are_made_at_the_recorded_times_or_missed(name: str, tmp_path: Path) -> None:
    spec = short(name, payload=replay.exact(parameter_servers()).scheme, load=Recorded(pace=0.1), calls=50)
    (seen,) = calling(measure(tmp_path, spec))
    assert seen.calls + seen.missed == 50
    assert seen.calls > 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("load", [Closed(), Closed(outstanding=1), Recorded(pace=10)], ids=repr)
def test_workers_go_through_the_recorded_steps(name: str, mode: Mode, load: Load, tmp_path: Path) -> None:
    scheme = step(parameter_servers()).scheme
    assert isinstance(scheme, Steps)
    spec = short(name, payload=scheme, mode=mode, load=load, calls=4, pattern={"workers": 3})
    result = replayed(name, tmp_path, spec)
    assert result.traffic.roles == ("ps", "ps", "worker", "worker", "worker")
    for worker, seen in enumerate(calling(result)):
        turns = [each.workers[worker % 2] for each in scheme.steps] * 2
        calls = [call for turn in turns for call in turn.calls]
        assert seen.calls == 4
        assert seen.bytes == sum(sum(scheme.sizes[call.request]) for call in calls)
        assert seen.received == sum(sum(scheme.answers[call.answer]) for call in calls)
        to_each = Counter(call.server for call in calls)
        assert {peer.rank: peer.calls for peer in seen.peers} == to_each


def test_options_that_leave_no_way_to_ask_for_recorded_replies_are_refused(name: str, tmp_path: Path) -> None:
    if "call" not in {field.name for field in msgspec.structs.fields(registry.channel(name).options)}:
        return
    spec = short(name, payload=replay.exact(parameter_servers()).scheme, options={"call": "stream"})
    with pytest.raises(SpecError, match=r"use -o call=unary"):
        Session(spec, tmp_path / "result.json")
