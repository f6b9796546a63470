"""Shares of a process's threads: a slow gateway must not take them all, and submits must leave some for queries."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Literal

Kind = Literal["submit", "query"]


class Gates:
    """At most a quarter of the slots per gateway and kind; submits leave a quarter of all slots to queries."""

    def __init__(self, slots: int):
        self._per_gateway = max(1, slots // 4)
        self._submits = max(1, slots - max(1, slots // 4))
        self._inside: Counter[tuple[str, Kind]] = Counter()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def enter(self, gateway: str, kind: Kind) -> Iterator[bool]:
        """Yields whether there is room. Nobody waits here: without room the job's alarm moves."""
        admitted = self._try(gateway, kind)
        try:
            yield admitted
        finally:
            if admitted:
                with self._lock:
                    self._inside[gateway, kind] -= 1

    def _try(self, gateway: str, kind: Kind) -> bool:
        with self._lock:
            submits = sum(n for (_, k), n in self._inside.items() if k == "submit")
            full = self._inside[gateway, kind] >= self._per_gateway
            if full or (kind == "submit" and submits >= self._submits):
                return False
            self._inside[gateway, kind] += 1
            return True
