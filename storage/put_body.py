"""A spool file as botocore reads it, letting the caller live while it does."""

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import Future, wait

from storage.spool import Spooled

KEEP_GOING_S = 0.25
READ_BYTES = 256 << 10


class PutBody:
    """Calls `keep_going` up to four times a second while it is read; what that raises is kept in `stopped`.

    From then on it gives no byte: botocore takes what comes out of here for an error of the network, and sends again.
    Its last bytes are held back until `first` is done, and never given if that fails.
    `sha256`, in hex, goes into the signature.
    """

    def __init__(
        self, spooled: Spooled, keep_going: Callable[[], None] | None, first: Future[None] | None = None
    ) -> None:
        file, self.sha256 = spooled.file, spooled.sha256
        file.seek(0)
        self.stopped: BaseException | None = None
        self._file, self._bytes = file, spooled.bytes
        self._keep_going, self._first = keep_going, first
        self._called_at = time.monotonic()
        self.seek, self.tell = file.seek, file.tell

    def md5(self) -> bytes:
        """The MD5 of the whole; the next read is of the beginning again."""
        digest = hashlib.md5(usedforsecurity=False)
        for piece in iter(lambda: self.read(READ_BYTES), b""):
            digest.update(piece)
        self.seek(0)
        return digest.digest()

    def read(self, count: int = -1) -> bytes:
        self._live()
        piece = self._file.read(count)
        if self._first is not None and self._file.tell() >= self._bytes:
            self._await(self._first)
        return piece

    def _await(self, first: Future[None]) -> None:
        while not wait([first], KEEP_GOING_S).done:
            self._live()
        self.stopped = first.exception()
        self._live()

    def _live(self) -> None:
        """Raise what has stopped us, now or before; let the caller live if it is time."""
        now = time.monotonic()
        if self.stopped is None and self._keep_going and now - self._called_at >= KEEP_GOING_S:
            self._called_at = now
            try:
                self._keep_going()
            except BaseException as error:
                self.stopped = error  # botocore wraps what comes out of here
        if self.stopped is not None:
            raise self.stopped
