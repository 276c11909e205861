"""`tensorwire.step()` in a program that nobody watches: quick to import, and nothing happens."""

import subprocess
import sys

import pytest

import tensorwire


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_nothing_happens_without_a_tap() -> None:
    for _ in range(3):
        tensorwire.step()


def test_it_is_found_however_it_is_imported() -> None:
    from tensorwire import step
    from tensorwire.marking import step as same

    assert tensorwire.step is step is same


def test_other_names_are_still_missing() -> None:
    with pytest.raises(AttributeError, match="module 'tensorwire' has no attribute 'stop'"):
        tensorwire.stop  # noqa: B018


def test_importing_it_imports_nothing_else_of_ours() -> None:
    program = "import sys, tensorwire; tensorwire.step(); print([m for m in sys.modules if m.startswith('tensorwire')])"
    assert run(program) == "['tensorwire', 'tensorwire.marking']\n"


def test_importing_tensorwire_alone_imports_no_ctypes() -> None:
    assert run("import sys, tensorwire; print('ctypes' in sys.modules)") == "False\n"
