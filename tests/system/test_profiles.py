"""Profiles as a user types it: imported, shown, compared and replayed."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tensorwire import library
from tensorwire.profile import decode, encode
from tensorwire.result import Result
from tensorwire.result import decode as decode_result
from tests import profiles
from tests.system.conftest import Run
from tests.system.driver import SHORT

TRACE = str(Path(__file__).parent.parent.parent / "docs/example-trace.json")
FEW = (*SHORT, "--calls", "20", "--format", "none", "--output", "r.json")

JOB = profiles.profile((99,), (5, 6), (70_000,), (5, 6), (2, 3, 4), steps=(-1, 0, 0, 0, 1))


@pytest.fixture
def job(home: Path) -> Path:
    (home / "job.json").write_bytes(encode(JOB))
    return home / "job.json"


def result(home: Path) -> Result:
    return decode_result((home / "r.json").read_bytes())


def test_a_trace_becomes_a_profile(run: Run, home: Path) -> None:
    done = run("profile", "import", TRACE, "-o", "made/example.json", "--name", "ddp")
    assert (done.code, done.stderr) == (0, "profile file: made/example.json\n")
    assert "allreduce" in done.stdout
    assert decode((home / "made/example.json").read_bytes()).name == "ddp"


def test_what_is_no_trace_is_refused(run: Run, job: Path) -> None:
    run("profile", "import", "job.json", "-o", "p.json").refused(2, "job.json is not a PyTorch trace")
    run("profile", "import", "absent.json", "-o", "p.json").refused(2, "cannot read absent.json")


def test_a_profile_is_shown(run: Run, job: Path) -> None:
    done = run("profile", "show", "job.json")
    assert (done.code, done.stderr) == (0, "")
    for part in ("4 messages of 8 buffers", "64 KiB to < 256 KiB", "█", "worker", "RecvTensor", "outside the steps"):
        assert part in done.stdout


def test_a_profile_is_shown_to_programs(run: Run, job: Path) -> None:
    told = json.loads(run("profile", "show", "job.json", "--format", "json").stdout)
    assert told["total"]["bytes"] == 11 + 70_000 + 11 + 9
    assert len(told["steps"]) == 2


def test_a_profile_has_no_distance_to_itself(run: Run, job: Path) -> None:
    done = run("profile", "diff", "job.json", "job.json")
    assert done.code == 0, done.stderr
    assert "the sizes of messages have the same distribution" in done.stdout


def test_the_distance_of_two_profiles_is_said(run: Run, home: Path, job: Path) -> None:
    (home / "b.json").write_bytes(encode(profiles.profile((1011,), (71_000,), (1011,), (1009,))))
    done = run("profile", "diff", "job.json", "b.json")
    assert "change by 1,000 B on average" in done.stdout
    told = json.loads(run("profile", "diff", "job.json", "b.json", "--format", "json").stdout)
    assert told["distances"]["messages"]["wasserstein_bytes"] == 1000
    assert told["distances"]["messages"]["ks"] == 0.75


def test_nothing_cannot_be_compared(run: Run, home: Path, job: Path) -> None:
    (home / "b.json").write_bytes(encode(profiles.profile()))
    run("profile", "diff", "job.json", "b.json").refused(2, "b.json has no message")


@pytest.mark.parametrize("verb", [("show",), ("diff", "odd.json")])
def test_what_is_no_profile_is_refused(run: Run, home: Path, verb: tuple[str, ...]) -> None:
    (home / "odd.json").write_text('{"format": "tensorwire.result", "version": 1}')
    run("profile", *verb, "odd.json").refused(2, "odd.json is not a tensorwire profile")


def test_a_name_that_no_profile_has_is_refused(run: Run, home: Path) -> None:
    for words in (("profile", "show"), ("profile", "diff", "absent"), ("run", "--payload")):
        run(*words, "absent").refused(2, "unknown profile 'absent'", "known:")


def test_the_library_is_listed(run: Run) -> None:
    assert run("profile", "list").code == 0
    told = json.loads(run("profile", "list", "--format", "json").stdout)
    assert [each["name"] for each in told] == library.names()


def test_a_picture_is_written_beside_the_table(run: Run, home: Path, job: Path) -> None:
    done = run("profile", "show", "job.json", "--picture", "made/job.svg")
    assert (done.code, done.stderr) == (0, "picture file: made/job.svg\n")
    assert (home / "made/job.svg").read_text().startswith("<svg")
    run("profile", "show", "job.json", "--picture", "job.png").refused(2, "job.png", "SVG")
    run("profile", "show", "job.json", "--picture", ".svg/").refused(2, ".svg")


def test_an_exact_replay_sends_the_messages_in_their_order(run: Run, home: Path, job: Path) -> None:
    done = run("run", "p2p-bandwidth", "--payload", "job.json", "--order", "exact", "-c", "tcp", *FEW)
    assert done.code == 0, done.stderr
    assert "job.json: the messages to be sent have the recorded distribution of sizes" in done.stderr
    measured = result(home)
    assert measured.points[0].payloads == ((5, 6), (70_000,), (5, 6), (2, 3, 4))
    (calling,) = [each.calling for each in measured.repetitions[0].measurements if each.calling]
    assert (calling.calls, calling.bytes) == (20, 5 * (11 + 70_000 + 11 + 9))


@pytest.mark.parametrize("channel", ["grpc", "grpc-python", "tcp", "null"])
def test_every_channel_replays(run: Run, home: Path, job: Path, channel: str) -> None:
    done = run("run", "p2p-latency", "--payload", "job.json", "--draws", "8", "-c", channel, *FEW)
    assert done.code == 0, done.stderr
    assert Counter(result(home).points[0].payloads) == {(5, 6): 4, (70_000,): 2, (2, 3, 4): 2}


@pytest.mark.parametrize("benchmark", ["ps-throughput", "fully-connected"])
def test_every_benchmark_replays(run: Run, home: Path, job: Path, benchmark: str) -> None:
    done = run("run", benchmark, "--payload", "job.json", "-c", "grpc", "--mode", "serialized", *FEW)
    assert done.code == 0, done.stderr
    assert len(result(home).points[0].payloads) == 1000
    assert result(home).payload.startswith("profile job (its 2 steps): 1000 messages of 4")


def test_a_spec_file_names_a_profile_too(run: Run, home: Path, job: Path) -> None:
    (home / "spec.toml").write_text('channel = "tcp"\n[payload]\nfile = "job.json"\norder = "exact"\n')
    assert run("run", "--spec", "spec.toml", *FEW).code == 0
    assert len(result(home).points[0].payloads) == 4


def test_the_run_says_how_far_it_is_from_the_profile(run: Run, job: Path) -> None:
    """Recorded 11, 11, 70000 and 9; two at even steps are 11 and 70000 or 9 and 11, both far from that."""
    done = run("run", "--payload", "job.json", "--draws", "2", "-c", "null", *FEW)
    assert "differ from the recorded ones by" in done.stderr
    assert "of the recorded mean" in done.stderr


def test_a_part_is_shown_and_replayed(run: Run, home: Path, job: Path) -> None:
    assert "2 messages of 5 buffers" in run("profile", "show", "job.json", "--only", "reply").stdout
    words = ("--only", "reply", "--order", "exact", "-c", "null")
    assert run("run", "--payload", "job.json", *words, *FEW).code == 0
    assert result(home).points[0].payloads == ((5, 6), (2, 3, 4))
    assert result(home).payload.startswith("profile job/reply")


def test_the_seed_is_the_draws(run: Run, home: Path, job: Path) -> None:
    sent = []
    for seed in ("5", "6"):
        assert run("run", "--payload", "job.json", "--seed", seed, "-c", "null", *FEW).code == 0
        sent.append(result(home).points[0].payloads)
    assert sent[0] != sent[1]
    assert Counter(sent[0]) == Counter(sent[1])


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (("--payload", "absent.json"), ("cannot read absent.json",)),
        (("--scheme", "profile"), ("--payload FILE",)),
        (("--payload", "job.json", "--scheme", "skew"), ("'file'",)),
        (("--payload", "job.json", "--sizes", "1KB"), ("sizes", "without a")),
        (("--payload", "job.json", "--count", "3"), ("'count'",)),
        (("--payload", "job.json", "--draws", "0"), ("draws is 0",)),
        (("--order", "exact"), ("order", "profile")),
        (("--payload", "job.json", "--only", "replies"), ("'replies'", "did you mean reply")),
    ],
    ids=str,
)
def test_a_replay_that_makes_no_sense_is_refused(
    run: Run, job: Path, words: tuple[str, ...], fragments: tuple[str, ...]
) -> None:
    done = run("run", *words)
    assert (done.code, done.stdout) == (2, "")
    done.said(*fragments)
