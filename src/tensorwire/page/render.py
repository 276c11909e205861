"""From Vega-Lite specifications to pictures, with vl-convert: no browser, no network."""

import re
from typing import Any
from xml.sax.saxutils import escape

from tensorwire.errors import ReportUnavailable
from tensorwire.page import Chart, Figure, ink

_VEGA_LITE = "6.1"
_DOTS_PER_INCH = 144
_NEEDS = "a report needs {}: pip install 'tensorwire[report]'"
_LABELLED = re.compile(
    r'<(path|text) aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="[^"]*"([^>]*)/>'
)


def inline(figure: Figure) -> str:
    """The figure as SVG that stands in a page: coloured by the page's variables, told to those who do not see it, and
    saying at each mark what it is."""
    svg = ink.in_page(_svg(figure.chart))
    svg = _LABELLED.sub(lambda found: f"<{found[1]}{found[3]}><title>{found[2]}</title></{found[1]}>", svg)
    svg = _own_names(svg, figure.name)
    svg = re.sub(r' (?:aria-[a-z]+|role|pointer-events|opacity)="(?:[^"]*)"', _kept, svg)
    return re.sub(r"<svg[^>]*?(viewBox=\"[^\"]*\")[^>]*>", lambda found: _opening(figure, found[1]), svg, count=1)


def picture(figure: Figure, form: str) -> bytes:
    """The figure by itself, in the light colours on white, as svg, png or pdf."""
    converter: Any = _converter()
    chart = ink.on_paper({**figure.chart, "background": "#ffffff", "padding": 12, "title": _title(figure)})
    match form:
        case "svg":
            text: str = converter.vegalite_to_svg(chart, vl_version=_VEGA_LITE)
            words = f"<title>{escape(figure.title)}</title><desc>{escape(figure.words)}</desc>"
            return re.sub(r"(<svg[^>]*>)", lambda found: found[1] + words, text, count=1).encode()
        case "pdf":
            return bytes(converter.vegalite_to_pdf(chart, vl_version=_VEGA_LITE))
    return bytes(converter.vegalite_to_png(chart, vl_version=_VEGA_LITE, ppi=_DOTS_PER_INCH))


def template(text: str) -> Any:
    """A template that escapes what is put into it. Raises ReportUnavailable without Jinja2."""
    try:
        import jinja2
    except ImportError as wrong:
        raise ReportUnavailable(_NEEDS.format("Jinja2")) from wrong
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(text)


def trusted(markup: str) -> Any:
    """Markup that is put into a template as it is: only what this module drew."""
    import markupsafe

    return markupsafe.Markup(markup)


def _svg(chart: Chart) -> str:
    svg: str = _converter().vegalite_to_svg(chart, vl_version=_VEGA_LITE)
    return svg


def _converter() -> Any:
    try:
        import vl_convert
    except ImportError as wrong:
        raise ReportUnavailable(_NEEDS.format("vl-convert-python")) from wrong
    return vl_convert


def _kept(found: "re.Match[str]") -> str:
    """Nothing of what Vega says about its own parts: the picture is told as a whole. An opacity below 1 stays."""
    return found[0] if found[0].startswith(" opacity") and found[0] != ' opacity="1"' else ""


def _opening(figure: Figure, view: str) -> str:
    width, height = view.removeprefix('viewBox="0 0 ').rstrip('"').split(" ")
    name = figure.name
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {view} width="{width}" height="{height}" role="img" '
        f'aria-labelledby="{name}-title {name}-words"><title id="{name}-title">{escape(figure.title)}</title>'
        f'<desc id="{name}-words">{escape(figure.words)}</desc>'
    )


def _own_names(svg: str, name: str) -> str:
    """The picture with names inside it that are its own: Vega counts them on from picture to picture."""
    for place, old in enumerate(re.findall(r' id="([^"]*)"', svg)):
        new = f"{name}-{place}"
        svg = svg.replace(f' id="{old}"', f' id="{new}"').replace(f"url(#{old})", f"url(#{new})")
    return svg


def _title(figure: Figure) -> dict[str, Any]:
    return {"text": figure.title, "anchor": "start", "color": ink.mark("ink"), "fontSize": 13, "limit": 340}
