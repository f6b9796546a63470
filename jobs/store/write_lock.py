"""One writer at a time on a SQLite file, over all processes, in turn; and no wait without an end.

The lock is the kernel's (flock), so a dead process frees it, and the kernel's queue serves processes in turn. But
such a wait has no time limit, and a process that is frozen in a transaction keeps the lock. So where the lock is
not free, one thread of this process waits for it, however long that takes, and hands it to whoever waits longest
here.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections import deque
from pathlib import Path


class StillLocked(Exception):
    """Another process has held the lock for all of the time that one may wait."""


class _Waiter:
    def __init__(self) -> None:
        self.given = threading.Event()
        self.held: int | None = None


class WriteLock:
    """`acquire` gives what `release` takes. Threads may share it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._mutex = threading.Lock()
        self._waiters: deque[_Waiter] = deque()
        self._is_waited_for = False

    def acquire(self, *, timeout_s: float) -> int:
        """The lock, in turn. Raises StillLocked, OSError (the file cannot be opened)."""
        with self._mutex:
            if not self._waiters and (held := self._at_once()) is not None:
                return held
            waiter = _Waiter()
            self._waiters.append(waiter)
            if not self._is_waited_for:
                self._is_waited_for = True
                threading.Thread(target=self._wait, name="write-lock", daemon=True).start()
        waiter.given.wait(timeout_s)
        with self._mutex:
            if waiter.held is None:
                self._waiters.remove(waiter)
                raise StillLocked
            return waiter.held

    def release(self, held: int) -> None:
        os.close(held)

    def _at_once(self) -> int | None:
        lock = self._open()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock

    def _wait(self) -> None:
        """Take the lock for one waiter after the other. Whoever has it has it on a descriptor of its own."""
        while True:
            try:
                lock = self._open()
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError:
                with self._mutex:
                    self._is_waited_for = False  # those who wait have an end of their own
                raise
            with self._mutex:
                if not self._waiters:
                    self._is_waited_for = False
                    os.close(lock)
                    return
                waiter = self._waiters.popleft()
                waiter.held = lock
                waiter.given.set()

    def _open(self) -> int:
        return os.open(self._file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
