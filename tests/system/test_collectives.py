"""Collective operations as a user types them: what is printed, refused, and said when a rank dies."""

import csv
import io
import json
import os
import signal

import pytest

from tensorwire import registry
from tensorwire.channels.nccl import _DRIVER
from tensorwire.errors import ChannelUnavailable
from tensorwire.session import failures
from tests.contract.channel_runs import available
from tests.system.conftest import Run, Start
from tests.system.driver import SHORT

NULL = (*SHORT, "-c", "null", "--output", "r.json")


def test_the_table_has_the_columns_of_nccl_tests(run: Run) -> None:
    done = run("run", "all-gather", *NULL, "--ranks", "3", "--sizes", "1000,96")
    assert done.code == 0, done.stderr
    head, *rows = [line.split() for line in done.stdout.splitlines() if line.split()[:1] in (["B"], ["960"], ["96"])]
    assert head[:5] == ["B", "count", "type", "redop", "how"]
    assert [row[:5] for row in rows] == [["960", "80", "float", "none", "none"], ["96", "8", "float", "none", "none"]]
    assert "Rounded down, as nccl-tests does: 1000 B to 960 B." in done.stdout
    assert "(0.6667)" in done.stdout


def test_only_a_broadcast_has_a_root(run: Run) -> None:
    assert " root " in run("run", "broadcast", *NULL).stdout
    assert " root " not in run("run", "all-reduce", *NULL).stdout


def test_programs_read_them_in_every_form(run: Run) -> None:
    words = ("run", "reduce-scatter", *NULL, "--ranks", "2", "--sizes", "64,128")
    told = json.loads(run(*words, "--format", "json").stdout)
    assert told["collective"] == {"operation": "reduce-scatter", "how": "none"}
    assert [row["count"] for row in told["rows"]] == [8, 16]
    assert told["rows"][0]["metrics"]["wrong"]["median"] == 0
    assert "rtt_p50" not in told["rows"][0]["metrics"]
    rows = list(csv.DictReader(io.StringIO(run(*words, "--format", "csv").stdout)))
    assert [row["total_bytes"] for row in rows] == ["64", "128"]
    assert all(float(row["busbw_GB_per_s"]) == pytest.approx(float(row["algbw_GB_per_s"]) / 2) for row in rows)
    lines = run(*words, "--format", "osu").stdout.splitlines()
    assert lines[-3].split() == ["#", "Size", "Avg", "Latency(us)"]
    assert [line.split()[0] for line in lines[-2:]] == ["64", "128"]


def test_details_are_of_calls_that_all_ranks_have_their_part_in(run: Run) -> None:
    done = run("run", "all-reduce", *NULL, "--ranks", "2", "--detail")
    assert done.code == 0, done.stderr
    assert "calls/s" in done.stdout
    assert "RPC/s" not in done.stdout


def test_a_channel_without_them_is_refused(run: Run) -> None:
    run("run", "all-reduce", *SHORT, "-c", "tcp").refused(2, "channel tcp has no all-reduce")


def test_the_list_tells_which_channels_have_them(run: Run) -> None:
    assert "all collective operations, and no calls from one rank to another" in run("list", "channels").stdout


@pytest.mark.skipif(_DRIVER.exists(), reason="this host has a GPU")
def test_without_a_gpu_nccl_is_missing_with_a_sentence(run: Run) -> None:
    with pytest.raises(ChannelUnavailable, match="channel nccl needs NVIDIA GPUs, and this host has no driver for any"):
        registry.channel("nccl").command()
    run("run", "all-reduce", *SHORT, "-c", "nccl").refused(3, "channel nccl needs NVIDIA GPUs")


def test_gloo_serves_at_no_unix_socket(run: Run) -> None:
    available("gloo")
    done = run("run", "all-reduce", *SHORT, "-c", "gloo", "--ranks", "2", "--host", "unix")
    done.refused(1, "channel gloo has no Unix-domain sockets, only TCP; use --host localhost")


@pytest.mark.parametrize("channel", ["null", "gloo", "mpi"])
def test_a_rank_that_is_killed_ends_all_with_one_sentence(start: Start, channel: str) -> None:
    available(channel)
    words = ("all-reduce", "-c", channel, "--ranks", "3", "--sizes", "16,32,48", "--warmup", "0s", "--duration", "1s")
    driver = start("run", *words, "--output", "r.json")
    driver.wait_for_result()  # of the first size; the others are on their way
    os.kill(driver.ranks()[1], signal.SIGKILL)
    done = driver.wait()
    assert done.code == 1
    done.said("rank 1 (rank on", "was killed by SIGKILL")
    result = driver.result()
    assert result.status == "complete"
    (lost,) = [failure for failure in failures(result) if failure.stage == "lost"]
    assert (lost.rank, lost.type) == (1, "RankFailed")
    measured = {each.point for each in result.repetitions[0].measurements}
    assert measured == {0, 1, 2} - {lost.point}
