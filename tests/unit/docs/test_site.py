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
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data"}
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


def test_a_diagram_is_shown_as_its_text_and_not_lost(site: Path) -> None:
    assert "sequenceDiagram" in (site / "architecture.html").read_text(encoding="utf-8")


def test_a_file_beside_the_pages_can_be_had_from_the_site(site: Path) -> None:
    page = (site / "threat-model.html").read_text(encoding="utf-8")
    address = re.search(r'href="(_downloads/[0-9a-f]+/SECURITY\.md)"', page)
    assert address is not None
    assert (site / address[1]).is_file()
