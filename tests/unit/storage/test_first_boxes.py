"""What may be a film by its first bytes, and what is a page or a picture."""

import pytest

from storage.first_boxes import begins_like_a_film, what_else

FTYP = b"\0\0\0\x20ftypisom\0\0\2\0"


@pytest.mark.parametrize("name", [b"ftyp", b"free", b"mdat", b"moov", b"wide"])
def test_a_film_begins_with_a_box(name: bytes) -> None:
    head = b"\0\0\0\x20" + name + bytes(8)
    assert begins_like_a_film(head)


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1", "WebM or Matroska"),
        (b"RIFF\xf4F\0\0AVI LIST", "AVI"),
        (b"G@\x11\x10\0B\xf0%\0\1\xc1\0\0", "MPEG-TS"),
        (b"\0\0\0\0G@\0\x10\0\0\xb0", "MPEG-TS"),
        (b"\0\0\1\xbaD\0\4\0", "MPEG-PS"),
        (b"FLV\1\1\0\0\0\x09", "FLV"),
        (b"OggS\0\2", "Ogg"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9", "WMV"),
        (b"DKIF\0\0\x20\0VP80", "IVF"),
        (b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d", "MXF"),
        (b"\0\0\0\1\x67\x64\0\x0b", "pictures without a container"),
        (b"\xef\xbb\xbf" + FTYP, "an MP4 behind something else"),
        (b"\r\n" + FTYP, "an MP4 behind something else"),
        (b"10000;chunk-signature=" + b"a" * 64 + b"\r\n" + FTYP, "an MP4 behind something else"),
    ],
)
def test_what_may_be_a_film_in_another_container_is_known_for_it(head: bytes, what: str) -> None:
    assert begins_like_a_film(head)
    assert what_else(head) == what


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"<!doctype html><title>ftyp</title>",
        b'{"skip": "free"}',
        b"#EXTM3U\n#EXT-X-VERSION:3",
        b"GIF89a@\0\0\0",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        b"RIFF\x24\1\0\0WEBPVP8 ",
        b"RIFF\x24\1\0\0WAVEfmt ",
        b"ID3\4\0\0",
        bytes(32),
    ],
)
def test_a_page_a_picture_and_a_sound_are_none(head: bytes) -> None:
    assert not begins_like_a_film(head)
