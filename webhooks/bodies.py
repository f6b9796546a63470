"""Bodies of callbacks, each read by its request's own thread, and so many at a time.

No server that we run bounds how long a sender may take over a body, and nothing ends a read whose sender is silent. It
cannot be answered meanwhile either: granian 2.8 serves nobody any more once a request has been answered whose body
another thread still reads, until its sender goes. So a silent sender keeps a thread for as long as it likes, and those
who come while too many do are refused before anything of their bodies is read.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import IO

MOST = 130  # beside as many long polls (rushes/api/edge/long_polls.py) the server's 256 threads are not used up
MOST_OF_ORDER = 105  # whoever has the address of one order leaves room to all others


class TooMany(Exception):
    """Too many bodies are being read, or too many of this order."""


class Bodies:
    """Reads the bodies of one process. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reading: Counter[str] = Counter()  # by order
        self._all = 0

    def read(self, stream: IO[bytes], size: int, *, order: str) -> bytes | None:
        """At most `size` bytes; None for a body that breaks off as it comes. Raises TooMany.

        `order`: whose callback it is; the caller has checked that it is genuine.
        """
        with self._lock:
            if self._all >= MOST or self._reading[order] >= MOST_OF_ORDER:
                raise TooMany
            self._all += 1
            self._reading[order] += 1
        try:
            return stream.read(size)
        except (OSError, ValueError):  # chunks that are none, or a connection that is closed
            return None
        finally:
            with self._lock:
                self._all -= 1
                self._reading[order] -= 1
                if not self._reading[order]:
                    del self._reading[order]
