"""Throws away what is old while `rushes up` runs: `rushes db prune`, without a cron.

A process of its own each time: what it needs would stay in the memory of `rushes up`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from rushes.local.background import in_background
from rushes.local.plan import Plan
from rushes.local.process import Child, Process
from rushes.local.stack import ROOT

EVERY_S = 3600.0
LOOK_S = 0.2
NOTHING = "deleted nothing"  # what it says most of the time

Say = Callable[[str], None]


def pruning(planned: Plan, say: Say) -> AbstractContextManager[None]:
    """Prune at once, and then every hour. `say` hears there what went, if anything did, and what was in the way."""
    process = Process("prune", ["rushes", "db", "prune"], env=planned.service, cwd=ROOT)
    return in_background("pruning", lambda stopping: _prune(process, stopping, say))


def _prune(process: Process, stopping: threading.Event, say: Say) -> None:
    while not stopping.is_set():
        _once(process, stopping, say)
        stopping.wait(EVERY_S)


def _once(process: Process, stopping: threading.Event, say: Say) -> None:
    try:
        child = Child(process, lambda _, line: None if line == NOTHING else say(line))
    except OSError as error:  # no memory, no process; the next hour may fare better
        say(f"nothing old could be deleted: {error}")
        return
    try:
        while child.status() is None and not stopping.wait(LOOK_S):
            pass
    finally:
        child.close()  # in the middle, too: it deletes in small transactions
