"""Whether a file is a whole MP4, judged by its outermost boxes alone.

HTTP does not notice a body that is ended by closing the connection too soon, nor one longer than its declared length,
and a cut file still decodes its first frame. But the boxes of an MP4 state their lengths, so in a whole file they
follow each other to the last byte of the last one. (ISO/IEC 14496-12, 4.2) What stands behind that is passed over, as
players do, unless it may be the rest of a film.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Protocol

from storage.errors import BadVideo
from storage.first_boxes import FIRST_BOXES, LATE_BYTES, what_else

NEEDED = (b"moov", b"mdat")
FRAGMENT, INDEX = b"moof", b"sidx"
OF_A_FILM = (*NEEDED, FRAGMENT)  # what nothing plays without
# What else stands at the top level; one of these that is too long was cut off, and anything else is no box.
BOXES = FIRST_BOXES | {*OF_A_FILM, INDEX, *b"udta meta mfra mfro ssix prft emsg imda".split()}
MAX_BOXES = 100_000  # a fragmented film of a day has fewer; without a bound, 2 GiB of empty boxes would be walked
MAX_STRAY_READ = 1 << 20
MAX_INDEX_BYTES = 1 << 20
SHORT_HEADER, LONG_HEADER = 8, 16
TO_THE_END, LENGTH_FOLLOWS = 0, 1


class Readable(Protocol):
    """As much of a file as is needed here."""

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int: ...
    def read(self, count: int, /) -> bytes: ...


class Box(NamedTuple):
    """A box whose header could be read: its name, where it begins, its header's length, and its whole length."""

    kind: bytes
    position: int
    header: int
    length: int

    @property
    def end(self) -> int:
        return self.position + self.length


def check_boxes(file: BinaryIO, size: int) -> None:
    """Raise BadVideo unless the boxes are those of a whole film, the last one's end, or stray bytes, at `size`.

    Reads headers only and moves the file's position. A last box may say that it goes to the end of the file; its end
    is then no proof, and the probe compares the index of frames with the file's size instead.
    """
    seen: set[bytes] = set()
    position = count = 0
    while position < size:
        box, fault = _box(file, position, size)
        if position == 0 and box is not None and box.kind not in FIRST_BOXES:
            raise BadVideo(_no_film(file, box))
        if fault is not None:
            if seen.issuperset(NEEDED) and _is_stray(file, box, position, size, seen):
                break
            raise BadVideo(fault)
        assert box is not None
        if box.kind == INDEX:
            _check_index(file, box, size)
        seen.add(box.kind)
        position = box.end
        count += 1
        if count > MAX_BOXES:
            raise BadVideo(f"more than {MAX_BOXES} boxes")
    missing = [_name(kind) for kind in NEEDED if kind not in seen]
    if missing:
        raise BadVideo(f"no {' and no '.join(missing)} box in {size} bytes")


def is_in_fragments(file: Readable, size: int) -> bool:
    """Whether a film's samples come in fragments."""
    return any(box.kind == FRAGMENT for box in _boxes(file, 0, size))


def promised_s(file: Readable, size: int) -> float | None:
    """How long the header of a film in fragments says that all of them are; None where it does not say. (8.8.2)"""
    scale = length = 0
    for moov in _boxes(file, 0, size):
        if moov.kind == b"moov":
            for inner in _boxes(file, moov.position + moov.header, moov.end):
                if inner.kind == b"mvhd":
                    scale = _number(file, inner, 12, 20, always_short=True)
                elif inner.kind == b"mvex":
                    for mehd in _boxes(file, inner.position + inner.header, inner.end):
                        length = _number(file, mehd, 4, 4) if mehd.kind == b"mehd" else length
    return length / scale if scale and length else None


def _boxes(file: Readable, position: int, end: int) -> Iterator[Box]:
    """The boxes of a region, as far as they can be read."""
    for _ in range(MAX_BOXES):
        box, fault = _box(file, position, end) if position < end else (None, "")
        if box is None or fault is not None:
            return
        yield box
        position = box.end


def _number(file: Readable, box: Box, short_at: int, long_at: int, *, always_short: bool = False) -> int:
    """A number of a box with a version, of four bytes in version 0 and eight in version 1. All ones: not known."""
    file.seek(box.position + box.header)
    data = file.read(long_at + 8)
    at, width = (long_at, 4 if always_short else 8) if data[:1] == b"\1" else (short_at, 4)
    found = data[at : at + width]
    return 0 if found == b"\xff" * width else int.from_bytes(found, "big")


def _check_index(file: BinaryIO, box: Box, size: int) -> None:
    """An index of segments says where the last of them ends. (8.16.3)"""
    file.seek(box.position + box.header)
    data = file.read(min(box.length - box.header, MAX_INDEX_BYTES))
    width = 8 if data[:1] == b"\1" else 4
    counted = 12 + 2 * width
    begin = box.end + int.from_bytes(data[12 + width : counted], "big")
    number = int.from_bytes(data[counted + 2 : counted + 4], "big")
    entries = (data[at : at + 4] for at in range(counted + 4, counted + 4 + 12 * number, 12))
    end = begin + sum(int.from_bytes(entry, "big") & 0x7FFFFFFF for entry in entries)
    if end > size:
        raise BadVideo(f"cut off: its index names segments that end {end - size} bytes behind it")


def _box(file: Readable, position: int, size: int) -> tuple[Box | None, str | None]:
    """The box at `position`, as far as its header can be read, and what is wrong with it."""
    file.seek(position)
    header = file.read(LONG_HEADER)
    if len(header) < SHORT_HEADER or size - position < SHORT_HEADER:
        return None, f"{size - position} stray bytes at the end"
    length, kind = int.from_bytes(header[:4], "big"), header[4:8]
    least = SHORT_HEADER
    if length == TO_THE_END:
        length = size - position
    elif length == LENGTH_FOLLOWS:
        least = LONG_HEADER
        if len(header) < LONG_HEADER:
            return Box(kind, position, least, 0), f"cut off in the header of box {_name(kind)}"
        length = int.from_bytes(header[8:16], "big")
    box = Box(kind, position, least, length)
    if length < least:
        return box, f"box {_name(kind)} at byte {position} claims {length} bytes"
    if box.end > size:
        return box, f"cut off: box {_name(kind)} at byte {position} needs {box.end - size} bytes more"
    return box, None


def _is_stray(file: BinaryIO, box: Box | None, position: int, size: int, seen: set[bytes]) -> bool:
    """Whether what stands behind the boxes of a film is none of it: a line of text, padding."""
    if box is not None and box.kind in BOXES:
        return False
    file.seek(position)
    rest = file.read(min(size - position, MAX_STRAY_READ))
    if box is None and FRAGMENT in seen and rest.startswith(b"\0"):
        return False  # perhaps the beginning of another fragment's header
    return not any(kind in rest for kind in OF_A_FILM)


def _no_film(file: BinaryIO, first: Box) -> str:
    """What is said of a file that does not begin as an MP4 does."""
    file.seek(0)
    if (container := what_else(file.read(LATE_BYTES))) is not None:
        return f"it is {container}: only an MP4 can be proven to play"
    return f"the first box is {_name(first.kind)}, which no film begins with"


def _name(kind: bytes) -> str:
    return kind.decode("ascii", "backslashreplace") if kind.isalnum() else repr(kind)
