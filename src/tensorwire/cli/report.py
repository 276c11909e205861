"""tensorwire report: a page that people attach, or its pictures."""

from pathlib import Path

import click

from tensorwire.cli.results import read_all
from tensorwire.errors import SpecError

_FORMS = ("html", "svg", "png", "pdf")


@click.command("report", short_help="Make a page of results, to read and to attach.")
@click.argument("places", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "-o",
    "--output",
    "place",
    type=click.Path(path_type=Path),
    metavar="PLACE",
    help="The page, or the directory of the pictures.  [default: report.html, report]",
)
@click.option(
    "--format", "form", type=click.Choice(_FORMS), default="html", help="A page, or a picture each.  [default: html]"
)
def command(places: tuple[str, ...], place: Path | None, form: str) -> None:
    """Write one self-contained page about the results in FILEs (or directories, or quoted patterns).

    It needs no network and opens anywhere: first what the results say in sentences, which are printed as well, then
    pictures, each with its table, the host, and the data. Needs the extra: pip install 'tensorwire[report]'.
    """
    from tensorwire.page import writing

    results = read_all(places)
    place = place or Path("report.html" if form == "html" else "report")
    try:
        if form == "html":
            text = writing.page(results)
            place.write_text(text, encoding="utf-8")
        else:
            drawn = list(writing.pictures(results, next(each for each in writing.FORMS if each == form)))
            place.mkdir(parents=True, exist_ok=True)
            for name, data in drawn:
                (place / name).write_bytes(data)
    except OSError as wrong:
        sentence = f"cannot write {place}: {wrong.strerror}; choose another with --output PLACE"
        raise SpecError("output", str(place), "a place that can be written", sentence) from wrong
    said = writing.summary(results)
    click.echo("\n".join((said.sentence, *said.more)))
    click.echo(f"report: {place}", err=True)
