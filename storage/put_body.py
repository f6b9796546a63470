"""A spool file as botocore reads it, letting the caller live while it does."""

import hashlib
import time
from collections.abc import Callable

from storage.spool import Spooled

KEEP_GOING_S = 0.25
READ_BYTES = 256 << 10


class PutBody:
    """Calls `keep_going` up to four times a second while it is read; what that raises is kept in `stopped`.

    From then on it gives no byte: botocore takes what comes out of here for an error of the network, and sends again.
    `sha256`, in hex, goes into the signature.
    """

    def __init__(self, spooled: Spooled, keep_going: Callable[[], None] | None) -> None:
        file, self.sha256 = spooled.file, spooled.sha256
        file.seek(0)
        self.stopped: BaseException | None = None
        self._file, self._keep_going = file, keep_going
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
        if self.stopped is not None:
            raise self.stopped
        now = time.monotonic()
        if self._keep_going and now - self._called_at >= KEEP_GOING_S:
            self._called_at = now
            try:
                self._keep_going()
            except BaseException as error:
                self.stopped = error  # botocore wraps what comes out of here
                raise
        return self._file.read(count)
