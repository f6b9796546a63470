"""Long polls: requests that stay until their job is at rest or has changed.

Each holds one of the server's threads, so at most half of them may; whoever comes beyond is answered at once. None
holds a database connection, and none asks by itself: one thread looks at all jobs that are waited for in one SELECT,
and only while somebody waits. Valkey is not asked, so its absence makes no wait longer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import sqlalchemy as sa
import structlog

from jobs.machine.case import Case
from jobs.machine.states import ENDED, State
from jobs.store.database import Database, DatabaseUnavailable
from jobs.store.many import one_of
from jobs.store.step_table import NAMED, REFUSED
from jobs.store.tables import jobs

SERVER_THREADS = 256  # granian's --blocking-threads in the Procfile
MOST_WAITS = SERVER_THREADS // 2
LOOK_EVERY_S = 0.25
LONGEST_WAIT_S = 60

_SEEN = sa.select(
    jobs.c.id, jobs.c.version, jobs.c.flagged, jobs.c.state, NAMED.label("is_named"), REFUSED.label("refused")
).where(one_of(jobs.c.id, "ids"))

log = structlog.get_logger()


class Seen(NamedTuple):
    """What tells one look at a job from the next."""

    version: int
    flagged: str | None  # the one thing shown that may change without a new version
    rests: bool  # it has ended, and nobody waits for an answer about a task that a person named
    refused: int  # how many of its orders have a task that a person named and their gateway refused

    @property
    def etag(self) -> str:
        """The opaque part of the job's ETag, a weak one: its place in line is told anew every time."""
        return f"{self.version}-{self.flagged}" if self.flagged else str(self.version)


def seen(case: Case) -> Seen:
    refused = sum(attempt.named_refused is not None for attempt in case.attempts.values())
    return _seen(case.job.version, case.job.flagged, case.job.state, case.is_named, refused)


def _seen(version: int, flagged: str | None, state: State, is_named: bool, refused: int) -> Seen:
    return Seen(version, flagged, state in ENDED and not is_named, refused)


@dataclass(eq=False)
class _Wait:
    job_id: str
    before: Seen
    for_rest: bool  # until the job is at rest, or a name was refused; else until it looks otherwise than before
    over: threading.Event = field(default_factory=threading.Event)
    failed: bool = False

    def look(self, now: Seen | None) -> None:
        if now is None or (not self.for_rest and now != self.before):
            self.over.set()
        elif self.for_rest:
            if now.rests or now.refused > self.before.refused:
                self.over.set()
            self.before = now


class Waits:
    """The web process's long polls, and the thread that watches for them."""

    def __init__(self, database: Database, *, most: int = MOST_WAITS):
        self._database, self._most = database, most
        self._waits: set[_Wait] = set()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="waits", daemon=True)
        self._thread.start()

    def until_at_rest(self, job_id: str, since: Seen, *, timeout_s: float) -> bool:
        """Return once the job is at rest, is gone, or the time is over. False: too many wait, and nobody waited.

        It returns as well once a gateway has refused a task that a person named, though the job goes on. Raises
        DatabaseUnavailable.
        """
        return self._wait(_Wait(job_id, since, for_rest=True), timeout_s)

    def until_changed(self, job_id: str, since: Seen, *, timeout_s: float) -> bool:
        """As `until_at_rest`, once the job looks otherwise than `since`."""
        return self._wait(_Wait(job_id, since, for_rest=False), timeout_s)

    @property
    def count(self) -> int:
        """How many wait just now."""
        return len(self._waits)

    def close(self) -> None:
        """End every wait, and the thread."""
        with self._changed:
            self._closing.set()
            self._changed.notify()
        self._thread.join(timeout=5)
        with self._changed:
            for wait in self._waits:
                wait.over.set()

    def _wait(self, wait: _Wait, timeout_s: float) -> bool:
        with self._entered(wait) as entered:
            if entered:
                wait.over.wait(timeout_s)
        if wait.failed:
            raise DatabaseUnavailable("The database went away during the wait.")
        return entered

    @contextmanager
    def _entered(self, wait: _Wait) -> Iterator[bool]:
        with self._changed:
            entered = len(self._waits) < self._most and not self._closing.is_set()
            if entered:
                self._waits.add(wait)
                self._changed.notify()
        try:
            yield entered
        finally:
            with self._changed:
                self._waits.discard(wait)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waits or self._closing.is_set())
                waits = list(self._waits)
            if self._closing.is_set():
                return
            began = time.monotonic()
            self._look(waits)
            self._closing.wait(max(0.0, LOOK_EVERY_S - (time.monotonic() - began)))

    def _look(self, waits: list[_Wait]) -> None:
        try:
            with self._database.read() as db:
                rows = db.execute(_SEEN, {"ids": sorted({wait.job_id for wait in waits})}).all()
        except Exception as e:  # this thread outlives whatever a database may say
            log.warning("waits_cannot_look", reason=str(e) if isinstance(e, DatabaseUnavailable) else type(e).__name__)
            for wait in waits:
                wait.failed = True
                wait.over.set()
            return
        now = {row.id: _seen(row.version, row.flagged, State(row.state), row.is_named, row.refused) for row in rows}
        for wait in waits:
            wait.look(now.get(wait.job_id))
