"""How a film begins: the names that the first box of an MP4 or QuickTime file has."""

HEADER_BYTES = 8  # a box's length, then its name

# `ftyp` in all new files. Old cameras and editors write room to spare before it, or the media, and no `ftyp` at all.
FIRST_BOXES = frozenset(
    {b"ftyp", b"styp", b"free", b"skip", b"wide", b"uuid", b"pdin", b"pnot", b"PICT", b"mdat", b"moov", b"sidx"}
)


def begins_like_a_film(head: bytes) -> bool:
    """Whether bytes that begin so may be a film."""
    return head[4:HEADER_BYTES] in FIRST_BOXES
