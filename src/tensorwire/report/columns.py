"""How a column of numbers is written: one unit, one number of decimals, the points in line."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from tensorwire.metrics import Estimate, Metric, get
from tensorwire.report import Row

_DIGITS = 3
_MOST_DECIMALS = 3


class TimeUnit(Struct, frozen=True):
    """The unit of all times of a table: the catalogue's microseconds are divided by `us`."""

    name: str
    us: float


_TIME_UNITS = (TimeUnit("ns", 1e-3), TimeUnit("us", 1.0), TimeUnit("ms", 1e3), TimeUnit("s", 1e6))
_BOUNDS_US = (1.0, 1e4, 1e7)  # below them the middle time of a table makes the unit ns, us and ms


class Column(Struct, frozen=True, kw_only=True):
    """A header, one word a line, and a cell for each row."""

    header: tuple[str, ...]
    cells: tuple[str, ...]
    justify: Literal["left", "right"] = "right"

    @property
    def width(self) -> int:
        return max(map(len, (*self.header, *self.cells)))


def time_unit(estimates: Iterable[Estimate]) -> TimeUnit:
    """One for the whole table, because people compare its columns."""
    medians = [abs(each.interval.median) for each in estimates if each.metric.unit == "us"]
    times = [median for median in medians if median]
    if not times:
        return _TIME_UNITS[1]
    return _TIME_UNITS[sum(statistics.median_low(times) >= bound for bound in _BOUNDS_US)]


def column(
    metric: Metric,
    estimates: Sequence[Estimate | None],
    blanks: Sequence[str],
    time: TimeUnit,
    bare: bool = False,
) -> Column:
    """The medians, with their intervals unless `bare`; a blank where there is no estimate."""
    unit, divisor = (time.name, time.us) if metric.unit == "us" else (metric.unit, 1.0)
    parts = [() if each is None else _parts(each, divisor)[: 1 if bare else 3] for each in estimates]
    decimals = _decimals([part[0] for part in parts if part])
    texts = [tuple(f"{value:.{decimals}f}" for value in part) for part in parts]
    widths = [max((len(text[i]) for text in texts if i < len(text)), default=0) for i in range(3)]
    cells = [_cell(text, widths) if text else blank for text, blank in zip(texts, blanks, strict=True)]
    return Column(header=(*metric.title.split(" "), unit), cells=tuple(cells))


def value_columns(found: Sequence[Row], shown: Sequence[str]) -> list[Column]:
    """A column for each metric that is `shown` and has a value in any row."""
    blanks = ["failed" if row.failures and not row.measured else "-" for row in found]
    present = [metric for metric in map(get, shown) if any(metric.name in row.estimates for row in found)]
    if not present:
        outcomes = tuple("failed" if row.failures else "not measured" for row in found)
        return [Column(header=("outcome",), cells=outcomes, justify="left")]
    cells = [[row.estimates.get(metric.name) for row in found] for metric in present]
    time = time_unit(each for estimates in cells for each in estimates if each is not None)
    return [column(metric, each, blanks, time) for metric, each in zip(present, cells, strict=True)]


def written(estimate: Estimate) -> str:
    """One estimate by itself: number, unit and interval."""
    alone = column(estimate.metric, [estimate], [""], time_unit([estimate]))
    number, _, interval = alone.cells[0].partition(" ")
    return " ".join(word for word in (number, alone.header[-1], interval) if word)


def _parts(estimate: Estimate, divisor: float) -> tuple[float, ...]:
    """The median alone, where one value gives no interval."""
    interval = estimate.interval
    known = (interval.median, interval.low, interval.high) if interval.confidence else (interval.median,)
    return tuple(value / divisor for value in known)


def _cell(parts: tuple[str, ...], widths: Sequence[int]) -> str:
    median = parts[0].rjust(widths[0])
    if len(parts) == 1:
        return median + " " * (len(" [, ]") + widths[1] + widths[2] if widths[1] else 0)
    return f"{median} [{parts[1].rjust(widths[1])}, {parts[2].rjust(widths[2])}]"


def _decimals(medians: Sequence[float]) -> int:
    """As many as the smallest number of the column needs for three digits."""
    smallest = min((abs(value) for value in medians if value), default=0.0)
    if smallest == 0 or all(value.is_integer() for value in map(float, medians)):
        return 0
    return min(max(_DIGITS - 1 - math.floor(math.log10(smallest)), 0), _MOST_DECIMALS)
