"""The bytes of an answer as text, in whatever they came: UTF-8 was asked for, unpacked, and is not always what comes.

Byte order marks, UTF-16 and UTF-32 tell what they are, and so do gzip and zlib by their first bytes; a Chinese gateway
may write GB 18030. Nothing here raises: what cannot be read is told by whoever reads it as JSON.
"""

from __future__ import annotations

import codecs
import json
import re
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
_BEGINNINGS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0")  # of text
_REPLACED = "\N{REPLACEMENT CHARACTER}"
_PAIR = re.compile(rb"[\x81-\xfe]{2}")  # most Chinese characters in GB 18030, and seldom anything in Latin-1
# What may stand around an answer, or a link, and is no part of it: blanks, line ends, controls, marks without a width.
AROUND = "".join(map(chr, (*range(0x21), 0x7F, 0x85, 0xA0, 0x200B, 0x2028, 0x2029, 0x3000, 0xFEFF)))


def unpacked(body: bytes) -> bytes:
    """A body as it was before it was packed, perhaps more than once; as it came, if it cannot be unpacked.

    At most a mebibyte: a kibibyte can hold as much, and more is no answer.
    """
    for _ in range(2):
        if body.startswith((_GZIP, *_ZLIB)):
            window = _GZIP_OR_ZLIB
        elif body and not body.lstrip().startswith((b"{", b"[", b'"', b"<", *_BEGINNINGS)):
            window = _RAW  # "deflate" as some servers write it, without a mark
        else:
            break
        found = _inflated(body, window)
        if found is None:
            break
        body = found
    return body


def text_of(body: bytes) -> str:
    """A body as text, without marks, NULs and blanks around it. A byte that no encoding explains becomes �.

    What is UTF-8 is read as such. GB 18030 is tried on what is not, and only if UTF-8 explains less than half of what
    is beyond ASCII: one character that was cut in two must not change all the others.
    """
    body = unpacked(body)
    encoding = next((name for mark, name in _MARKED if body.startswith(mark)), None)
    encoding = encoding or json.detect_encoding(body[:64])
    if not encoding.startswith("utf-8"):
        return body.decode(encoding, "replace").strip(AROUND)
    try:
        said = body.decode()
    except UnicodeDecodeError:
        said = body.decode("utf-8", "replace")
        replaced = said.count(_REPLACED)
        explained = sum(char > "\x7f" for char in said) - replaced
        said = (_chinese(body) if replaced > explained else None) or said
    return said.strip(AROUND)


def _chinese(body: bytes) -> str | None:
    """The text of a body in GB 18030, if it is one that is JSON, which it would rarely be by chance."""
    if not _PAIR.search(body):
        return None
    try:
        said = body.decode("gb18030")
        json.JSONDecoder(strict=False, parse_int=float).raw_decode(said.strip(AROUND))
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
