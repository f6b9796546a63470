"""What a person at a terminal sees of `rushes up`: a line for what happens to each job, and what is wrong.

The whole log goes into a file.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from jobs.reports import happenings
from jobs.reports.happenings import Happening
from jobs.settings import Settings
from jobs.store.database import Database, DatabaseUnavailable
from jobs.store.told import LOGGER
from jobs.visible import visible_cell
from rushes.cli.terminal import output
from rushes.local.background import in_background
from rushes.local.output import OnLine

LOOK_EVERY_S = 1.0
WRONG = frozenset({"warning", "error", "critical"})
# Of lines that are no JSON: the supervisor's own, which stand in brackets, and what sounds like a fault.
TROUBLE = re.compile(r"\(.*\)|.*\b(error|errno|fatal|critical|failed|failure|cannot|traceback)\b.*", re.IGNORECASE)
NOT_TOLD = frozenset({"event", "level", "logger", "timestamp", "exception"})
SAID = {
    "submitting": "is being ordered at {provider}",
    "unconfirmed": "the answer to its order at {provider} was lost; it is waited for",
    "generating": "is being made by {provider}",
    "archiving": "is made, and being copied",
    "archived": "is archived as {key}",
    "failed": "has failed: {error}",
    "cancelled": "is cancelled",
    "queued": "waits to be ordered",
}
COLORS = {"archived": "green", "failed": "red", "unconfirmed": "yellow"}


class PersonsLog:
    """Hands on what somebody should see of the processes' lines, in words; all of them go into the file.

    A file that cannot be written, as on a full disk, is told once, and keeps nothing from being shown.
    """

    def __init__(self, file: OnLine, shown: OnLine) -> None:
        self._file, self._shown = file, shown
        self._fault: str | None = None  # of the file, that was told

    def __call__(self, name: str, line: str) -> None:
        self._keep(name, f"{name:<9} | {line}")
        if (words := in_words(line)) is not None:
            self._shown(name, words)

    def _keep(self, name: str, line: str) -> None:
        try:
            self._file(name, line)
            self._fault = None
        except OSError as error:
            if self._fault is None:
                self._fault = str(error.strerror or error)
                self._shown("rushes", f"warning: the log file cannot be written: {self._fault}")


def in_words(line: str) -> str | None:
    """A line of a process's log for a person; None where it is nothing to them."""
    try:
        told = json.loads(line)
    except ValueError:
        told = None
    if not isinstance(told, dict) or "event" not in told:
        return visible_cell(line) if TROUBLE.fullmatch(line) else None
    if told.get("level") not in WRONG or told.get("logger") == LOGGER:  # whose moves are told in sentences
        return None
    more = " ".join(f"{name}={value}" for name, value in told.items() if name not in NOT_TOLD)
    return visible_cell(f"{told['level']}: {told['event']} {more}".strip())


def sentence(happening: Happening) -> str:
    """What has happened to a job."""
    words = SAID.get(happening.state, happening.state)
    return visible_cell(f"{happening.job_id} {words.format(**happening._asdict())}")


def followed(settings: Settings, say: Callable[[Happening], Any]) -> AbstractContextManager[None]:
    """Say what happens to jobs, from a thread, until the end."""
    return in_background("happenings", lambda stopping: _follow(settings, stopping, say))


def show(happening: Happening) -> None:
    """Print what has happened to a job."""
    output.note(f"{local_time(happening.at)}  {sentence(happening)}", fg=COLORS.get(happening.state))


def local_time(at: datetime) -> str:
    """The time of day, on this machine's clock."""
    return at.replace(tzinfo=at.tzinfo or UTC).astimezone().strftime("%H:%M:%S")


def _follow(settings: Settings, stopping: threading.Event, say: Callable[[Happening], Any]) -> None:
    database = Database(settings.database_url, threads=1)
    last: int | None = None
    try:
        while not stopping.is_set():
            try:
                with database.read() as db:
                    found = [] if last is None else happenings.since(db, last)
                    last = happenings.latest(db) if last is None else last
            except DatabaseUnavailable:  # the processes say so themselves
                found = []
            for happening in found:
                say(happening)
                last = happening.number
            stopping.wait(LOOK_EVERY_S)
    finally:
        database.close()
