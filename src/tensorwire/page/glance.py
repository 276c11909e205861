"""Everything at a glance: a row for each measurement, a column for each channel, the best of a row marked."""

from collections.abc import Sequence

from msgspec import Struct

from tensorwire.metrics import CATALOGUE
from tensorwire.page import words
from tensorwire.page.answer import STILL
from tensorwire.page.entries import Entry, alike_but, groups, labels

_MOST_ROWS = 24


class Cell(Struct, frozen=True, kw_only=True):
    value: str
    best: bool = False


class Row(Struct, frozen=True, kw_only=True):
    payload: str
    cells: tuple[Cell, ...]


class Group(Struct, frozen=True, kw_only=True):
    """The rows of a benchmark."""

    benchmark: str
    metric: str
    rows: tuple[Row, ...]


class Glance(Struct, frozen=True, kw_only=True):
    channels: tuple[str, ...]
    groups: tuple[Group, ...]
    left_out: int


def glance(entries: Sequence[Entry]) -> Glance:
    """By what sums each benchmark up. Of a sweep only the first and the last size have a row."""
    channels = tuple(sorted({each.channel for each in entries}))
    grouped = groups(entries, lambda one, other: alike_but(one, other, "channel"))
    grouped = [group for group in grouped if not group[0].swept] + _ends([group for group in grouped if group[0].swept])
    made: list[Group] = []
    room = _MOST_ROWS
    for (benchmark, metric), own in _by_headline([group[0] for group in grouped]).items():
        firsts = labels(own, without=("channel", "payload", "bytes"))
        rows = [
            _row(next(group for group in grouped if group[0] is first), _more(label), channels)
            for first, label in list(zip(own, firsts, strict=True))[:room]
        ]
        room -= len(rows)
        made += [Group(benchmark=benchmark, metric=words.plain(metric), rows=tuple(rows))] if rows else []
    shown = sum(len(group.rows) for group in made)
    return Glance(channels=channels, groups=tuple(made), left_out=len(grouped) - shown)


def _by_headline(found: Sequence[Entry]) -> dict[tuple[str, str], list[Entry]]:
    grouped: dict[tuple[str, str], list[Entry]] = {}
    for each in found:
        grouped.setdefault((each.benchmark, each.headline), []).append(each)
    return grouped


def _ends(swept: Sequence[list[Entry]]) -> list[list[Entry]]:
    ends: dict[int, list[Entry]] = {}
    for sweep in groups([group[0] for group in swept], lambda one, other: one.case.result is other.case.result):
        for each in (sweep[0], sweep[-1]):
            ends[id(each)] = next(group for group in swept if group[0] is each)
    return list(ends.values())


def _more(label: str) -> str:
    return f", {label}" if label else ""


def _row(group: Sequence[Entry], more: str, channels: Sequence[str]) -> Row:
    metric = group[0].headline
    racing = [each.median(metric) for each in group if each.channel not in STILL]
    known = [value for value in racing if value is not None]
    wins = max if CATALOGUE[metric].better == "higher" else min
    best = wins(known) if len(known) > 1 and len(set(known)) > 1 else None
    by_channel = {each.channel: each for each in group}
    return Row(
        payload=f"{group[0].payload}{more}",
        cells=tuple(_cell(by_channel.get(channel), metric, best) for channel in channels),
    )


def _cell(entry: Entry | None, metric: str, best: float | None) -> Cell:
    if entry is None:
        return Cell(value="")
    value = entry.median(metric)
    if value is None:
        return Cell(value="failed" if entry.case.failed else words.NOTHING)
    return Cell(value=words.median(entry.estimates[metric]), best=value == best and entry.channel not in STILL)
