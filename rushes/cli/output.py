"""What commands print: data on stdout, everything else on stderr; JSON for programs, tables for people."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Collection, Sequence
from typing import IO, Any

import click

# Eight that can be read on light and on dark ground.
COLORS = ("cyan", "green", "yellow", "blue", "magenta", "bright_cyan", "bright_green", "bright_magenta")


def as_json(data: Any, *, line: bool = False) -> None:
    """One JSON value on stdout; with `line` on a single line."""
    click.echo(json.dumps(data, ensure_ascii=False, indent=None if line else 2))
    sys.stdout.flush()


def note(text: str) -> None:
    """Something for people, on stderr."""
    click.echo(text, err=True)


def paint(text: str, **style: Any) -> str:
    """The text in color, unless NO_COLOR or a dumb terminal forbids it; click drops the color where no terminal is."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return click.style(text, **style)


class Colored(str):
    """A table's cell with a style of rich's: `yellow`, `dim`."""

    style: str

    def __new__(cls, text: str, style: str) -> Colored:
        cell = super().__new__(cls, text)
        cell.style = style
        return cell


def table(
    names: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Collection[str] = (), widths: Sequence[int] = ()
) -> None:
    """A table on a terminal; tab-separated lines, without a header, elsewhere.

    `right`: the columns that are set to the right. `widths`: of the first columns, at least so wide.
    """
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join("" if cell is None else str(cell) for cell in row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD)
    for place, name in enumerate(names):
        width = widths[place] if place < len(widths) else None
        shown.add_column(name, justify="right" if name in right else "left", min_width=width)
    for row in rows:
        shown.add_row(*(Text("–" if c is None else str(c), getattr(c, "style", "")) for c in row))
    Console().print(shown)


class ProcessLog:
    """Lines of many processes in one stream, each with its process's name in a color of its own."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stderr
        self._colors: dict[str, str] = {}
        self._lock = threading.Lock()
        self._width = 9

    def __call__(self, name: str, line: str) -> None:
        color = self._colors.setdefault(name, COLORS[len(self._colors) % len(COLORS)])
        with self._lock:
            click.echo(f"{paint(f'{name:<{self._width}} |', fg=color)} {line}", file=self._stream)
