"""How long work goes on: bars on a terminal, lines elsewhere; always on stderr."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from rushes.cli.terminal import output

if TYPE_CHECKING:  # slow to import, and wanted on terminals alone
    from rich.progress import Progress

SAY_EVERY_S = 5

Advance = Callable[[int], None]
Words = Callable[[float], str]


class Bars:
    """Bars that stand below each other while they are open. Elsewhere: a line now and then."""

    def __init__(self) -> None:
        self._live: Progress | None = None
        self._stack = ExitStack()
        self._one = threading.Lock()  # speaks at a time

    @property
    def live(self) -> bool:
        """Whether there are bars; else what happens is told in lines."""
        return self._live is not None

    def __enter__(self) -> Bars:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            # Rich would redirect what is printed meanwhile; click does not print where rich redirects.
            self._live = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[said]}"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._stack.enter_context(self._live)
            self._stack.enter_context(output.moving(self._away))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @contextmanager
    def _away(self) -> Iterator[None]:
        assert self._live is not None
        with self._one:
            self._live.stop()
            try:
                yield
            finally:
                self._live.start()

    @contextmanager
    def open(self, what: str, total: int, *, words: Words = "{:g}".format) -> Iterator[Advance]:
        """Work on `total` things. `words`: how an amount reads."""
        done, said_at = 0, time.monotonic()

        def text() -> str:
            return f"{words(done)} of {words(total)}"

        task = self._live.add_task(what, total=total, completed=done, said=text()) if self._live else None

        def advance(more: int) -> None:
            nonlocal done, said_at
            done += more
            if self._live and task is not None:
                self._live.update(task, completed=done, said=text())
            elif time.monotonic() - said_at >= SAY_EVERY_S:
                said_at = time.monotonic()
                output.note(f"{what}: {text()} …")

        try:
            yield advance
        finally:
            if self._live and task is not None:
                self._live.remove_task(task)
