"""Jobs of several tasks: which of them run, and a package of somebody else's with a workload in it."""

from pathlib import Path

from tests.system.driver import Driver, wait_until

_MODULE = """
import sys
from pathlib import Path
import msgspec
from tensorwire.workloads import Task, Training

class Config(Training, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: str = "tiny"
    servers: int = 1

class Toy:
    name = "toy"
    summary = "trains nothing"
    config = Config
    extra = "{extra}"

    def ports(self, config):
        return config.servers

    def tasks(self, config, ports):
        said = msgspec.json.encode(config).decode()
        def task(role, **how):
            argv = (sys.executable, str(Path(__file__).with_name("program.py")), "--config", said, "--role", role)
            return Task(role=role, argv=argv, environment={{"PORTS": str(list(ports))}}, **how)
        return (*(task(f"ps {{i}}", endless=True) for i in range(config.servers)),
                *(task(f"worker {{i}}", reports=True) for i in range(config.workers)))

workload = Toy()
"""

_PROGRAM = """
import os, signal, sys
from tensorwire.workloads import reporting
from toy import Config
given = reporting.given()
config = given.training(Config)
report = reporting.Report.here()
def train():
    report.model("tiny", [8, 4], 3, [2])
    for number in report.timed(config.warmup_steps + config.steps, config.batch):
        pass
def serve():
    signal.pause()
"""

TRAIN = "train() if given.kind == 'worker' else serve()"
HANG = "serve()"


def install(where: Path, script: str = TRAIN, extra: str = "") -> dict[str, str]:
    """A workload `toy` whose tasks run a script that has `train` and `serve`; returns the environment that finds it."""
    where.mkdir(exist_ok=True)
    (where / "toy.py").write_text(_MODULE.format(extra=extra))
    (where / "program.py").write_text(_PROGRAM + script)
    info = where / "toy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tensorwire.workloads]\ntoy = toy:workload\n")
    return {"PYTHONPATH": str(where)}


def tasks(home: Path) -> dict[str, int]:
    """The process ids of the tasks, by role, of the commands whose home it is."""
    found = {}
    for entry in Path("/proc").iterdir():
        words = _environment(entry) if entry.name.isdigit() else {}
        if words.get("TMPDIR") == str(home) and "TENSORWIRE_ROLE" in words:
            found[words["TENSORWIRE_ROLE"]] = int(entry.name)
    return found


def wait_for_tasks(driver: Driver, roles: set[str]) -> dict[str, int]:
    """Waits until they all run: by then they have started to read what they were told."""
    wait_until(lambda: driver.process.poll() is not None or tasks(driver.home).keys() == roles, f"{roles}")
    assert driver.process.poll() is None, driver.done().stderr
    return tasks(driver.home)


def wait_for_none(home: Path) -> None:
    wait_until(lambda: tasks(home) == {}, "the end of all tasks")


def _environment(process: Path) -> dict[str, str]:
    """What a process was started with; nothing when it is gone, waits to be, or is somebody else's."""
    try:
        said = (process / "environ").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    return dict(line.partition("=")[::2] for line in said.split("\0") if line)
