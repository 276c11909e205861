"""The kinds of pictures, as Vega-Lite specifications that are 360 pixels wide: side by side on a laptop, one below the
other on a phone, two in a row on paper."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from tensorwire.page import Chart, ink
from tensorwire.page.axes import from_zero

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
WIDTH = 360
_HEIGHT = 210
_BAR = 17
_SHORT = 12  # characters of names that stand beside bars
_LEGEND = 34  # characters of all names in a row of the legend
_NUMBERED = 8  # columns of a matrix whose cells have room for a number
_ROOM = 1.3  # of the longest bar: the number behind it must fit


class Style(Struct, frozen=True):
    """How a series is told from the others, three times over."""

    color: str
    shape: str
    dash: tuple[int, ...]


class Dot(Struct, frozen=True, kw_only=True):
    """A value, its interval where there is one, and what it says to who points at it."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    text: str = ""


class Curve(Struct, frozen=True, kw_only=True):
    name: str
    style: Style
    dots: tuple[Dot, ...]


class Bar(Struct, frozen=True, kw_only=True):
    """A value of a series in a group of bars; `shown` is the number behind it."""

    group: str
    series: str
    value: float
    low: float | None = None
    high: float | None = None
    shown: str = ""


def styles(names: Sequence[str], channels: Sequence[str], known: Sequence[str]) -> dict[str, Style]:
    """Of each series, by name. `known` are all channels of the page: where there are several, each has the same
    colour everywhere, and a dash and a shape tell the series of one channel apart."""
    seen: dict[str, int] = {}
    found: dict[str, Style] = {}
    several = len(known) > 1
    for name, channel in sorted(
        dict(zip(names, channels, strict=True)).items(),
        key=lambda each: (len(each[0]) - len(each[1]), known.index(each[1])),
    ):
        place = seen[channel] = seen.get(channel, -1) + 1
        hue = known.index(channel) if several else place
        shape = hue + place if several else place
        dash = ink.DASHES[place % len(ink.DASHES)]
        found[name] = Style(ink.series(hue), ink.SHAPES[shape % len(ink.SHAPES)], tuple(dash))
    return found


def curves(found: Sequence[Curve], x: dict[str, Any], y: dict[str, Any], points: bool = True) -> Chart:
    """Lines over bands from low to high, with points; a legend when there are several."""
    values = [
        {"series": curve.name, "x": dot.x, "y": dot.y, "low": dot.low, "high": dot.high, "text": dot.text}
        for curve in found
        for dot in curve.dots
    ]
    height = {"field": "y", **y}
    band = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "area", "opacity": 0.2},
        "encoding": {"y": {"field": "low", **y}, "y2": {"field": "high"}},
    }
    dash = _dash(found) | ({"legend": None} if points else {})
    line = {"mark": {"type": "line", "strokeWidth": 2}, "encoding": {"y": height, "strokeDash": dash}}
    dots = {
        "mark": {"type": "point", "filled": True, "size": 42, "opacity": 1},
        "encoding": {"y": height, "shape": _shape(found), "description": {"field": "text", "type": "nominal"}},
    }
    layers = [band] if any(value["low"] is not None for value in values) else []
    return {
        **_base(values),
        "height": _HEIGHT,
        "encoding": {"x": {"field": "x", **x}, "color": _color([(each.name, each.style.color) for each in found])},
        "layer": [line, *([dots] if points else []), *layers],  # the legend takes after the first
    }


def bars(found: Sequence[Bar], colors: dict[str, str], title: str, unit: str) -> Chart:
    """Horizontal bars in groups, each with its number behind it and its interval across its end; the name of a group
    stands above its bars, or beside them where names are short and each has one bar."""
    groups = list(dict.fromkeys(bar.group for bar in found))
    names = [name for name in colors if any(bar.series == name for bar in found)]
    x = from_zero(title, unit, max((_end(bar) for bar in found), default=0) * _ROOM)
    beside = len(groups) == len(found) and max(map(len, groups), default=0) <= _SHORT
    ordered = [bar for group in groups for bar in found if bar.group == group]
    values = [_bar_values(bar) | {"row": bar.group if beside else str(place)} for place, bar in enumerate(ordered)]
    heads = [] if beside else _heads(groups, values)
    places = {"y": _rows(values, heads)}
    drawn = {
        "mark": {"type": "bar", "cornerRadiusEnd": 2},
        "encoding": {
            "x": {"field": "value", **x},
            "color": _scale("series", [(name, colors[name]) for name in names]),
            "description": {"field": "text", "type": "nominal"},
            **places,
        },
    }
    reach = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "rule", "strokeWidth": 1.5, "color": ink.mark("ink")},
        "encoding": {"x": {"field": "low", **x}, "x2": {"field": "high"}, **places},
    }
    layers = [drawn, *([reach] if any(bar.low is not None for bar in found) else []), _numbers(x, places)]
    return {
        **_base(values),
        "height": (len(values) + len(heads)) * _BAR,
        "layer": [*layers, *([_above(heads, places)] if heads else [])],
    }


def stacked(found: Sequence[Bar], colors: dict[str, str], title: str, unit: str) -> Chart:
    """Horizontal bars made of the parts that the series are, with the numbers of all parts behind them."""
    groups = list(dict.fromkeys(bar.group for bar in found))
    values = [
        _bar_values(bar) | {"order": list(colors).index(bar.series), "row": str(groups.index(bar.group))}
        for bar in found
    ]
    heads = _heads(groups, values)
    places = {"y": _rows(values, heads)}
    wholes = [_whole([value for value in values if value["group"] == group]) for group in groups]
    x = from_zero(title, unit, max(whole["end"] for whole in wholes) * (_ROOM + 0.2))
    parts = {
        "mark": {"type": "bar"},
        "encoding": {
            "x": {"field": "value", **x},
            "order": {"field": "order", "type": "quantitative"},
            "color": _scale("series", list(colors.items())),
            "description": {"field": "text", "type": "nominal"},
            **places,
        },
    }
    return {
        **_base(values),
        "height": 2 * len(groups) * _BAR,
        "layer": [parts, {**_numbers(x, places), "data": {"values": wholes}}, _above(heads, places)],
    }


def heat(cells: Sequence[tuple[str, str, float, str]], axes: tuple[str, str]) -> Chart:
    """A matrix of (row, column, value, what it says), from the weakest colour to the strongest; the numbers stand in it
    where there is room."""
    low, high = min(cell[2] for cell in cells), max(cell[2] for cell in cells)
    values = []
    for row, column, value, shown in cells:
        step = min(ink.HEATS - 1, int((value - low) / ((high - low) or 1) * ink.HEATS))
        text = f"{row} to {column}: {shown}"
        values.append({"row": row, "column": column, "step": str(step), "shown": shown.split(" ")[0], "text": text})
    rows = list(dict.fromkeys(cell[0] for cell in cells))
    columns = sorted({cell[1] for cell in cells}, key=_number)
    said = {"description": {"field": "text", "type": "nominal"}}
    number = {"text": {"field": "shown", "type": "nominal"}}
    colored = {"mark": {"type": "rect"}, "encoding": {"color": _steps("heat"), **said}}
    written = {"mark": {"type": "text", "fontSize": 11}, "encoding": {"color": _steps("heatink"), **number}}
    axis = {"labelAngle": 0, "ticks": False, "domain": False, "titlePadding": 8}
    return {
        **_base(values),
        "height": max(90, min(300, len(rows) * 40)),
        "resolve": {"scale": {"color": "independent"}},
        "encoding": {
            "y": {"field": "row", "type": "nominal", "sort": rows, "title": axes[0], "axis": axis},
            "x": {"field": "column", "type": "nominal", "sort": columns, "title": axes[1], "axis": axis},
        },
        "layer": [colored, *([written] if len(columns) <= _NUMBERED else [])],
    }


def course(found: Sequence[Curve], stalls: Sequence[Dot], x: dict[str, Any], y: dict[str, Any]) -> Chart:
    """Lines over time without points, and a mark on the ground wherever a rank stalled."""
    chart = curves(found, x, y, points=False)
    marks = [{"x": each.x, "y": 0, "text": each.text} for each in stalls]
    if marks:
        layer = {
            "data": {"values": marks},
            "mark": {"type": "point", "shape": "triangle-up", "filled": True, "size": 70, "opacity": 1},
            "encoding": {
                "x": {"field": "x", **x},
                "y": {"field": "y", **y},
                "color": {"value": ink.mark("alarm")},
                "description": {"field": "text", "type": "nominal"},
            },
        }
        chart["layer"].append(layer)
    return chart


def rule(chart: Chart, at: float, words: str) -> Chart:
    """The chart of bars with a line across it at a value, and words for it."""
    x = chart["layer"][0]["encoding"]["x"]
    highest = max(x["scale"]["domain"][1], at * 1.12)
    for layer in chart["layer"]:
        layer["encoding"]["x"] = {**layer["encoding"]["x"], "scale": {"domain": [0, highest], "nice": False}}
    line = {
        "data": {"values": [{"at": at, "text": words}]},
        "mark": {"type": "rule", "strokeDash": [5, 3], "strokeWidth": 1.5, "color": ink.mark("alarm")},
        "encoding": {
            "x": {**x, "field": "at", "scale": {"domain": [0, highest], "nice": False}},
            "description": {"field": "text", "type": "nominal"},
        },
    }
    return {**chart, "layer": [*chart["layer"], line]}


def _end(bar: Bar) -> float:
    return bar.value if bar.high is None else max(bar.high, bar.value)


def _heads(groups: Sequence[str], values: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The names of groups as rows of their own; `first` is the row of a group's first bar."""
    first = {group: next(value["row"] for value in values if value["group"] == group) for group in groups}
    return [{"group": group, "row": f"above {first[group]}", "first": first[group]} for group in groups]


def _rows(values: Sequence[dict[str, Any]], heads: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The rows below each other, each name before the bars of its group; named at the side where nothing is above."""
    above = {head["first"]: head["row"] for head in heads}
    rows = dict.fromkeys(row for value in values for row in (above.get(value["row"]), value["row"]) if row is not None)
    return {
        "field": "row",
        "type": "nominal",
        "title": None,
        "scale": {"domain": list(rows), "paddingInner": 0.1, "paddingOuter": 0.05},
        "axis": {"ticks": False, "domain": False, "labels": not heads},
    }


def _above(heads: Sequence[dict[str, Any]], places: dict[str, Any]) -> Chart:
    return {
        "data": {"values": list(heads)},
        "mark": {"type": "text", "align": "left", "dy": 2, "fontSize": 11, "color": ink.mark("faint"), "limit": WIDTH},
        "encoding": {"x": {"value": 0}, "text": {"field": "group", "type": "nominal"}, **places},
    }


def _numbers(x: dict[str, Any], places: dict[str, Any]) -> Chart:
    """What is written behind bars."""
    return {
        "mark": {"type": "text", "align": "left", "dx": 5, "color": ink.mark("ink"), "fontSize": 11},
        "encoding": {"x": {"field": "end", **x}, "text": {"field": "shown", "type": "nominal"}, **places},
    }


def _whole(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    shown = " + ".join(part["shown"] for part in parts)
    return {"row": parts[0]["row"], "end": sum(part["value"] for part in parts), "shown": shown}


def _base(values: Sequence[dict[str, Any]]) -> Chart:
    return {
        "$schema": SCHEMA,
        "width": WIDTH,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "config": ink.config(),
        "data": {"values": list(values)},
    }


def _bar_values(bar: Bar) -> dict[str, Any]:
    text = ", ".join(dict.fromkeys(word for word in (bar.group, bar.series) if word)) + f": {bar.shown}"
    return {
        "group": bar.group,
        "series": bar.series,
        "value": bar.value,
        "low": bar.low,
        "high": bar.high,
        "end": _end(bar),
        "shown": bar.shown,
        "text": text,
    }


def _color(colors: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return _scale("series", colors)


def _shape(found: Sequence[Curve]) -> dict[str, Any]:
    return _scale("series", [(each.name, each.style.shape) for each in found])


def _dash(found: Sequence[Curve]) -> dict[str, Any]:
    return _scale("series", [(each.name, list(each.style.dash)) for each in found])


def _scale(field: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A nominal channel of the picture; a legend where it tells several things apart."""
    scale = {"domain": [name for name, _ in pairs], "range": [value for _, value in pairs]}
    longest = max((len(name) for name, _ in pairs), default=0)
    columns = next((count for count in (4, 3, 2) if longest * count <= _LEGEND), 1)
    return {
        "field": field,
        "type": "nominal",
        "scale": scale,
        "legend": {"columns": columns} if len(pairs) > 1 else None,
    }


def _steps(role: str) -> dict[str, Any]:
    """The colour of a cell, or of what is written in it."""
    steps = [str(step) for step in range(ink.HEATS)]
    scale = {"domain": steps, "range": [ink.mark(f"{role}{step}") for step in steps]}
    return {"field": "step", "type": "nominal", "scale": scale, "legend": None}


def _number(name: str) -> tuple[int, str]:
    digits = "".join(filter(str.isdigit, name))
    return (int(digits) if digits else 0, name)
