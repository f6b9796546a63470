"""Shares of a process's threads: a slow gateway must not take them all, and submits must leave some for queries."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal

Kind = Literal["submit", "query"]

SOONEST_S = 1.0
LATEST_S = 30.0
COME_BACK_PER_S = 20  # more would keep a worker busy with turning jobs away


class Gates:
    """At most a quarter of the slots per gateway and kind; submits leave a quarter of all slots to queries."""

    def __init__(self, slots: int, monotonic: Callable[[], float] = time.monotonic):
        self._per_gateway = max(1, slots // 4)
        self._submits = max(1, slots - max(1, slots // 4))
        self._monotonic = monotonic
        self._inside: Counter[tuple[str, Kind]] = Counter()
        self._last_in_line: dict[tuple[str, Kind], float] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def enter(self, gateway: str, kind: Kind) -> Iterator[float]:
        """Yields 0 where there is room, else in how many seconds to come back; nobody waits here.

        Those turned away stand in a line, so that a thousand of them do not all come back every second.
        """
        come_back_in = self._try(gateway, kind)
        try:
            yield come_back_in
        finally:
            if not come_back_in:
                with self._lock:
                    self._inside[gateway, kind] -= 1

    def _try(self, gateway: str, kind: Kind) -> float:
        with self._lock:
            submits = sum(n for (_, k), n in self._inside.items() if k == "submit")
            full = self._inside[gateway, kind] >= self._per_gateway
            if full or (kind == "submit" and submits >= self._submits):
                return self._place_in_line(gateway, kind)
            self._inside[gateway, kind] += 1
            return 0

    def _place_in_line(self, gateway: str, kind: Kind) -> float:
        now = self._monotonic()
        after_the_last = self._last_in_line.get((gateway, kind), now) + 1 / COME_BACK_PER_S
        at = min(max(now + SOONEST_S, after_the_last), now + LATEST_S)
        self._last_in_line[gateway, kind] = at
        return at - now
