"""What commands print: data on stdout, everything else on stderr; JSON for programs, tables for people."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Sequence
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


def table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on a terminal; tab-separated lines, without a header, elsewhere."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join("" if cell is None else str(cell) for cell in row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(*names, box=box.SIMPLE_HEAD)
    for row in rows:
        shown.add_row(*(Text("–" if cell is None else str(cell)) for cell in row))
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
