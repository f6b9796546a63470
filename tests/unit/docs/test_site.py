"""The documentation as a site: it builds without a warning, and needs nothing from outside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"
PAGES = [path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")]
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data"} | {
    "image": "href",  # within a drawing
    "use": "href",
}
MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DRAWING = re.compile(r"<svg .*?</svg>", re.DOTALL)
IN_STYLES = re.compile(r"""(?:url\(|@import)\s*["']?\s*(https?:|//)""")
NO_PROXY = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": ""}


class Fetched(HTMLParser):
    """The addresses that a browser fetches by itself to show a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = FETCHED.get(tag) or ("href" if tag == "link" and given.get("rel") != "canonical" else "")
        if address := given.get(name):
            self.addresses.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make site` builds it, with a network that leads nowhere."""
    built = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(DOCS), str(built)]
    done = subprocess.run(command, env={**os.environ, **NO_PROXY}, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    return built


def test_every_page_is_in_the_site(site: Path) -> None:
    assert [str(page) for page in PAGES if not (site / page).is_file()] == []


def test_no_page_fetches_anything_from_outside(site: Path) -> None:
    fetched = {(page.name, address) for page in site.rglob("*.html") for address in Fetched(page).addresses}
    assert fetched
    assert [each for each in fetched if each[1].startswith(("http:", "https:", "//"))] == []


def test_no_style_fetches_anything_from_outside(site: Path) -> None:
    styles = list(site.rglob("*.css"))
    assert styles
    assert [style.name for style in styles if IN_STYLES.search(style.read_text(encoding="utf-8"))] == []
    drawn = "".join(DRAWING.findall((site / "architecture.html").read_text(encoding="utf-8")))
    assert IN_STYLES.search(drawn) is None


def test_every_diagram_is_drawn_with_words_for_those_who_cannot_see_it(site: Path) -> None:
    shown = 0
    for page in DOCS.rglob("*.md"):
        blocks = MERMAID.findall(page.read_text(encoding="utf-8"))
        built = (site / page.relative_to(DOCS).with_suffix(".html")).read_text(encoding="utf-8")
        drawings = [drawing for drawing in DRAWING.findall(built) if "aria-roledescription" in drawing]
        assert len(drawings) == len(blocks), page
        for block, drawing in zip(blocks, drawings, strict=True):
            for word, tag in (("accTitle", "title"), ("accDescr", "desc")):
                said = re.search(rf"{word}: (.+)", block)
                assert said is not None
                assert re.search(rf"<{tag} [^>]*>{re.escape(said[1])}</{tag}>", drawing), (page, word)
        shown += len(drawings)
    assert shown >= 3


def test_a_drawing_has_the_themes_colours_and_words_that_can_be_selected(site: Path) -> None:
    page = (site / "architecture.html").read_text(encoding="utf-8")
    for drawing in DRAWING.findall(page):
        if "aria-roledescription" in drawing:
            assert "var(--color-foreground-primary)" in drawing
    assert "doorbell jobs.submit" in page
    assert re.search(r"<p>unconfirmed</p>", page)


def test_two_drawings_on_a_page_share_no_id(site: Path) -> None:
    ids = re.findall(r'\bid="(diagram-[^"]+)"', (site / "architecture.html").read_text(encoding="utf-8"))
    assert len(ids) > 50
    assert len(ids) == len(set(ids))


def test_a_diagram_that_cannot_be_drawn_or_says_nothing_of_itself_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(DOCS)!r})\n"
        'extensions = ["myst_parser", "diagrams"]\nmyst_fence_as_directive = ["mermaid"]\n'
    )
    told = "    accTitle: A title\n    accDescr: A description\n"
    (tmp_path / "index.md").write_text(
        f"# Drawings\n\n```mermaid\nflowchart TB\n    a --> b\n```\n\n```mermaid\nno such diagram\n{told}```\n"
    )
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", tmp_path, tmp_path / "built"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode != 0
    assert "a diagram needs an accTitle and an accDescr" in done.stderr
    assert "this diagram cannot be drawn" in done.stderr


def test_a_file_beside_the_pages_can_be_had_from_the_site(site: Path) -> None:
    page = (site / "threat-model.html").read_text(encoding="utf-8")
    address = re.search(r'href="(_downloads/[0-9a-f]+/SECURITY\.md)"', page)
    assert address is not None
    assert (site / address[1]).is_file()
