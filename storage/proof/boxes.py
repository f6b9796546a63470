"""Whether a file is a whole MP4, judged by its outermost boxes alone.

HTTP does not notice a body that is ended by closing the connection too soon, nor one longer than its declared length,
and a cut file still decodes its first frame. But the boxes of an MP4 state their lengths, so in a whole file they
follow each other to the last byte. (ISO/IEC 14496-12, 4.2)
"""

import os
from typing import BinaryIO

from storage.errors import BadVideo

NEEDED = (b"moov", b"mdat")
MAX_BOXES = 100_000  # a fragmented film of a day has fewer; without a bound, 2 GiB of empty boxes would be walked
SHORT_HEADER, LONG_HEADER = 8, 16
TO_THE_END, LENGTH_FOLLOWS = 0, 1


def check_boxes(file: BinaryIO, size: int) -> None:
    """Raise BadVideo unless `ftyp` comes first, the boxes fill `size` bytes exactly, and `moov` and `mdat` are there.

    Reads headers only and moves the file's position. A last box may say that it goes to the end of the file; its end
    is then no proof, and the probe compares the index of frames with the file's size instead.
    """
    seen: set[bytes] = set()
    position = count = 0
    while position < size:
        kind, length = _box(file, position, size)
        if position == 0 and kind != b"ftyp":
            raise BadVideo(f"the first box is {_name(kind)}, not ftyp")
        if position + length > size:
            raise BadVideo(f"cut off: box {_name(kind)} at byte {position} needs {position + length - size} bytes more")
        seen.add(kind)
        position += length
        count += 1
        if count > MAX_BOXES:
            raise BadVideo(f"more than {MAX_BOXES} boxes")
    missing = [_name(kind) for kind in NEEDED if kind not in seen]
    if missing:
        raise BadVideo(f"no {' and no '.join(missing)} box in {size} bytes")


def _box(file: BinaryIO, position: int, size: int) -> tuple[bytes, int]:
    """The name and whole length of the box at `position`."""
    file.seek(position, os.SEEK_SET)
    header = file.read(LONG_HEADER)
    if len(header) < SHORT_HEADER:
        raise BadVideo(f"{size - position} stray bytes at the end")
    length, kind = int.from_bytes(header[:4], "big"), header[4:8]
    least = SHORT_HEADER
    if length == TO_THE_END:
        return kind, size - position
    if length == LENGTH_FOLLOWS:
        if len(header) < LONG_HEADER:
            raise BadVideo(f"cut off in the header of box {_name(kind)}")
        length, least = int.from_bytes(header[8:16], "big"), LONG_HEADER
    if length < least:
        raise BadVideo(f"box {_name(kind)} at byte {position} claims {length} bytes")
    return kind, length


def _name(kind: bytes) -> str:
    return kind.decode("ascii", "backslashreplace") if kind.isalnum() else repr(kind)
