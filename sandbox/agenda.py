"""What is to happen later: a list of calls by time, and the thread that makes them."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)
LONGEST_NAP_S = 0.2


class Agenda:
    """Calls to make at given times of `now`.

    Without `start` nothing runs by itself: whoever holds the clock calls `run_due`.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._news = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def add(self, at: float, call: Callable[[], None]) -> None:
        """Make `call` at unix time `at`, or as soon as may be when that has passed. Calls must be short."""
        with self._news:
            heapq.heappush(self._entries, (at, next(self._numbers), call))
            self._news.notify()

    def run_due(self) -> int:
        """Make every call that is due; returns how many were made."""
        made = 0
        while True:
            with self._news:
                if not self._entries or self._entries[0][0] > self._now():
                    return made
                call = heapq.heappop(self._entries)[2]
            made += 1
            try:
                call()
            except Exception:
                log.exception("an entry of the agenda failed")

    def start(self) -> None:
        """Run what falls due in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="sandbox-agenda", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Run nothing more."""
        with self._news:
            self._stopping = True
            self._news.notify()
        if self._thread is not None:
            self._thread.join(1)

    def _run(self) -> None:
        while not self._stopping:
            self.run_due()
            with self._news:
                wait = self._entries[0][0] - self._now() if self._entries else LONGEST_NAP_S
                if wait > 0 and not self._stopping:
                    self._news.wait(min(wait, LONGEST_NAP_S))
