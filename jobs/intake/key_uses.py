"""Remembers when API keys were last used, beside the requests: no answer waits for this write.

SQLite has one writer at a time, and a read that had to write first would queue behind every step. So a request only
puts its key's id into a set, at most once a minute for each key; a thread writes what is there. What a crash or a
database that is away loses is a minute of a date.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from jobs.intake import api_keys
from jobs.intake.api_keys import USE_WRITTEN_EVERY
from jobs.store.database import Database, DatabaseUnavailable

log = structlog.get_logger()


class KeyUses:
    """The web process's memory of used keys, and the thread that writes it down."""

    def __init__(self, database: Database, *, monotonic: Callable[[], float] = time.monotonic):
        self._database, self._monotonic = database, monotonic
        self._noted: dict[str, float] = {}
        self._unwritten: set[str] = set()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="key-uses", daemon=True)
        self._thread.start()

    def note(self, key_id: str) -> None:
        """A live key was used just now. Touches no database."""
        now = self._monotonic()
        with self._changed:
            if now - self._noted.get(key_id, float("-inf")) < USE_WRITTEN_EVERY.total_seconds():
                return
            self._noted[key_id] = now  # grows with the live keys alone: no other gets here
            self._unwritten.add(key_id)
            self._changed.notify()

    def close(self) -> None:
        """Write what is left, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unwritten or self._closing)
                key_ids, self._unwritten = self._unwritten, set()
                closing = self._closing
            if key_ids:
                self._write(key_ids)
            if closing:
                return

    def _write(self, key_ids: set[str]) -> None:
        try:
            api_keys.mark_used(self._database, key_ids)
        except DatabaseUnavailable as e:
            log.warning("key_use_not_written", reason=str(e))
        except Exception:  # this thread outlives whatever a database may say
            log.exception("key_use_not_written")
