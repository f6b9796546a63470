from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import BadRequest
from rushes.api.edge import cursors

FILTERS = {"state": "failed", "limit": 20}
OURS = cursors.write("2026-11-21T16:00:00+00:00", "ntc_1", of=FILTERS)


@given(st.lists(st.text(), min_size=1), st.dictionaries(st.text(), st.text() | st.integers() | st.booleans()))
def test_what_is_written_is_read_under_the_same_filters(parts: list[str], filters: dict[str, Any]) -> None:
    assert cursors.read(cursors.write(*parts, of=filters), filters) == parts


def test_the_size_of_a_page_and_the_cursor_itself_are_no_filters() -> None:
    assert cursors.read(OURS, {"state": "failed", "limit": 5, "cursor": OURS})[1] == "ntc_1"


@pytest.mark.parametrize("filters", [{}, {"state": "waiting"}, {"state": "failed", "type": "job.failed"}])
def test_other_filters_are_refused(filters: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="It belongs to other filters"):
        cursors.read(OURS, filters)


@given(st.text() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda each: _coded(each)))
def test_whatever_else_comes_is_refused_with_what_to_send(text: str) -> None:
    with pytest.raises(BadRequest, match=r"next_cursor|other filters"):
        cursors.read(text, FILTERS)


def _coded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()
