"""How the demo looks: live on a terminal, plain lines elsewhere, and a picture of the end."""

from __future__ import annotations

import io
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from rushes.cli.demo.takes import Take
from rushes.cli.terminal import output

WIDTH = 170  # of what is no terminal: no id and no key is broken in two
NARROW = 120  # a terminal with less room folds ids until nobody can read them
NOTHING = "–"
COLORS = {"archived": "green", "failed": "red", "cancelled": "red", "archiving": "cyan", "generating": "yellow"}
STEPS = ("queued", "submitting", "generating", "archiving", "archived")
# Rich's frame without the fonts that it would fetch from the net.
SVG_FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


class Stage:
    """What is going on, on stderr: a live table on a terminal, a line for each change elsewhere."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._takes: Sequence[Take] = ()
        self._said: dict[str, str] = {}
        self._spinner = Spinner("dots", "starting …")
        console = Console(stderr=True)
        self._live = None
        if console.is_terminal and not console.is_dumb_terminal:
            self._live = Live(self, console=console, refresh_per_second=10, transient=True)

    def __enter__(self) -> Stage:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.end()

    def end(self) -> None:
        """No more of it is shown: what follows has the terminal for itself."""
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        """What is being waited for."""
        self._spinner.update(text=Text(text))
        if not self._live:
            self._line(text)

    def show(self, takes: Sequence[Take]) -> None:
        """How far the jobs are."""
        self._takes = takes
        if self._live:
            return
        for take in takes:
            said = f"{take.provider:<11} {take.job['state']}{', saved' if take.video else ''}"
            if self._said.get(take.provider) != said:
                self._said[take.provider] = said
                self._line(said)

    def _line(self, text: str) -> None:
        output.note(f"{time.monotonic() - self._began:6.1f} s  {text}")

    def __rich__(self) -> RenderableType:
        elapsed = Text(f"{time.monotonic() - self._began:.0f} s of at most a minute", "dim")
        if not self._takes:
            return Group(self._spinner, elapsed)
        table = Table(box=box.SIMPLE, show_header=False)
        for take in self._takes:
            state = take.job["state"]
            done = STEPS.index(state) + 1 if state in STEPS else len(STEPS)
            bar = Text("━" * 4 * done, COLORS.get(state, "white")) + Text("━" * 4 * (len(STEPS) - done), "grey30")
            progress = take.job["progress"]
            at = f"{progress} %" if state == "generating" and progress is not None else ""
            table.add_row(
                take.provider, bar, Text(state, COLORS.get(state, "white")), at, "saved" if take.video else ""
            )
        return Group(self._spinner, table, elapsed)


def print_table(takes: Sequence[Take]) -> None:
    """The finished table on stdout; in two where the terminal is narrow."""
    if sys.stdout.isatty():
        console = Console()
        for names in [list(COLUMNS)] if console.width >= NARROW else [FACTS, ["provider", "S3 key"]]:
            console.print(_table(takes, names))
        return
    drawn = io.StringIO()
    Console(file=drawn, width=WIDTH, no_color=True).print(_table(takes, list(COLUMNS)))
    output.plain("\n".join(line.rstrip() for line in drawn.getvalue().splitlines()))


def draw(takes: Sequence[Take], path: Path) -> None:
    """The finished table as an SVG that fetches nothing."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(file=nowhere, record=True, width=WIDTH, force_terminal=True, no_color=False)
        console.print(_table(takes, list(COLUMNS)))
        path.parent.mkdir(parents=True, exist_ok=True)
        svg = console.export_svg(title="rushes demo", code_format=SVG_FORMAT, unique_id="demo")
    path.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")


def _by(take: Take) -> Text:
    if take.job["state"] != "archived":
        return Text(take.job["state"], "red")
    return Text(take.by or NOTHING, "green" if take.by == "callback" else "yellow")


def _of_video(form: str) -> Callable[[Take], str]:
    """A column about the archived video."""
    return lambda take: form.format(**take.job["video"]) if take.job["video"] else NOTHING


COLUMNS: dict[str, tuple[Callable[[Take], str | Text], dict[str, Any]]] = {
    "provider": (lambda take: take.provider, {"no_wrap": True, "style": "cyan"}),
    "job": (lambda take: str(take.job["id"]), {"overflow": "fold"}),
    "news by": (_by, {"no_wrap": True}),
    "seconds": (lambda take: NOTHING if take.seconds is None else f"{take.seconds:.1f}", {"justify": "right"}),
    "bytes": (_of_video("{bytes}"), {"justify": "right"}),
    "SHA-256": (_of_video("{sha256:.12}"), {"no_wrap": True, "style": "dim"}),
    "length": (_of_video("{duration_s:.2f} s"), {"no_wrap": True, "justify": "right"}),
    "size": (_of_video("{width}x{height}"), {"no_wrap": True}),
    "S3 key": (_of_video("{key}"), {"overflow": "fold"}),
}
FACTS = [name for name in COLUMNS if name not in ("job", "S3 key")]


def _table(takes: Sequence[Take], names: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold")
    for name in names:
        table.add_column(name, **COLUMNS[name][1])
    for take in takes:
        table.add_row(*(COLUMNS[name][0](take) for name in names))
    return table
