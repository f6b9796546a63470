"""Bodies of callbacks, read within a time: no server that we run bounds how long a sender may take over one.

A thread reads, and whoever waits for it lets go when the time is over. Nothing can end a read whose sender is silent,
so such a thread stays until the sender goes; few of one order may, or its next callbacks are put off.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import IO

WITHIN_S = 10
MOST_AWAITED = 120  # beside as many long polls (rushes/api/edge/long_polls.py) the server's 256 threads are not used up
MOST_ABANDONED = 20  # of one order


class TooSlow(Exception):
    """The body was not there in time."""


class TooMany(Exception):
    """Too many are being read, or too many senders of this order never came to an end."""


@dataclass(eq=False)
class _Reading:
    stream: IO[bytes]
    size: int
    order: str
    body: bytes | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    is_abandoned: bool = False


class Bodies:
    """Reads the bodies of one process. Safe for threads."""

    def __init__(self, *, within_s: float = WITHIN_S):
        self._within_s = within_s
        self._lock = threading.Lock()
        self._awaited = 0
        self._abandoned: Counter[str] = Counter()  # by order

    def read(self, stream: IO[bytes], size: int, *, order: str) -> bytes | None:
        """At most `size` bytes; None for a body that breaks off as it comes. Raises TooSlow, TooMany.

        `order`: whose callback it is; the caller has checked that it is genuine.
        """
        with self._lock:
            if self._awaited >= MOST_AWAITED or self._abandoned[order] >= MOST_ABANDONED:
                raise TooMany
            self._awaited += 1
        reading = _Reading(stream, size, order)
        try:
            threading.Thread(target=self._run, args=(reading,), name="body", daemon=True).start()
            reading.ended.wait(self._within_s)
        finally:
            with self._lock:
                self._awaited -= 1
                if not reading.ended.is_set():
                    reading.is_abandoned = True
                    self._abandoned[order] += 1
        if reading.is_abandoned:
            raise TooSlow
        return reading.body

    def _run(self, reading: _Reading) -> None:
        try:
            reading.body = reading.stream.read(reading.size)
        except (OSError, ValueError):  # chunks that are none, or a connection that is closed
            pass
        finally:
            with self._lock:
                reading.ended.set()
                if reading.is_abandoned:
                    self._abandoned[reading.order] -= 1
                    if not self._abandoned[reading.order]:
                        del self._abandoned[reading.order]
