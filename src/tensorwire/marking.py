"""How a program tells the tap where its steps begin. Needs nothing but ctypes, and nothing at all when not watched."""

import ctypes
from collections.abc import Callable

_SYMBOL = "tensorwire_tap_mark"


def _find() -> Callable[[int], object] | None:
    """The tap's function, which is there only when the tap was preloaded. Called with the interpreter's lock held:
    giving it up for a call of 0.1 us could cost a program with busy threads the milliseconds to get it back."""
    try:
        found = ctypes.PyDLL(None)[_SYMBOL]
    except (AttributeError, OSError):  # not watched; or no program to look into, as in a static interpreter
        return None
    found.argtypes, found.restype = (ctypes.c_uint64,), None
    return found


_mark = _find()
_marks = 0


def step() -> None:
    """Ends one step of this process and begins the next, when a capture watches it; does nothing when not."""
    global _marks
    if _mark is not None:
        _mark(_marks)
        _marks += 1
