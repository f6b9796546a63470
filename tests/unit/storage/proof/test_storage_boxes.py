import io

import pytest

from storage.errors import BadVideo
from storage.proof.boxes import check_boxes


def box(kind: bytes, payload: bytes = b"", *, length: int | None = None) -> bytes:
    return (8 + len(payload) if length is None else length).to_bytes(4, "big") + kind + payload


def long_box(kind: bytes, payload: bytes, *, length: int | None = None) -> bytes:
    stated = 16 + len(payload) if length is None else length
    return (1).to_bytes(4, "big") + kind + stated.to_bytes(8, "big") + payload


def segments(*lengths: int) -> bytes:
    """An index of segments that follow it."""
    entries = b"".join(length.to_bytes(4, "big") + bytes(8) for length in lengths)
    return box(b"sidx", bytes(22) + len(lengths).to_bytes(2, "big") + entries)


FTYP, MOOV, MDAT = box(b"ftyp", b"isom0000"), box(b"moov", b"m" * 40), box(b"mdat", b"d" * 100)


def check(data: bytes) -> None:
    check_boxes(io.BytesIO(data), len(data))


@pytest.mark.parametrize(
    "data",
    [
        FTYP + MOOV + MDAT,
        FTYP + box(b"free") + MDAT + MOOV,
        FTYP + MOOV + box(b"moof", b"x") + MDAT + box(b"moof", b"x") + MDAT + box(b"mfra"),
        FTYP + MOOV + long_box(b"mdat", b"d" * 100),
        FTYP + MOOV + box(b"mdat", b"d" * 100, length=0),
        box(b"free", b"f" * 20) + FTYP + MOOV + MDAT,
        box(b"wide") + MDAT + MOOV,
        MOOV + FTYP + MDAT,
        FTYP + MOOV + MDAT + b"\r\n",
        FTYP + MOOV + MDAT + b"\0\0\0",
        FTYP + MOOV + MDAT + b"<!-- served by edge -->\n",
        FTYP + MOOV + MDAT + bytes(1000),
        FTYP + MOOV + box(b"moof", b"x") + MDAT + b"\r\n--boundary--",
        FTYP + MOOV + segments(len(MDAT)) + MDAT,
    ],
    ids=[
        "index first",
        "index last",
        "fragments",
        "long length",
        "to the end",
        "free first",
        "wide first, no ftyp",
        "index before ftyp",
        "a line's end behind it",
        "zeros behind it",
        "a line behind it",
        "many zeros behind it",
        "a line behind fragments",
        "an index of segments",
    ],
)
def test_boxes_that_fill_the_file_are_a_whole_film(data: bytes) -> None:
    check(data)


FRAGMENTS = FTYP + MOOV + box(b"moof", b"x" * 20) + MDAT + box(b"moof", b"x" * 20) + MDAT


def test_fragments_cut_anywhere_but_between_two_boxes_are_refused() -> None:
    second = len(FTYP + MOOV + MDAT) + 28
    for left in range(second + 1, len(FRAGMENTS)):
        if left != second + 28:
            with pytest.raises(BadVideo):
                check(FRAGMENTS[:left])


@pytest.mark.parametrize("missing", range(1, len(FTYP + MOOV + MDAT)))
def test_a_film_cut_anywhere_is_refused(missing: int) -> None:
    with pytest.raises(BadVideo):
        check((FTYP + MOOV + MDAT)[:-missing])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no moov and no mdat"),
        (b"<!doctype html><html></html>", "no film begins with"),
        (b"\r\n" + FTYP + MOOV + MDAT, "an MP4 behind something else"),
        (b"\x1a\x45\xdf\xa3" + bytes(20), "WebM or Matroska"),
        (FTYP + MDAT, "no moov"),
        (FTYP + MOOV, "no mdat"),
        (FTYP + MDAT + b"\0\0\0", "3 stray bytes"),
        (FTYP + MOOV + MDAT + b"\r\n" + box(b"moof", b"x") + MDAT, "cut off"),
        (FTYP + MOOV + MDAT + box(b"udta", b"u" * 40)[:-1], "cut off"),
        (FTYP + MOOV + segments(len(MDAT), 10) + MDAT, "segments that end 10 bytes behind it"),
        (FTYP + MOOV + box(b"mdat", length=7), "claims 7 bytes"),
        (FTYP + MOOV + long_box(b"mdat", b"", length=15), "claims 15 bytes"),
        (FTYP + MOOV + box(b"mdat", length=1), "cut off in the header"),
        (FTYP + MOOV + long_box(b"mdat", b"", length=1 << 63), "cut off"),
        (FTYP + MOOV + MDAT + box(b"free") * 100_000, "more than 100000 boxes"),
    ],
)
def test_what_is_no_whole_film_is_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(BadVideo, match=why):
        check(data)


def test_only_headers_are_read() -> None:
    class Counting(io.BytesIO):
        taken = 0

        def read(self, count: int | None = -1) -> bytes:
            data = super().read(count)
            self.taken += len(data)
            return data

    film = FTYP + MOOV + box(b"mdat", bytes(1 << 20))
    file = Counting(film)
    check_boxes(file, len(film))
    assert file.taken <= 3 * 16
