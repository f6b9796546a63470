"""Histories that are packed are read as before; on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from rows import NOW, Rows

from jobs.machine.outcome import Note
from jobs.machine.states import State
from jobs.store import history
from jobs.store.tables import events, histories

pytestmark = pytest.mark.both_databases

DETAIL = {"said": 'Füchse – \\u0000, "so"', "usd": 0.1 + 0.2, "none": None, "list": [1, {"a": True}]}


def told(rows: Rows, job_id: str) -> list[dict[str, Any]]:
    with rows.database.read() as db:
        return [dict(line) for line in history.of_job(db, job_id)]


def note(rows: Rows, job_id: str, event: str, **detail: Any) -> None:
    rows.write(lambda db: history.write_notes(db, job_id, [Note(event, 1, detail)], NOW))


def packed(rows: Rows, *job_ids: str) -> int:
    return rows.write(lambda db: history.pack(db, job_ids))


def standing(rows: Rows) -> tuple[int, int]:
    with rows.database.read() as db:
        counts = (sa.select(sa.func.count()).select_from(table) for table in (events, histories))
        lines, together = (db.execute(count).scalar_one() for count in counts)
    return lines, together


@pytest.fixture
def job_id(rows: Rows) -> str:
    job_id = rows.job(State.ARCHIVED)
    note(rows, job_id, "answered", **DETAIL)
    return job_id


def test_a_packed_history_is_read_as_before(rows: Rows, job_id: str) -> None:
    before = told(rows, job_id)
    assert before[-1]["detail"] == DETAIL
    assert packed(rows, job_id) == 1
    assert standing(rows) == (0, 1)
    assert told(rows, job_id) == before


def test_lines_that_come_later_follow_and_are_packed_with_the_others(rows: Rows, job_id: str) -> None:
    packed(rows, job_id)
    note(rows, job_id, "late")
    before = told(rows, job_id)
    assert [line["event"] for line in before][-2:] == ["answered", "late"]
    assert packed(rows, job_id) == 1
    assert standing(rows) == (0, 1)
    assert told(rows, job_id) == before


def test_each_job_has_its_own_lines(rows: Rows, job_id: str) -> None:
    other = rows.job(State.ARCHIVED)
    note(rows, other, "other")
    before = told(rows, job_id), told(rows, other)
    assert packed(rows, job_id, other, "job_without_any") == 2
    assert (told(rows, job_id), told(rows, other)) == before
    assert told(rows, "job_without_any") == []


def test_what_is_forgotten_is_counted_packed_or_not(rows: Rows, job_id: str) -> None:
    packed(rows, job_id)
    note(rows, job_id, "late")
    count = len(told(rows, job_id))
    assert rows.write(lambda db: history.forget(db, [job_id])) == count == 3
    assert standing(rows) == (0, 0)


def test_a_line_that_is_packed_between_two_reads_is_told_once(rows: Rows, job_id: str) -> None:
    before = told(rows, job_id)
    with rows.database.read() as db, _after_the_first_statement(db, lambda: packed(rows, job_id)):
        assert [dict(line) for line in history.of_job(db, job_id)] == before


@contextmanager
def _after_the_first_statement(db: sa.Connection, act: Any) -> Iterator[None]:
    calls = iter([act])

    def look(*_: Any) -> None:
        for call in calls:
            call()

    sa.event.listen(db, "after_cursor_execute", look)
    yield
    sa.event.remove(db, "after_cursor_execute", look)
