"""What a job sent, sent again as a user types it."""

import json
import os
import signal
from pathlib import Path

import pytest

from tensorwire import profile, replay
from tensorwire.profile import Profile, encode
from tensorwire.recorded import Replay, Steps
from tensorwire.result import Result
from tensorwire.result import decode as decode_result
from tests.jobs import Job, parameter_servers
from tests.system.conftest import Run, Start
from tests.system.driver import ENDLESS, PROGRAM, SHORT

OUTPUT = ("--output", "r.json")
BY_STEP = ("run", "ps-throughput", "--payload", "job.json", "--order", "step")
EXACT = ("run", "p2p-bandwidth", "--payload", "job.json", "--order", "exact")
JOB = parameter_servers()
CHANNELS = ["grpc", "grpc-python", "tcp"]


@pytest.fixture(autouse=True)
def job(home: Path) -> Path:
    (home / "job.json").write_bytes(encode(JOB))
    return home / "job.json"


def result(home: Path) -> Result:
    return decode_result((home / "r.json").read_bytes())


def asked(made: Profile) -> Replay:
    scheme = replay.exact(made).scheme
    assert isinstance(scheme, Replay)
    return scheme


@pytest.mark.parametrize("channel", ["grpc", "tcp"])
def test_a_capture_of_a_replay_gives_the_profile_back_with_its_exchanges(run: Run, home: Path, channel: str) -> None:
    scheme = asked(JOB)
    count = len(scheme.messages)
    replaying = (*EXACT, "-c", channel, *SHORT, "-q", "1", "--calls", str(count), "--no-fidelity", "--format", "none")
    done = run("capture", "-o", "again.json", "--", PROGRAM, *replaying, "--duration", "60s")
    assert done.code == 0, done.stderr
    again = profile.decode((home / "again.json").read_bytes())
    sent = [message for message in again.messages if again.streams[message[1]].kind == "request"][-count:]
    assert [again.payloads[message[2]] for message in sent] == [payload.sizes for payload in scheme.payloads()]
    replies = {again.messages[a]: again.messages[b] for a, b in again.exchanges}
    for request, wanted in zip(sent, scheme.replied(), strict=True):
        if wanted is not None:
            assert sum(again.payloads[replies[request][2]]) == sum(wanted)
    assert sum(wanted is not None for wanted in scheme.replied()) == len(scheme.messages) - 2


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("words", [EXACT, BY_STEP], ids=["exact", "step"])
def test_a_tap_sees_the_sizes_that_were_asked_for(run: Run, home: Path, words: tuple[str, ...], channel: str) -> None:
    done = run(*words, "-c", channel, *SHORT, *OUTPUT)
    assert done.code == 0, done.stderr
    seen = result(home).fidelity
    assert seen is not None
    for apart in (seen.requests, seen.replies):
        assert apart is not None, seen.notes
        assert (apart.wasserstein_bytes, apart.ks) == (0, 0)
        assert apart.sent == apart.seen == apart.asked
    assert "Fidelity: the sizes of" in done.stdout


def test_a_tap_sees_serialized_messages_as_protobuf_writes_them(run: Run, home: Path) -> None:
    done = run(*BY_STEP, "--mode", "serialized", *SHORT, *OUTPUT)
    assert done.code == 0, done.stderr
    seen = result(home).fidelity
    assert seen is not None
    assert seen.requests is not None
    assert seen.requests.wasserstein_bytes == 0
    assert "messages are compared as protobuf writes them" in seen.notes


def test_drawn_messages_are_near_the_recorded_ones(run: Run, home: Path) -> None:
    words = ("run", "p2p-bandwidth", "--payload", "job.json", "-c", "tcp", "--draws", "10000")
    assert run(*words, *SHORT, *OUTPUT).code == 0
    seen = result(home).fidelity
    assert seen is not None
    assert seen.requests is not None
    assert seen.requests.wasserstein_bytes <= seen.requests.mean_bytes / 100
    assert seen.requests.seen == 10_000


def test_a_channel_that_the_tap_cannot_see_is_a_note(run: Run, home: Path) -> None:
    done = run(*BY_STEP, "-c", "null", *SHORT, *OUTPUT)
    assert done.code == 0, done.stderr
    seen = result(home).fidelity
    assert seen is not None
    assert (seen.requests, seen.replies) == (None, None)
    assert "the tap sees no requests of this channel: they are not compared" in seen.notes


def test_nobody_watches_where_that_is_not_wanted_or_nothing_is_replayed(run: Run, home: Path) -> None:
    assert run(*EXACT, "-c", "tcp", *SHORT, "--no-fidelity", *OUTPUT).code == 0
    assert result(home).fidelity is None
    assert run("run", "p2p-latency", "-c", "tcp", *SHORT, *OUTPUT).code == 0
    assert result(home).fidelity is None


def test_steps_are_shown_beside_those_of_the_job_without_its_profile(run: Run, home: Path, job: Path) -> None:
    done = run(*BY_STEP, "-c", "tcp", *SHORT, "--no-fidelity", *OUTPUT)
    assert done.code == 0, done.stderr
    assert "exchanges between other roles than workers and ps are left out: 2" in done.stderr
    job.unlink()
    told = json.loads(run("show", "r.json", "--format", "json").stdout)
    found = told["rows"][0]["metrics"]
    assert found["recorded_step"]["median"] == 90
    assert found["steps"]["median"] > 0
    assert found["network_share"]["median"] == pytest.approx(found["step_p50"]["median"] / 90 * 100)
    assert "rtt_p50" not in found
    table = run("show", "r.json", "--detail").stdout
    for part in ("replies as recorded", "network", "steps/s", "2 x ps, 2 x worker", "16 calls in flight"):
        assert part in table


def test_a_replay_is_repeated_from_its_own_result(run: Run, home: Path) -> None:
    assert run(*BY_STEP, "-c", "tcp", "--pace", "10", *SHORT, "--no-fidelity", *OUTPUT).code == 0
    spec = result(home).spec
    assert isinstance(spec.payload, Steps)
    assert spec.payload.name == "job"


def test_the_pace_says_what_it_means(run: Run) -> None:
    done = run(*EXACT, "-c", "tcp", "--pace", "0.5", *SHORT, "--no-fidelity")
    assert done.code == 0, done.stderr
    assert "calls are due at the recorded times, at 0.5 times the speed" in done.stdout
    run(*EXACT, "--pace", "20").said("pace is 20.0, but must be from 0.1 to 10; 2 is twice as fast as recorded")


@pytest.mark.parametrize("word", ["--ps", "--workers"])
def test_servers_are_those_of_the_job_and_workers_no_fewer(run: Run, word: str) -> None:
    done = run(*BY_STEP, word, "1", *SHORT)
    assert done.code == 2
    done.said(f"{word[2:]} is 1, but must be 2")


def test_replies_that_nobody_can_send_are_refused(run: Run, home: Path) -> None:
    for size, said in ((2**31 + 1, "a buffer of 2147483649 B"), (2**31, "available")):
        job = Job(("worker 0", "ps 0"))
        job.exchange(0, ("worker 0", "ps 0"), ((1,), (size,) * 400 if size == 2**31 else (size,)), 0)
        (home / "job.json").write_bytes(encode(job.profile(1)))
        for words in (EXACT, BY_STEP):
            done = run(*words, *SHORT)
            assert (done.code, done.stdout) == (2, "")
            done.said(said)


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(("rank", "role"), [(1, "ps"), (2, "worker")])
def test_a_rank_that_is_killed_in_a_step_is_named_in_the_result(
    start: Start, rank: int, role: str, channel: str
) -> None:
    driver = start(*BY_STEP, *ENDLESS[:6], "--wait", "spin", "-c", channel, *OUTPUT)
    os.kill(driver.wait_for_calls(2)[rank], signal.SIGKILL)
    done = driver.wait()
    assert done.code == 1
    done.said(f"rank {rank} ({role} on", "was killed by SIGKILL")
    assert driver.result().fidelity is None
