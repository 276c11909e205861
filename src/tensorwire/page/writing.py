"""Results as one page, or as a picture for each figure."""

import base64
import gzip
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from tensorwire.page import Figure, Section, hosts, ink, render
from tensorwire.page.answer import Answer, answer
from tensorwire.page.entries import entries
from tensorwire.page.glance import glance
from tensorwire.page.limits import warnings
from tensorwire.page.sections import sections
from tensorwire.report.data import as_csv, as_json
from tensorwire.result import Result

Form = Literal["html", "svg", "png", "pdf"]
FORMS: tuple[Form, ...] = get_args(Form)

_TEMPLATE = Path(__file__).parent / "page.html.jinja"
_MOST_DATA = 300_000  # bytes of a download in the page


class Download(Struct, frozen=True, kw_only=True):
    """Data that stands in the page itself; `address` is empty where it would be too much."""

    name: str
    address: str


def summary(results: Sequence[Result]) -> Answer:
    """What the results say, in sentences."""
    return answer(entries(results))


def page(results: Sequence[Result]) -> str:
    """One HTML file that needs no other. Raises ReportUnavailable without the packages of the extra `report`."""
    template = render.template(_TEMPLATE.read_text(encoding="utf-8"))
    found = entries(results)
    environments = hosts.hosts(results)
    text: str = template.render(
        answer=answer(found),
        warnings=warnings(results, found),
        glance=glance(found),
        sections=_named(sections(found)),
        draw=lambda figure: render.trusted(render.inline(figure)),
        hosts=environments,
        apart=hosts.apart(environments),
        settings=hosts.settings(results),
        runs=hosts.runs(results),
        downloads=downloads(results),
        light=render.trusted(ink.variables(dark=False)),
        dark=render.trusted(ink.variables(dark=True)),
        host=", ".join(dict.fromkeys(each.environment.host for each in results)),
        made=_made(results),
        count=len(results),
    )
    return text


def pictures(results: Sequence[Result], form: Form) -> Iterator[tuple[str, bytes]]:
    """The name of each picture's file, and what is in it. Raises ReportUnavailable without vl-convert."""
    for section in _named(sections(entries(results))):
        for figure in section.figures:
            yield f"{figure.name}.{form}", render.picture(figure, form)


def downloads(results: Sequence[Result]) -> tuple[Download, ...]:
    """Every number of every repetition, in forms for programs."""
    csv = _address("text/csv", as_csv(*results).encode())
    json = _address("application/gzip", gzip.compress(as_json(*results).encode(), mtime=0))
    return Download(name="results.csv", address=csv), Download(name="results.json.gz", address=json)


def _address(kind: str, data: bytes) -> str:
    encoded = base64.b64encode(data).decode()
    return f"data:{kind};base64,{encoded}" if len(encoded) <= _MOST_DATA else ""


def _named(found: Sequence[Section]) -> tuple[Section, ...]:
    """The same, with names of figures that are fit for files and addresses, each once."""
    taken: set[str] = set()
    return tuple(
        replace(section, figures=tuple(_renamed(figure, taken) for figure in section.figures)) for section in found
    )


def _renamed(figure: Figure, taken: set[str]) -> Figure:
    plain = re.sub(r"[^a-z0-9]+", "-", figure.name.lower()).strip("-")[:60]
    name, number = plain, 1
    while name in taken:
        number += 1
        name = f"{plain}-{number}"
    taken.add(name)
    return replace(figure, name=name)


def _made(results: Sequence[Result]) -> str:
    """When the runs began, from the first to the last."""
    days = sorted({each.created[:10] for each in results})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
