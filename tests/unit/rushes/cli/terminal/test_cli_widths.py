"""Which columns a narrow terminal shows: never half an id."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.cli.terminal.widths import LEAST_CUT, Column, fitting, room

ID, STATE, PROMPT = Column("id", ["x" * 30]), Column("state", ["unconfirmed"]), Column("prompt", ["a " * 50], True)
COLUMNS = st.lists(
    st.builds(Column, st.text("ab", min_size=1, max_size=8), st.lists(st.text("a b日", max_size=40), max_size=3)),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize(
    ("width", "spare", "shown"),
    [
        (200, (), "id state prompt"),
        (67, (), "id state prompt"),
        (66, (), "id state"),
        (66, ("state",), "id prompt"),
        (20, ("state",), "id"),
    ],
)
def test_columns_are_left_out_in_their_order_and_the_first_never(
    width: int, spare: tuple[str, ...], shown: str
) -> None:
    assert " ".join(column.name for column in fitting([ID, STATE, PROMPT], width, spare)) == shown


@given(COLUMNS, st.integers(1, 200))
def test_what_is_shown_has_room_unless_it_is_the_first_alone(columns: list[Column], width: int) -> None:
    shown = fitting(columns, width)
    assert shown[0] is columns[0]
    assert len(shown) == 1 or sum(column.least + 3 for column in shown) + 1 <= width


@pytest.mark.parametrize(("width", "expected"), [(200, 99), (100, 49), (60, LEAST_CUT)])
def test_what_is_cut_has_the_room_that_is_left(width: int, expected: int) -> None:
    assert room(PROMPT, [ID, STATE, PROMPT], width) == pytest.approx(expected, abs=1)
