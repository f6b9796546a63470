"""How the pages become a site: `make site`. The built folder holds everything that it shows."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))  # for `diagrams`
UPWARDS = re.compile(r"(?<=\]\()((?:\.\./)+[\w./-]+\.md)(#[\w-]*)?(?=\))")

project = "Rushes"
release = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
extensions = ["myst_parser", "diagrams"]
nitpicky = True
highlight_language = "text"
smartquotes = False  # a dash pair is an option of a command

myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 4  # the addresses that GitHub gives to headings, and that links between pages use

html_theme = "furo"
html_title = f"Rushes {release}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False


def setup(app: Sphinx) -> None:
    app.connect("source-read", _lead_outside)


def _lead_outside(app: Sphinx, page: str, source: list[str]) -> None:
    """Hand out the Markdown files beside this folder (SECURITY.md) as files: they are no pages of the site."""

    def led(link: re.Match[str]) -> str:
        inside = (DOCS / page).parent.joinpath(link[1]).resolve().is_relative_to(DOCS)
        return link[0] if inside else f"path:{link[1]}"

    source[0] = UPWARDS.sub(led, source[0])
