"""Colours and shapes. Specifications name a colour by a role; a page gives each role a light and a dark value.

The series are those of Okabe and Ito (2008), told apart by people who confuse red and green, and set darker or lighter
until they stand out from the ground; shapes and dashes tell the same again, for print.
"""

import json
from typing import Any

from msgspec import Struct

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
_SERIES = (
    ("#0064a8", "#5cb0ee"),
    ("#c44e00", "#f58a4b"),
    ("#00805c", "#35c79b"),
    ("#a8508a", "#e39bc4"),
    ("#9a6a00", "#e8b13a"),
    ("#3c8dbc", "#9bd3f5"),
    ("#5d6670", "#a9b3bd"),
    ("#7a3b00", "#d0a583"),
)
_HEAT = (
    ("#e8f1f8", "#12293b"),
    ("#bfdaee", "#1b4668"),
    ("#7fb5da", "#2a6b9c"),
    ("#2f80ba", "#5aa7d8"),
    ("#0a4a7c", "#b4dcf5"),
)
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
DASHES: tuple[list[int], ...] = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4])


class Role(Struct, frozen=True, kw_only=True):
    """A colour by what it is for; `mark` stands for it in a specification."""

    name: str
    mark: str
    light: str
    dark: str


def _roles() -> dict[str, Role]:
    plain = [
        ("ink", "#1c2329", "#e8ecf0"),
        ("faint", "#57616b", "#9ba7b2"),
        ("grid", "#e3e7eb", "#2b343c"),
        ("ground", "#ffffff", "#14191e"),
        ("alarm", "#b3261e", "#ff8a80"),
    ]
    named = [*plain]
    named += [(f"series{i}", *pair) for i, pair in enumerate(_SERIES)]
    named += [(f"heat{i}", *pair) for i, pair in enumerate(_HEAT)]
    named += [(f"heatink{i}", "#1c2329" if i < 3 else "#ffffff", "#ffffff" if i < 3 else "#10151a") for i in range(5)]
    return {
        name: Role(name=name, mark=f"#fe{number:02x}ef", light=light, dark=dark)
        for number, (name, light, dark) in enumerate(named)
    }


ROLES = _roles()
HEATS = len(_HEAT)


def mark(name: str) -> str:
    return ROLES[name].mark


def series(index: int) -> str:
    """The mark of a series; they come again after the eighth."""
    return mark(f"series{index % len(_SERIES)}")


def on_paper(specification: dict[str, Any]) -> dict[str, Any]:
    """The specification in the light colours."""
    text = json.dumps(specification)
    for role in ROLES.values():
        text = text.replace(role.mark, role.light)
    changed: dict[str, Any] = json.loads(text)
    return changed


def variables(dark: bool) -> str:
    """The declarations of CSS that give every role its colour."""
    return " ".join(f"--{role.name}: {role.dark if dark else role.light};" for role in ROLES.values())


def in_page(svg: str) -> str:
    """A picture whose colours are those variables."""
    for role in ROLES.values():
        svg = svg.replace(f'"{role.mark}"', f'"var(--{role.name})"')
    return svg


def config() -> dict[str, Any]:
    """What all pictures share."""
    axis = {
        "labelColor": mark("faint"),
        "titleColor": mark("ink"),
        "gridColor": mark("grid"),
        "domainColor": mark("faint"),
        "tickColor": mark("faint"),
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelLimit": 150,
        "titleLimit": 320,
    }
    return {
        "font": FONT,
        "background": "transparent",
        "view": {"stroke": None},
        "axis": axis,
        "legend": {
            "labelColor": mark("ink"),
            "labelFontSize": 11,
            "labelLimit": 300,
            "orient": "bottom",
            "direction": "vertical",
            "columns": 1,
            "title": None,
            "symbolStrokeWidth": 2,
            "offset": 10,
            "rowPadding": 3,
        },
    }
