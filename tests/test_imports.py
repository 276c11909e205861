"""Imports point down: the layers that pyproject.toml declares hold, and every module is in one of them."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
NOT_OURS_TO_PLACE = {"__init__", "_core"}


def test_the_layers_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout


def test_every_module_has_its_layer() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = document["tool"]["importlinter"]["contracts"]
    placed = {module.strip() for layer in contract["layers"] for module in layer.replace(":", "|").split("|")}
    source = ROOT / "src/tensorwire"
    modules = {path.stem for path in source.glob("*.py")} | {path.parent.name for path in source.glob("*/__init__.py")}
    assert {f"tensorwire.{module}" for module in modules - NOT_OURS_TO_PLACE} == placed
