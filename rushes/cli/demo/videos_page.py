"""The page that shows the saved videos in a browser, when nothing of the service runs any more: a file beside them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from rushes.cli.demo.takes import PROMPT, Take

NAME = "videos.html"
_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>The videos of the demo · Rushes</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }}
main {{ display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)) }}
figure {{ margin: 0 }}
video {{ aspect-ratio: 16 / 9; background: #0003; border-radius: .5rem; width: 100% }}
</style>
<h1>The videos of the demo</h1>
<p>{prompt}</p>
<main>
{figures}
</main>
</html>
"""
_FIGURE = """<figure>
<video controls loop muted playsinline preload="metadata" src="{video}" poster="{poster}"></video>
<figcaption><strong>{provider}</strong>, archived {seconds:.1f} s after it was asked for</figcaption>
</figure>"""


def write(folder: Path, takes: Sequence[Take]) -> Path | None:
    """Of the takes that were saved; None where none was."""
    figures = [
        _FIGURE.format(
            video=quote(take.video.name),
            poster=quote(take.poster.name),
            provider=html.escape(take.provider),
            seconds=take.seconds or 0,
        )
        for take in takes
        if take.video is not None and take.poster is not None
    ]
    if not figures:
        return None
    page = folder / NAME
    page.write_text(_PAGE.format(prompt=html.escape(PROMPT), figures="\n".join(figures)), encoding="utf-8")
    return page
