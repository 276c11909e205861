"""tensorwire report as a user types it, and its page as a browser shows it."""

import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from tensorwire.page.writing import page
from tensorwire.result import encode
from tests import pages
from tests.system.conftest import Run
from tests.system.driver import SHORT

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
# Runs in a copy of the page, in a frame of its own. Cut off is what ends beyond the page, and a word of a picture that
# ends beyond the picture.
PROBE = """<script>
const told = [];
const wide = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > wide) told.push('the page is ' + document.documentElement.scrollWidth);
for (const each of document.querySelectorAll('h1, h2, p, figure, svg, .scroll, nav a')) {
  const box = each.getBoundingClientRect();
  if (box.width && (box.right > wide + 1 || box.left < -1)) told.push(each.tagName + ' ends at ' + box.right);
}
for (const picture of document.querySelectorAll('figure svg')) {
  const frame = picture.getBoundingClientRect();
  for (const each of picture.querySelectorAll('text')) {
    const box = each.getBoundingClientRect();
    const aside = Math.max(frame.left - box.left, box.right - frame.right);
    const beyond = Math.max(aside, frame.top - box.top, box.bottom - frame.bottom);
    if (box.width && beyond > 3) told.push(each.textContent + ' ends ' + beyond + ' beyond its picture');
  }
}
parent.document.body.dataset.width = wide;
parent.document.body.dataset.told = told.join('\\n');
</script>"""


@pytest.fixture
def results(home: Path) -> list[str]:
    """Files of a set in which every section has something to show."""
    names = [f"{number}.json" for number, _ in enumerate(pages.everything())]
    for name, result in zip(names, pages.everything(), strict=True):
        (home / name).write_bytes(encode(result))
    return names


class Body(HTMLParser):
    """The data-* of a page's body."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.data: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body" and not self.data:
            self.data = {name.removeprefix("data-"): value or "" for name, value in attrs}


def browse(home: Path, name: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """What Chromium prints of a page."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    words = [CHROMIUM, *FLAGS, f"--user-data-dir={home / 'browser'}", *flags, (home / name).as_uri()]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)


def test_a_run_ends_as_a_page(run: Run, home: Path) -> None:
    for channel in ("grpc", "tcp"):
        run("run", "p2p-latency", "-c", channel, "--sizes", "32,64KiB", "--output", f"{channel}.json", *SHORT)
    done = run("report", "grpc.json", "tcp.json", "-o", "report.html")
    assert done.code == 0, done.stderr
    sentence = done.stdout.splitlines()[0]
    assert sentence.startswith("On this host ")
    text = (home / "report.html").read_text()
    assert sentence in text
    assert "Against the size of the payload" in text


@pytest.mark.parametrize(("form", "begin"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_pictures_go_to_a_directory(run: Run, results: list[str], home: Path, form: str, begin: bytes) -> None:
    done = run("report", results[0], "--format", form, "-o", "pictures")
    assert done.code == 0, done.stderr
    files = sorted((home / "pictures").iterdir())
    assert files
    assert all(file.suffix == f".{form}" and file.read_bytes().startswith(begin) for file in files)


def test_a_missing_package_is_said_before_anything_is_written(run: Run, results: list[str], home: Path) -> None:
    (home / "without").mkdir()
    (home / "without" / "vl_convert.py").write_text("raise ImportError('not installed')\n")
    done = run("report", results[0], "-o", "report.html", PYTHONPATH=str(home / "without"))
    done.refused(3, "a report needs vl-convert-python: pip install 'tensorwire[report]'")
    assert not (home / "report.html").exists()


def test_a_place_that_cannot_be_written_is_refused(run: Run, results: list[str]) -> None:
    run("report", results[0], "-o", "not/there.html").refused(2, "cannot write not/there.html", "--output PLACE")
    run("report", "not-there.json").refused(2, "cannot read not-there.json")


def test_a_browser_has_nothing_to_complain_of(home: Path) -> None:
    (home / "page.html").write_text(page(pages.everything()))
    done = browse(home, "page.html", "--enable-logging=stderr", "--v=0", "--dump-dom")
    assert "<h1>" in done.stdout
    assert "CONSOLE" not in done.stderr, done.stderr


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_cut_off(home: Path, width: int) -> None:
    text = page(pages.everything()).replace("default-src 'none'", "default-src 'unsafe-inline'")
    framed = escape(text.replace("</body>", f"{PROBE}</body>"), {'"': "&quot;"})
    outside = (
        f'<!doctype html><body><iframe width="{width}" height="2000" style="border: 0" srcdoc="{framed}"></iframe>'
    )
    (home / "page.html").write_text(outside)
    body = Body(browse(home, "page.html", "--window-size=1400,2000", "--hide-scrollbars", "--dump-dom").stdout)
    assert body.data == {"width": str(width), "told": ""}
