"""Bodies as they were before they were packed, judged by their bytes alone.

Stores hand on whatever an uploader has said of a body: `aws-chunked`, `utf-8`, `none`. So what a head says is passed
over; gzip and zlib tell what they are by their first bytes, and no film begins like them.
"""

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

_GZIP, _ZLIB = b"\x1f\x8b", (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_GZIP_OR_ZLIB, _GZIP_ALONE = zlib.MAX_WBITS | 32, zlib.MAX_WBITS | 16
_MOST_LAYERS = 2  # an uploader's, and one of what stands before the store


def unpacked(pieces: Iterator[bytes], longest: int) -> Iterator[bytes]:
    """The pieces of a body, none of them empty; of gzip and zlib what was packed, in pieces of at most `longest` bytes.

    What breaks off or is damaged ends where it does: whether that was all is for the proof of the film to say. All
    pieces are taken in any case, so that whoever counts them knows how many came.
    """
    for _ in range(_MOST_LAYERS):
        head = b""
        while len(head) < 2 and (piece := next(pieces, b"")):
            head += piece
        pieces = chain([head] if head else [], pieces)
        if not head.startswith((_GZIP, *_ZLIB)):
            break
        pieces = _inflated(pieces, longest)
    return pieces


def _inflated(pieces: Iterable[bytes], longest: int) -> Iterator[bytes]:
    unpacker, is_over = zlib.decompressobj(_GZIP_OR_ZLIB), False
    for piece in pieces:
        rest, has_more = piece, not is_over
        while has_more:
            try:
                found = unpacker.decompress(rest, longest)
            except zlib.error:  # damaged, or stray bytes behind the end
                is_over = True
                break
            if found:
                yield found
            rest = unpacker.unconsumed_tail
            if unpacker.eof:  # gzip may be of several members
                rest, unpacker = unpacker.unused_data, zlib.decompressobj(_GZIP_ALONE)
            has_more = bool(rest) or len(found) == longest
