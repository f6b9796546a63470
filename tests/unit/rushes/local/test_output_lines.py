from hypothesis import given
from hypothesis import strategies as st

from rushes.local.output import LONGEST_LINE_BYTES, Lines


def _all(chunks: list[bytes]) -> list[str]:
    lines = Lines()
    return [line for chunk in chunks for line in lines.feed(chunk)] + lines.last()


def test_lines_that_arrive_in_parts_come_out_whole() -> None:
    assert _all([b"on", b"e\ntw", b"o\r\n", b"\nthr\xc3", b"\xa9e"]) == ["one", "two", "", "thrée"]


def test_a_last_line_without_an_end_is_not_lost() -> None:
    assert _all([b"one\ntwo"]) == ["one", "two"]


def test_bytes_that_are_not_text_do_no_harm() -> None:
    assert _all([b"\xff\xfe\n"]) == ["\ufffd\ufffd"]


@given(st.lists(st.binary(max_size=40).map(lambda part: part.replace(b"\r", b"")), max_size=20))
def test_cutting_a_stream_anywhere_changes_nothing(chunks: list[bytes]) -> None:
    assert _all(chunks) == _all([b"".join(chunks)])


def test_a_stream_without_lines_is_handed_on_in_pieces() -> None:
    lines = Lines()
    pieces = [piece for _ in range(100) for piece in lines.feed(b"x" * 10_000)]
    assert {len(piece) for piece in pieces} == {LONGEST_LINE_BYTES}
    assert sum(map(len, pieces + lines.last())) == 1_000_000
