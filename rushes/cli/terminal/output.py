"""What commands print: data on stdout, everything else on stderr; JSON for programs, tables for people.

All of it passes `jobs.visible`: whatever a gateway or a client has said, no terminal acts on it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import IO, Any

import click

from jobs.visible import visible, visible_cell, visible_json
from rushes.cli.terminal.failures import Failure

_out_of_the_way: Callable[[], AbstractContextManager[object]] = nullcontext
# Eight that can be read on light and on dark ground.
COLORS = ("cyan", "green", "yellow", "blue", "magenta", "bright_cyan", "bright_green", "bright_magenta")


def as_json(data: Any, *, line: bool = False) -> None:
    """One JSON value on stdout; with `line` on a single line."""
    plain(visible_json(data, indent=None if line else 2))


def plain(text: str, **style: Any) -> None:
    """A line of data on stdout; in a style, as `note`."""
    with _out_of_the_way():
        click.echo(_paint(visible(text), **style))
        sys.stdout.flush()


def note(text: str, **style: Any) -> None:
    """Something for people, on stderr; with a style of click's: `fg="red"`, `bold=True`."""
    with _out_of_the_way():
        click.echo(_paint(visible(text), **style), err=True)


@contextmanager
def moving(out_of_the_way: Callable[[], AbstractContextManager[object]]) -> Iterator[None]:
    """While something moves on the terminal: how to take it away for a line that is to stay."""
    global _out_of_the_way
    before, _out_of_the_way = _out_of_the_way, out_of_the_way
    try:
        yield
    finally:
        _out_of_the_way = before


def failure(found: Failure) -> None:
    """A failure's message and hint, on stderr."""
    for line in str(found).rstrip("\n").split("\n"):
        _labelled("error:", line or "failed", fg="red", bold=True)
    if found.hint:
        _labelled("hint:", found.hint, fg="cyan")


def _labelled(label: str, text: str, **style: Any) -> None:
    with _out_of_the_way():
        click.echo(f"{_paint(label, **style)} {visible(text)}", err=True)


def counted(number: int, word: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def size(number: float) -> str:
    """Bytes as people read them: `12.3 MB`."""
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.1f} GB"


def _paint(text: str, **style: Any) -> str:
    """The text in color, unless NO_COLOR or a dumb terminal forbids it; click drops the color where no terminal is."""
    if not style or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
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
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    right: Collection[str] = (),
    widths: Sequence[int] = (),
    spare: Sequence[str] | None = None,
    cut: str | None = None,
) -> None:
    """A table on a terminal; tab-separated lines, without a header, elsewhere.

    `right`: the columns that are set to the right. `widths`: of the first columns, at least so wide. Where a terminal
    is too narrow, long words go on in the next line; but with `spare`, columns are left out, these first. Of the
    column `cut` the beginnings are shown.
    """
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join("" if cell is None else visible_cell(str(cell)) for cell in row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from rushes.cli.terminal.widths import Column, fitting, room

    console = Console()
    said = [["–" if cell is None else visible(str(cell)) for cell in row] for row in rows]
    columns = [
        Column(visible(str(name)), [row[place] for row in said], is_cut=name == cut) for place, name in enumerate(names)
    ]
    there = columns if spare is None else fitting(columns, console.width, spare)
    places = [columns.index(column) for column in there]
    shown = Table(box=box.SIMPLE_HEAD)
    for place in places:
        column = columns[place]
        width = widths[place] if place < len(widths) else None
        is_whole = spare is not None and column.is_whole
        head = Text(column.name, justify="right" if column.name in right else "left")
        shown.add_column(head, justify=head.justify or "left", min_width=width, no_wrap=is_whole, overflow="fold")
    longest = {place: room(columns[place], there, console.width) for place in places if columns[place].is_cut}
    for row, cells in zip(rows, said, strict=True):
        texts = [Text(cells[place], getattr(row[place], "style", "")) for place in places]
        for place, text in zip(places, texts, strict=True):
            if place in longest:
                text.truncate(longest[place], overflow="ellipsis")
        shown.add_row(*texts)
    console.print(shown)


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
            click.echo(f"{_paint(f'{name:<{self._width}} |', fg=color)} {visible(line)}", file=self._stream)


def page(told: Mapping[str, Any], columns: Mapping[str, str], *, json_wanted: bool) -> None:
    """One page of a list: as JSON, or a table of the fields that `columns` names by their heads."""
    if json_wanted:
        as_json(told)
        return
    table(list(columns), [[each[name] for name in columns.values()] for each in told["data"]], spare=())
    if told["has_more"]:
        note(f"there are more: --cursor {told['next_cursor']}")
