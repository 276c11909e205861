"""A profile's buffers as a picture: SVG for light and dark pages, with a text for those who listen."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from xml.sax.saxutils import escape

from tensorwire.profile import LARGE_FROM, MEDIUM_FROM, Profile
from tensorwire.report.drawing import printable
from tensorwire.report.summary import summary
from tensorwire.report.tally import CATEGORIES, Bin, binary, bins, category, whole
from tensorwire.units import format_total

_WIDTH, _LEFT, _RIGHT = 860, 40, 40
_PANEL, _GAP, _BAR_TOP = 150, 46, 18
_LINE = 17
_CHARACTERS = 125
_STYLE = """
svg { background: #ffffff; color: #1f2328; font: 12px system-ui, sans-serif }
text { fill: currentColor } .title { font-size: 16px; font-weight: 600 } .faint { fill: #59636e; font-size: 11px }
.axis { stroke: #8c959f; stroke-width: 1 } .bound { stroke: #8c959f; stroke-dasharray: 3 3 }
.small { fill: #54aeff } .medium { fill: #bf8700 } .large { fill: #cf222e }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117; color: #e6edf3 } .faint { fill: #9198a1 }
  .small { fill: #388bfd } .medium { fill: #d29922 } .large { fill: #f85149 }
}
"""


def svg(profile: Profile) -> str:
    """How many buffers of each size were sent, and how many bytes they make: two rows of bars over powers of 4."""
    found = bins(profile)
    lines = textwrap.wrap(summary(profile), _CHARACTERS)
    top = 44 + _LINE * len(lines)
    height = top + 2 * _PANEL + _GAP + 64
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'role="img" aria-labelledby="title text">',
        f'<title id="title">Buffers of the profile {_safe(profile.name)}</title>',
        f'<desc id="text">{_safe(_in_words(profile, found))}</desc>',
        f"<style>{_STYLE}</style>",
        _text(_LEFT, 26, profile.name, "title"),
        *(_text(_LEFT, 48 + _LINE * place, line) for place, line in enumerate(lines)),
    ]
    if found:
        parts += _panel(found, top, "buffers", lambda each: each.buffers, str)
        parts += _panel(found, top + _PANEL + _GAP, "bytes", lambda each: each.bytes, format_total)
        parts += _bounds(profile, found, (top, top + 2 * _PANEL + _GAP))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(
    found: Sequence[Bin], top: int, title: str, value: Callable[[Bin], int], write: Callable[[int], str]
) -> Iterator[str]:
    """Bars from zero; the largest fills the panel; each has its value above it."""
    most = max(max(map(value, found)), 1)
    bottom, step = top + _PANEL, _step(found)
    yield _text(_LEFT, top + 6, title, "faint")
    for place, each in enumerate(found):
        x = _LEFT + place * step
        height = value(each) * (_PANEL - _BAR_TOP - 14) / most
        size = f"{binary(each.low)} to below {binary(each.high)}"
        if value(each):
            height = max(height, 1.0)
            yield (
                f'<rect class="{CATEGORIES[category(each.low)]}" x="{x + step * 0.1:.1f}" y="{bottom - height:.1f}" '
                f'width="{step * 0.8:.1f}" height="{height:.1f}"><title>{size}: {write(value(each))}</title></rect>'
            )
            yield _text(x + step / 2, bottom - height - 4, write(value(each)), anchor="middle")
        yield _text(x, bottom + 16, binary(each.low), "faint", anchor="middle")
    yield _text(_LEFT + len(found) * step, bottom + 16, binary(found[-1].high), "faint", anchor="middle")
    yield f'<line class="axis" x1="{_LEFT}" y1="{bottom}" x2="{_WIDTH - _RIGHT}" y2="{bottom}"/>'


def _bounds(profile: Profile, found: Sequence[Bin], extent: tuple[int, int]) -> Iterator[str]:
    """Where small buffers end and large ones begin, and a legend with the shares of each."""
    for bound in (MEDIUM_FROM, LARGE_FROM):
        place = next((place for place, each in enumerate(found) if each.low == bound), None)
        if place:
            x = _LEFT + place * _step(found)
            yield f'<line class="bound" x1="{x:.1f}" y1="{extent[0]}" x2="{x:.1f}" y2="{extent[1]}"/>'
    everything = whole(profile)
    buffers, volume = sum(everything.buffers) or 1, everything.total or 1
    y = extent[1] + 46
    for place, (name, count, size) in enumerate(zip(CATEGORIES, everything.buffers, everything.bytes, strict=True)):
        x = _LEFT + place * (_WIDTH - _LEFT - _RIGHT) / len(CATEGORIES)
        yield f'<rect class="{name}" x="{x:.1f}" y="{y - 10}" width="11" height="11"/>'
        yield _text(x + 17, y, f"{name}: {count / buffers:.1%} of buffers, {size / volume:.1%} of bytes", "faint")


def _in_words(profile: Profile, found: Sequence[Bin]) -> str:
    rows = (
        f"{binary(each.low)} to below {binary(each.high)}: {each.buffers}, {format_total(each.bytes)}" for each in found
    )
    return f"{summary(profile)} Buffers by size: {'; '.join(rows) or 'none'}."


def _step(found: Sequence[Bin]) -> float:
    return (_WIDTH - _LEFT - _RIGHT) / len(found)


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{_safe(words)}</text>'


def _safe(words: str) -> str:
    return escape(printable(words))
