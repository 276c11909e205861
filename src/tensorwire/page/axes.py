"""The axes of pictures: sizes by powers of two, percentiles with their tail, numbers with units that fit."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

Axis = dict[str, Any]

_SIZE_LABEL = (
    "datum.value < 1024 ? datum.value + ' B' : datum.value < 1048576 ? datum.value / 1024 + ' KiB' : "
    "datum.value < 1073741824 ? datum.value / 1048576 + ' MiB' : datum.value / 1073741824 + ' GiB'"
)
_TAIL_LABEL = "datum.value == 1 ? '0 %' : format(100 * (1 - 1 / datum.value), '~r') + ' %'"
_MOST_TICKS = 6
_TICK_STEPS = (1, 2, 5, 10)  # powers of two between ticks: with 5 and 10 they are 1 KiB, 32 KiB, 1 MiB
_FEW_POWERS = 300  # from the lowest to the highest: below, powers of ten alone are too few lines
_MARGIN = 1.15  # of a logarithmic axis, beyond its values
_NUMBER = "format(datum.value, ',~r')"
# What an axis says of the catalogue's units; the factor of 1000 is where the next one begins.
_UNIT_LABELS = {
    "us": "datum.value < 1000 ? {0} + ' us' : datum.value < 1e6 ? format(datum.value / 1e3, ',~r') + ' ms' : "
    "format(datum.value / 1e6, ',~r') + ' s'",
    "MB/s": "datum.value < 1 ? format(datum.value * 1e3, ',~r') + ' KB/s' : datum.value < 1000 ? {0} + ' MB/s' : "
    "format(datum.value / 1e3, ',~r') + ' GB/s'",
    "s": "{0} + ' s'",
}


def size_axis(sizes: Sequence[float]) -> Axis:
    """Payload bytes, by powers of two."""
    low, high = math.floor(math.log2(min(sizes))), math.ceil(math.log2(max(sizes)))
    step = next(each for each in _TICK_STEPS if (high - low) <= each * _MOST_TICKS)
    ticks = [2**power for power in range(low - low % step, high + 1, step) if min(sizes) <= 2**power <= max(sizes)]
    return {
        "type": "quantitative",
        "title": "payload",
        "scale": {"type": "log", "base": 2, "domain": [min(sizes), max(sizes)], "nice": False, "padding": 8},
        "axis": {"values": ticks, "labelExpr": _SIZE_LABEL, "grid": False, "labelFlush": False},
    }


def tail_axis(highest: float) -> Axis:
    """Percentiles, with the tail drawn out: each step is a tenth of what is left. `highest` is 1 / (1 - share)."""
    most = max(1, math.ceil(math.log10(highest)))
    return {
        "type": "quantitative",
        "title": "share of the calls that take no longer",
        "scale": {"type": "log", "domain": [1, max(10, highest)], "nice": False},
        "axis": {
            "values": [1, *([2] if most < 3 else []), *(10**power for power in range(1, most + 1))],
            "labelExpr": _TAIL_LABEL,
            "grid": False,
        },
    }


def log_axis(title: str, unit: str, values: Iterable[float]) -> Axis:
    """All `values`, in a unit of the catalogue; the labels take the larger units that fit."""
    known = [value for value in values if value > 0] or [1.0]
    low, high = min(known), max(known)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    between = (1, 2, 5) if high / low < _FEW_POWERS else (1,)
    ticks = [digit * 10.0**power for power in powers for digit in between]
    within = [tick for tick in ticks if low / _MARGIN <= tick <= high * _MARGIN]
    return {
        "type": "quantitative",
        "title": title,
        "scale": {"type": "log", "domain": [low / _MARGIN, high * _MARGIN], "nice": False},
        "axis": {"values": within, "labelExpr": _said(unit)},
    }


def from_zero(title: str, unit: str, highest: float | None = None) -> Axis:
    """A linear axis; what is compared by length begins at 0."""
    scale: Axis = {"zero": True} if highest is None else {"domain": [0, highest or 1], "nice": False}
    axis = {"tickCount": 5, "labelExpr": _said(unit)}
    return {"type": "quantitative", "title": title, "scale": scale, "axis": axis}


def count_axis(title: str, counts: Sequence[float]) -> Axis:
    return {
        "type": "quantitative",
        "title": title,
        "scale": {"nice": False, "zero": False, "padding": 12},
        "axis": {"values": sorted(set(counts)), "format": "d", "grid": False},
    }


def _said(unit: str) -> str:
    return "datum.value == 0 ? '0' : " + _UNIT_LABELS.get(unit, "{0}").replace("{0}", _NUMBER)
