"""The watchdog: threads have no time limits, so a process whose step is stuck far past its deadline ends itself.

Its leases run out, others take its jobs up, and whoever supervises it starts it again.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping

import structlog

from jobs.store import heartbeats
from jobs.store.database import Database, DatabaseUnavailable

STUCK = 70  # the exit status that asks to be started again

log = structlog.get_logger()


class Watchdog:
    """Counts the steps that run, says in the database that the process lives, and ends it when a step is stuck."""

    def __init__(
        self,
        database: Database,
        name: str,
        role: str,
        limits: Mapping[str, float],
        *,
        interval_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        end: Callable[[int], None] = os._exit,
    ):
        self._database, self._name, self._role = database, name, role
        self._limits = limits
        self._interval_s = interval_s
        self._monotonic = monotonic
        self._end = end
        self._running: dict[int, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    @contextlib.contextmanager
    def watching(self, step: str) -> Iterator[None]:
        """A step runs in this thread."""
        thread = threading.get_ident()
        with self._lock:
            self._running[thread] = (step, self._monotonic())
        try:
            yield
        finally:
            with self._lock:
                self._running.pop(thread, None)

    def stuck(self) -> str | None:
        """The name of a step that has run far too long, if there is one."""
        late = self._late()
        return None if late is None else late[1]

    def _late(self) -> tuple[int, str] | None:
        """The thread and the name of that step."""
        now = self._monotonic()
        with self._lock:
            for thread, (step, began) in self._running.items():
                if now - began > self._limits.get(step, float("inf")):
                    return thread, step
        return None

    def start(self) -> None:
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while True:
            late = self._late()
            if late is not None:
                thread, step = late
                log.critical("step_stuck", step=step, status=STUCK)
                traceback.print_stack(sys._current_frames().get(thread))
                faulthandler.dump_traceback()  # of all threads, but of no more than a hundred
                self._end(STUCK)
            try:
                heartbeats.beat(self._database, self._name, self._role)
            except DatabaseUnavailable as e:
                log.warning("heartbeat_missed", reason=str(e))
            except Exception:  # this thread outlives whatever a database may say
                log.exception("heartbeat_missed")
            if self._stopped.wait(self._interval_s):
                return
