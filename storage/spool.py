"""A file without a name: bytes wait there until they are proven, and vanish with their holder, even on kill -9."""

import errno
import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from storage.errors import SpoolFull, StorageError

# The data folder may hold the database as well; a spool that took its last block would stop everything.
MARGIN_BYTES = 64 << 20
# Others spool beside us, so the room is looked at again as we go.
LOOK_AGAIN_BYTES = 16 << 20
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass
class Spooled:
    """A whole body on disk. `file` is open, unlinked and positioned anywhere; `sha256` is in hex."""

    file: BinaryIO
    bytes: int
    sha256: str

    def close(self) -> None:
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Spool:
    """A spool file being written.

    Raises SpoolFull when the disk has no room, now or for the `expected` bytes, and StorageError for its other faults.
    """

    def __init__(self, folder: Path, *, expected: int = 0) -> None:
        self.bytes = 0
        self._folder = folder
        self._hash = hashlib.sha256()
        self._looked_at = 0
        try:
            self._require_room(expected)
            # O_TMPFILE where the file system has it, else named and unlinked at once. Unbuffered, so that a full disk
            # shows in write() and never in close().
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        except OSError as error:
            raise _trouble(f"{folder} takes no file", error) from error

    def write(self, data: bytes) -> None:
        if self.bytes - self._looked_at >= LOOK_AGAIN_BYTES:
            self._looked_at = self.bytes
            self._require_room(0)
        self._hash.update(data)
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise _trouble(f"the disk took {self.bytes} bytes and no more", error) from error
        self.bytes += len(data)

    def finish(self) -> Spooled:
        """Hand the file over; from here on the taker closes it."""
        return Spooled(self._file, self.bytes, self._hash.hexdigest())

    def close(self) -> None:
        self._file.close()

    def _require_room(self, expected: int) -> None:
        free = _free_bytes(self._folder)
        if free < expected + MARGIN_BYTES:
            raise SpoolFull(f"{self._folder} has {free} bytes free; {expected + MARGIN_BYTES} are needed")


def has_room(folder: Path) -> bool:
    """Whether a spool in this folder would take a first byte. True where that cannot be told."""
    try:
        return _free_bytes(folder) >= MARGIN_BYTES and _takes_a_file(folder)
    except OSError:
        return True


def _takes_a_file(folder: Path) -> bool:
    """What a quota refuses shows in no number."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(b"\0")
    except OSError as error:
        return error.errno not in NO_ROOM
    return True


def _free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def _trouble(said: str, error: OSError) -> StorageError:
    kind = SpoolFull if error.errno in NO_ROOM else StorageError
    return kind(f"{said}: {error.strerror}")
