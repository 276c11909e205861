"""The package that docs/adding-a-channel.md shows is a channel: taken from the page as it stands there, and run."""

import re
import tomllib
from pathlib import Path

import pytest

from tensorwire.profile import encode
from tensorwire.result import Calling, Result, Serving
from tests.jobs import parameter_servers
from tests.system.conftest import Run, Start
from tests.system.driver import Driver

PAGE = Path(__file__).parent.parent.parent / "docs" / "adding-a-channel.md"
CALLS = 12
FEW = ("-c", "pysocket", "--port", "0", "--warmup", "0s", "--calls", str(CALLS), "--buffers", "70000,1,3000")
BYTES = 73_001


def block(language: str, beginning: str) -> str:
    """The one block of the page in that language, not indented, that begins so."""
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (text,) = [each for each in found if each.startswith(beginning)]
    return str(text)


@pytest.fixture
def found(home: Path) -> dict[str, str]:
    """The package as pip would leave it, and the environment that finds it."""
    where = home / "pysocket"
    project = tomllib.loads(block("toml", "[project]"))["project"]
    ((name, target),) = project["entry-points"]["tensorwire.channels"].items()
    info = where / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (info / "entry_points.txt").write_text(f"[tensorwire.channels]\n{name} = {target}\n")
    (where / f"{target.partition(':')[0]}.py").write_text(block("python", '"""Plain sockets'))
    return {"PYTHONPATH": str(where)}


def complete(driver: Driver) -> Result:
    done = driver.wait()
    assert done.code == 0, done.stderr
    result = driver.result()
    assert result.status == "complete"
    return result


def calling(result: Result) -> list[Calling]:
    return [each.calling for each in result.repetitions[0].measurements if each.calling]


def serving(result: Result) -> list[Serving]:
    return [each.serving for each in result.repetitions[0].measurements if each.serving]


def test_it_is_listed_with_its_option(run: Run, found: dict[str, str]) -> None:
    listed = run("list", "channels", **found).stdout
    (line,) = [line for line in listed.splitlines() if line.startswith("pysocket ")]
    assert "plain sockets from Python" in line
    assert "backlog=128" in listed


def test_it_moves_bytes_with_the_option_that_is_asked_for(start: Start, found: dict[str, str]) -> None:
    result = complete(start("run", "p2p-latency", *FEW, "-o", "backlog=16", "--output", "r.json", **found))
    assert result.spec.channel == "pysocket"
    settings = [facts.settings for facts in result.repetitions[0].ranks]
    assert [each["transport"] for each in settings] == ["tcp", "tcp"]
    assert [each["backlog"] for each in settings] == ["16", "16"]
    (called,), (served,) = calling(result), serving(result)
    assert (called.calls, called.bytes) == (served.calls, served.bytes) == (CALLS, CALLS * BYTES)


def test_ranks_that_serve_call_each_other(start: Start, found: dict[str, str]) -> None:
    words = ("--nodes", "3", "--outstanding", "2", "--threads", "2", "--output", "r.json")
    result = complete(start("run", "fully-connected", *FEW, *words, **found))
    called, served = calling(result), serving(result)
    assert len(called) == len(served) == 3
    assert sum(each.calls for each in called) == sum(each.calls for each in served) > 0
    assert all({peer.rank for peer in each.peers} == {0, 1, 2} - {rank} for rank, each in enumerate(called))


def test_it_refuses_what_it_does_not_do(run: Run, found: dict[str, str]) -> None:
    run("run", *FEW, "-o", "backlogs=1", **found).refused(2, "channel pysocket", "'backlogs'", "did you mean backlog")
    done = run("run", *FEW, "--host", "unix", "--output", "r.json", **found)
    assert done.code == 1
    done.said("pysocket does not serve at unix sockets")


def test_it_brings_recorded_replies(start: Start, home: Path, found: dict[str, str]) -> None:
    (home / "job.json").write_bytes(encode(parameter_servers()))
    words = ("run", "ps-throughput", "--payload", "job.json", "--order", "step", *FEW[:-2], "-q", "4")
    result = complete(start(*words, "--no-fidelity", "--output", "r.json", **found))
    assert [seen.calls for seen in calling(result)] == [CALLS, CALLS]
    assert all(seen.received > 0 for seen in calling(result))
