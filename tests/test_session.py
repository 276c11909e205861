"""One spec from start to result file; ranks that run over the null channel cost next to nothing."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tensorwire import scratch
from tensorwire.errors import SpecError
from tensorwire.payload import Custom
from tensorwire.result import Result, decode
from tensorwire.session import Progress, Session, default_file, failures
from tensorwire.spec import Repeat, Spec
from tensorwire.units import Bytes, Nanoseconds


def brief(**fields: Any) -> Spec:
    spec = Spec(channel="null", port=0, payload=Custom(buffers=(Bytes(8),)), warmup_ns=Nanoseconds(0), calls=10)
    return msgspec.structs.replace(spec, **fields)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "er" / "result.json"


def test_the_result_is_what_stands_in_the_file(file: Path) -> None:
    run = Session(brief(), file)
    assert run.result.status == "partial"
    assert not file.exists()
    result = run.run()
    assert (result, run.saved) == (run.result, True)
    assert decode(file.read_bytes()) == result
    assert result.status == "complete"
    assert list(file.parent.iterdir()) == [file]


def test_the_result_tells_what_was_asked_and_how_it_was_run(file: Path) -> None:
    spec = brief(benchmark="ps-throughput", pattern={"ps": 2, "workers": 1})
    result = Session(spec, file).run()
    assert result.spec == spec
    assert result.traffic.roles == ("ps", "ps", "worker")
    assert result.traffic.calls == ((), (), (0, 1))
    assert (result.traffic.reply, result.traffic.outstanding) == ("acknowledge", 1)
    assert [(point.payloads, point.totals) for point in result.points] == [(((8,),), (8,))]
    assert [facts.host for facts in result.repetitions[0].ranks] == [result.environment.host] * 3
    assert failures(result) == []


def test_progress_goes_through_all_stages_of_all_points_of_all_repetitions(file: Path) -> None:
    spec = msgspec.structs.replace(brief(repeat=Repeat(count=2)), payload=Spec().payload, sizes=(Bytes(1), Bytes(2)))
    seen: list[Progress] = []
    Session(spec, file).run(seen.append)
    stages = ("prepare", "check", "warm-up", "ready", "measure")
    assert seen == [
        Progress(repetition=repetition, point=point, stage=stage)
        for repetition in range(2)
        for point in range(2)
        for stage in stages
    ]


def test_what_is_known_is_saved_before_the_end(file: Path) -> None:
    spec = msgspec.structs.replace(brief(), payload=Spec().payload, sizes=(Bytes(1), Bytes(2), Bytes(3)))
    known: list[Result] = []

    def told(at: Progress) -> None:
        if (at.point, at.stage) == (2, "measure"):
            known.append(decode(file.read_bytes()))

    Session(spec, file).run(told)
    (partial,) = known
    assert partial.status == "partial"
    assert {each.point for each in partial.repetitions[0].measurements} == {0, 1}


def test_an_interruption_leaves_what_is_known(file: Path) -> None:
    spec = msgspec.structs.replace(brief(), payload=Spec().payload, sizes=(Bytes(1), Bytes(2)))
    run = Session(spec, file)

    def told(at: Progress) -> None:
        if at.point == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.run(told)
    assert decode(file.read_bytes()) == run.result
    assert run.result.status == "partial"
    pids = [facts.pid for facts in run.result.repetitions[0].ranks]
    assert len(pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize(
    "change",
    [
        {"channel": "nonesuch"},
        {"benchmark": "nonesuch"},
        {"launcher": "nonesuch"},
        {"options": {"nonesuch": 1}},
        {"pattern": {"nonesuch": 1}},
        {"pattern": {"workers": 2}},
        {"mode": "serialized"},
        {"host": "192.0.2.1"},
        {"host": "unix", "port": 7},
    ],
    ids=str,
)
def test_all_that_can_be_refused_is_refused_at_once(change: dict[str, Any], file: Path) -> None:
    with pytest.raises(SpecError):
        Session(brief(**change), file)
    assert not file.parent.exists()


def test_a_file_that_cannot_be_written_at_the_end_is_an_error_too(file: Path) -> None:
    run = Session(brief(), file)
    file.parent.parent.mkdir()
    file.parent.write_text("in the way")
    with pytest.raises(SpecError, match=r"cannot write the result file .*; choose another"):
        run.run()
    assert not run.saved


def test_the_default_file_tells_the_run() -> None:
    assert default_file(Spec()).parent == Path("results")
    assert default_file(Spec()).name.endswith("-p2p-latency-grpc.json")


def test_a_scratch_directory_is_private_and_goes(tmp_path: Path) -> None:
    with scratch.directory(tmp_path) as path:
        assert path.stat().st_mode & 0o777 == 0o700
        assert path.parent == tmp_path
        (path / "file").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_the_directories_of_the_dead_are_swept_and_no_others(tmp_path: Path) -> None:
    dead, alive = f"tensorwire-{2**22 + 1}-x", f"tensorwire-{os.getpid()}-x"  # no process has a number above 2^22
    for name in (dead, alive, "tensorwire-notes-x", "other"):
        (tmp_path / name).mkdir()
    with scratch.directory(tmp_path):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([alive, "tensorwire-notes-x", "other"])
