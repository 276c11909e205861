"""A package of somebody else's with a channel in it, as `pip install` would leave it."""

import sys
from pathlib import Path

WORKER_NEVER_JOINS = f"""
[ "$3" = 0 ] && exec "$@"
exec {sys.executable} -c "import signal; signal.pause()" "$@"
"""

_MODULE = """
from pathlib import Path
from tensorwire.channels import Native, NoOptions, installed

class {name}(Native):
    def command(self):
        return ("/bin/sh", str(Path(__file__).with_name("{name}.sh")), str(installed("tensorwire-rank-tcp")))

channel = {name}(name="{name}", summary="runs tcp, but for what its script does first")
"""


def install(where: Path, name: str, script: str) -> dict[str, str]:
    """A channel `name` that does what a shell script does; "$@" is the tcp rank, its plan and, as
    "$3", its rank number. Returns the environment that finds it."""
    where.mkdir(exist_ok=True)
    (where / f"{name}.py").write_text(_MODULE.format(name=name))
    (where / f"{name}.sh").write_text(script)
    info = where / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[tensorwire.channels]\n{name} = {name}:channel\n")
    return {"PYTHONPATH": str(where)}
