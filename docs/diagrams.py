"""Mermaid blocks as drawings. GitHub draws them itself; on the site they are drawn here, when it is built.

A drawing is SVG within the page: its words can be selected and searched, its colours are the theme's, light or dark,
and nothing is fetched. What Mermaid calls `accTitle` and `accDescr` is what a screen reader says.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import mermaidx
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

CONFIG = {
    "fontFamily": "inherit",
    "themeCSS": (Path(__file__).parent / "diagrams.css").read_text(encoding="utf-8"),
    "sequence": {"width": 95, "height": 36, "actorMargin": 24, "messageMargin": 26, "mirrorActors": False},
    "flowchart": {"nodeSpacing": 20, "rankSpacing": 35, "subGraphTitleMargin": {"top": 4, "bottom": 8}},  # states, too
}
DRAWN_AS = "my-svg"  # the id that every drawing gets; a page may have several
WIDTH = re.compile(r"max-width: ([\d.]+)px")
SMALLEST = 0.6  # of its natural size: letters of 10 px. On a narrow screen a drawing is scrolled instead


class Mermaid(SphinxDirective):
    """A fenced block of `mermaid`, drawn."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        source = "\n".join(self.content)
        if not all(re.search(rf"^\s*{word}\s*:\s*\S", source, re.MULTILINE) for word in ("accTitle", "accDescr")):
            raise self.error("a diagram needs an accTitle and an accDescr, for those who cannot see it")
        return [nodes.raw("", f'<div style="overflow-x: auto">{self._drawn(source)}</div>', format="html")]

    def _drawn(self, source: str) -> str:
        try:
            svg = mermaidx.render(source, theme="neutral", config=CONFIG).svg()
        except RuntimeError as e:
            raise self.error(f"this diagram cannot be drawn: {e}") from e
        svg = svg.replace(DRAWN_AS, f"diagram-{self.env.new_serialno('diagram')}")
        return WIDTH.sub(lambda width: f"{width[0]}; min-width: {float(width[1]) * SMALLEST:.0f}px", svg, count=1)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("mermaid", Mermaid)
    return {"parallel_read_safe": True}
