"""The total time of one exchange over a socket, kept by somebody who is not reading.

A socket's own timeout begins anew with every byte, so a peer that drips one at a time (in the TLS handshake, the head,
the body) is never late and could hold us for ever. Shutting the connection down is what ends such a read at once.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from types import TracebackType


class TooLate(TimeoutError):
    """The exchange's time was over before this step began."""


class NoThread(RuntimeError):
    """The system gives no more threads, so nothing would end the exchange; it was not begun."""


class Deadline:
    """A block whose connection is shut down when the time is over, or at a `cut`, which wakes its reader.

    An exchange has one connection at a time: kept or fresh, then perhaps another after a redirect. We watch a duplicate
    of its descriptor: TLS detaches the original, whose number may soon be another's, and a shutdown works on what both
    share. Safe for threads: one may cut while another connects.
    """

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._watched: socket.socket | None = None
        self._is_over = False
        self._timer = threading.Timer(seconds, self.cut)
        self._timer.daemon = True  # it must not keep a process alive that has nothing else to do

    def __enter__(self) -> Deadline:
        """Raises NoThread."""
        try:
            self._timer.start()
        except RuntimeError as e:
            raise NoThread("no thread to keep the time") from e
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        """Let the connection go, as it is: it may be kept. One that a straggler opens later is shut at once."""
        self._timer.cancel()
        with self._lock:
            self._is_over = True
            self._let_go()

    @property
    def passed(self) -> bool:
        """Whether the time is over, by the clock, by a `cut` or with the block.

        Ask it before an end of file is believed: the shutdown makes one, and never before this is true.
        """
        return self._is_over or time.monotonic() >= self._ends

    def left_s(self) -> float:
        """Seconds left, more than 0. Raises TooLate."""
        left = self._ends - time.monotonic()
        if left <= 0 or self._is_over:
            raise TooLate("the time is over")
        return left

    def watch(self, sock: socket.socket) -> None:
        """Shut this socket down when the time is over, instead of the one watched before; now, if it is over.

        One that is not connected yet may be watched too, so that its connecting can be cut. But a shutdown just before
        that begins goes by unnoticed: ask `left_s` once it is connected.
        """
        duplicate = socket.socket(fileno=os.dup(sock.fileno()))
        with self._lock:
            self._let_go()
            if self._is_over:
                _shut(duplicate)
                duplicate.close()
            else:
                self._watched = duplicate

    def cut(self) -> None:
        """End the exchange now, from any thread."""
        with self._lock:
            self._is_over = True  # before the shutdown: its end of file must never look like the server's
            if self._watched is not None:
                _shut(self._watched)

    def _let_go(self) -> None:
        if self._watched is not None:
            self._watched.close()
            self._watched = None


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the peer was faster, or it is not connected yet
        sock.shutdown(socket.SHUT_RDWR)
