"""How a film begins: the names that the first box of an MP4 or QuickTime file has, and the marks of other containers.

Only MP4 and QuickTime can be proven to play. What else may be a film is told from pages and pictures, so that it is not
thrown away unread.
"""

import re

HEADER_BYTES = 16  # as many tell

# `ftyp` in all new files. Old cameras and editors write room to spare before it, or the media, and no `ftyp` at all.
FIRST_BOXES = frozenset(
    {b"ftyp", b"styp", b"free", b"skip", b"wide", b"uuid", b"pdin", b"pnot", b"PICT", b"mdat", b"moov", b"sidx"}
)
# A first box that does not stand at the beginning: behind a byte order mark, a line's end, a header in the body.
LATE_BOX = re.compile(rb"\0\0.{2}ftyp", re.DOTALL)
LATE_BYTES = 256
OTHERS = (
    ("WebM or Matroska", re.compile(rb"\x1a\x45\xdf\xa3")),
    ("AVI", re.compile(rb"RIFF.{4}AVI ", re.DOTALL)),
    ("MPEG-TS", re.compile(rb"G@[\x00\x11][\x10-\x1f\x30-\x3f]|.{4}G@[\x00\x11][\x10-\x1f\x30-\x3f]", re.DOTALL)),
    ("MPEG-PS", re.compile(rb"\0\0\x01\xba")),
    ("FLV", re.compile(rb"FLV\x01")),
    ("Ogg", re.compile(rb"OggS")),
    ("WMV", re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11")),
    ("IVF", re.compile(rb"DKIF")),
    ("MXF", re.compile(rb"\x06\x0e\x2b\x34\x02\x05\x01\x01")),
    ("pictures without a container", re.compile(rb"\0?\0\0\x01[\x09\x67\x40\x46\xb0\xb3]")),
)


def begins_like_a_film(head: bytes) -> bool:
    """Whether bytes that begin so may be a film, in whatever container."""
    return head[4:8] in FIRST_BOXES or what_else(head) is not None


def what_else(head: bytes) -> str | None:
    """What a film is that begins so and not as an MP4 does, in words; None: nothing that is known to be one."""
    named = next((name for name, mark in OTHERS if mark.match(head)), None)
    return named or ("an MP4 behind something else" if LATE_BOX.search(head[:LATE_BYTES]) else None)
