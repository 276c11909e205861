"""Plug-ins are found by name, wherever they come from."""

import subprocess
import sys
from pathlib import Path

import pytest

from tensorwire import registry
from tensorwire.errors import SpecError

KINDS = ("channel", "benchmark", "launcher", "workload")
OURS = {
    "channel": ["grpc", "grpc-python", "null", "tcp"],
    "benchmark": ["fully-connected", "p2p-bandwidth", "p2p-latency", "ps-throughput"],
    "launcher": ["local"],
    "workload": ["tf-ps", "tf-ring", "tf2-ps"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_ours_are_there_in_alphabetical_order(kind: str) -> None:
    assert set(OURS[kind]) <= set(registry.names(kind))
    assert registry.names(kind) == sorted(registry.names(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_name_lists_the_known_ones(kind: str) -> None:
    with pytest.raises(SpecError) as refused:
        getattr(registry, kind)("nonesuch")
    for name in ("nonesuch", *OURS[kind]):
        assert name in str(refused.value)


def test_a_slip_of_the_finger_is_guessed() -> None:
    with pytest.raises(SpecError, match="did you mean p2p-latency"):
        registry.benchmark("p2p-latncy")


def test_a_channel_in_python_is_opened_by_name() -> None:
    assert callable(registry.opener("grpc-python"))
    with pytest.raises(SpecError, match="unknown channel"):
        registry.opener("nonesuch")


def test_to_know_the_names_imports_no_plug_in() -> None:
    """A plug-in that cannot be imported must not take the others away."""
    program = (
        "import sys; from tensorwire import registry; print(registry.names('channel'));"
        "print([name for name in sys.modules if name.startswith('tensorwire.channels.')])"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert said.splitlines()[1] == "[]"


def test_a_plug_in_of_another_package_is_found(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text("class launcher:\n    name = 'elsewhere'\n    summary = 'on the moon'\n")
    info = tmp_path / "elsewhere-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tensorwire.launchers]\nelsewhere = elsewhere:launcher\n")
    program = (
        f"import sys; sys.path.append({str(tmp_path)!r}); from tensorwire import registry;"
        "print(registry.names('launcher'), registry.launcher('elsewhere').summary)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert said == "['elsewhere', 'emulated', 'local'] on the moon\n"
