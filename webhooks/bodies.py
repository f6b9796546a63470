"""Bodies of callbacks, read within a time: no server that we run bounds how long a sender may take over one.

Nearly every body is there when its request is, and is read by the request's own thread: to hand it to another one costs
more than to read it. Nothing can end a read whose sender is silent, so few may be under way like this at a time. Else
another thread reads, and whoever waits for it lets go when the time is over. That one stays until its sender goes; few
of one order may, or its next callbacks are put off. A thread that has read is kept for the next body for a moment.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import IO

WITHIN_S = 10
MOST_AWAITED = 120  # beside as many long polls (rushes/api/edge/long_polls.py) the server's 256 threads are not used up
MOST_ABANDONED = 20  # of one order
MOST_HERE = (
    16  # that requests' own threads read at a time: as many senders can keep such a thread for as long as they like
)
IDLE_S = 1.0  # for which a thread waits for another body; those of a burst stay until the next one


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


@dataclass(eq=False)
class _Reader:
    """A thread's work: what it reads now, and that it was given."""

    reading: _Reading
    given: threading.Event = field(default_factory=threading.Event)


class Bodies:
    """Reads the bodies of one process. Safe for threads."""

    def __init__(self, *, within_s: float = WITHIN_S):
        self._within_s = within_s
        self._lock = threading.Lock()
        self._here = self._awaited = 0
        self._abandoned: Counter[str] = Counter()  # by order
        self._idle: list[_Reader] = []

    def read(self, stream: IO[bytes], size: int, *, order: str) -> bytes | None:
        """At most `size` bytes; None for a body that breaks off as it comes. Raises TooSlow, TooMany.

        `order`: whose callback it is; the caller has checked that it is genuine.
        """
        with self._lock:
            is_here = self._here < MOST_HERE
            self._here += is_here
        if not is_here:
            return self._await(stream, size, order)
        try:
            return _read(stream, size)
        finally:
            with self._lock:
                self._here -= 1

    def _await(self, stream: IO[bytes], size: int, order: str) -> bytes | None:
        with self._lock:
            if self._awaited >= MOST_AWAITED or self._abandoned[order] >= MOST_ABANDONED:
                raise TooMany
            self._awaited += 1
        reading = _Reading(stream, size, order)
        try:
            self._give(reading)
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

    def _give(self, reading: _Reading) -> None:
        with self._lock:
            reader = self._idle.pop() if self._idle else None
            if reader is not None:
                reader.reading = reading
                reader.given.set()
                return
        threading.Thread(target=self._run, args=(_Reader(reading),), name="body", daemon=True).start()

    def _run(self, reader: _Reader) -> None:
        while True:
            self._read(reader.reading)
            with self._lock:
                reader.given.clear()
                self._idle.append(reader)
            if not reader.given.wait(IDLE_S):
                with self._lock:
                    if reader in self._idle:  # else it was given one just now
                        self._idle.remove(reader)
                        return

    def _read(self, reading: _Reading) -> None:
        try:
            reading.body = _read(reading.stream, reading.size)
        finally:
            with self._lock:
                reading.ended.set()
                if reading.is_abandoned:
                    self._abandoned[reading.order] -= 1
                    if not self._abandoned[reading.order]:
                        del self._abandoned[reading.order]


def _read(stream: IO[bytes], size: int) -> bytes | None:
    try:
        return stream.read(size)
    except (OSError, ValueError):  # chunks that are none, or a connection that is closed
        return None
