"""Whether a disk takes anything more. Asked by writing: limits and quotas show in no number."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_TRIED = bytes(64 * 1024)


def has_room(folder: Path) -> bool:
    """Whether a file of 64 KiB fits into this folder; it is gone at once. True where that cannot be told."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            rest = memoryview(_TRIED)
            while rest:
                rest = rest[file.write(rest) :]
    except OSError as e:
        return e.errno not in NO_ROOM
    return True
