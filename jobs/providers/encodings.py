"""The bytes of an answer as text, in whatever they came: UTF-8 was asked for, unpacked, and is not always what comes.

A byte order mark, UTF-16 and UTF-32 tell what they are, and so do gzip and zlib by their first bytes; a Chinese gateway
may write GB 18030. Nothing here raises: what cannot be read is told by whoever reads it as JSON.
"""

from __future__ import annotations

import codecs
import json
import zlib

LARGEST_UNPACKED_BYTES = 1 << 20
_GZIP, _ZLIB = b"\x1f\x8b", (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_GZIP_OR_ZLIB, _RAW = zlib.MAX_WBITS | 32, -zlib.MAX_WBITS
_MARKED = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_REPLACED = "\N{REPLACEMENT CHARACTER}"


def unpacked(body: bytes) -> bytes:
    """A body as it was before it was packed, perhaps more than once; as it came, if it cannot be unpacked.

    At most a mebibyte: a kibibyte can hold as much, and more is no answer.
    """
    for _ in range(2):
        if body.startswith((_GZIP, *_ZLIB)):
            window = _GZIP_OR_ZLIB
        elif body and body.lstrip()[:1] not in b"{[" and body[0] not in b"\xef\xff\xfe\x00":
            window = _RAW  # "deflate" as some servers write it, without a mark
        else:
            break
        found = _inflated(body, window)
        if found is None:
            break
        body = found
    return body


def text_of(body: bytes) -> str:
    """A body as text. A byte that no encoding explains becomes the replacement character."""
    body = unpacked(body)
    encoding = next((name for mark, name in _MARKED if body.startswith(mark)), None)
    encoding = encoding or json.detect_encoding(body[:64])
    if encoding.startswith("utf-8"):
        said = body.decode("utf-8-sig", "replace")
        return said if _REPLACED not in said else _chinese(body) or said
    return body.decode(encoding, "replace").removeprefix("\ufeff")


def _chinese(body: bytes) -> str | None:
    """The text of a body in GB 18030, if it is one that is JSON, which it would rarely be by chance."""
    try:
        said = body.decode("gb18030")
        json.loads(said, strict=False)
    except (ValueError, RecursionError):
        return None
    return said


def _inflated(body: bytes, window: int) -> bytes | None:
    try:
        unpacker = zlib.decompressobj(window)
        found = unpacker.decompress(body, LARGEST_UNPACKED_BYTES)
    except zlib.error:
        return None
    return found if unpacker.eof else None
