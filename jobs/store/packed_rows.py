"""Rows that belong to another row, as one JSON value beside it: one statement reads a job and all that it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from jobs.store.column_types import JSON, Instant, Told

Read = Callable[[Any], Any]


def packed(columns: Sequence[sa.Column[Any]], where: sa.ColumnElement[bool], *, is_sqlite: bool) -> sa.Label[Any]:
    """The rows of a table with these columns, as a JSON list of a list each; in no order."""
    if is_sqlite:
        rows = sa.func.json_group_array(sa.func.json_array(*map(_in_sqlite, columns)))
    else:
        # The sum of no rows is NULL there.
        rows = sa.func.coalesce(sa.func.json_agg(sa.func.json_build_array(*columns)), sa.text("'[]'::json"))
    name = columns[0].table.name
    return sa.select(sa.type_coerce(rows, JSON)).where(where).scalar_subquery().label(f"of_{name}")


class Unpacked:
    """Reads what `packed` has written: the values of a row, in the order of its columns, as the tables' types have it.

    `more`: how further columns become values, by name.
    """

    def __init__(self, columns: Sequence[sa.Column[Any]], more: Mapping[str, Read]) -> None:
        wanted = [(place, more.get(column.name) or _reader(column)) for place, column in enumerate(columns)]
        self._readers = [(place, read) for place, read in wanted if read is not None]

    def __call__(self, row: list[Any]) -> list[Any]:
        for place, read in self._readers:
            if row[place] is not None:
                row[place] = read(row[place])
        return row


def _in_sqlite(column: sa.Column[Any]) -> Any:
    """What SQLite's JSON would change: JSON would be text, and a number lose its last digits."""
    if isinstance(column.type, (sa.JSON, Told)):
        return sa.func.json(sa.type_coerce(column, sa.Text))
    if isinstance(column.type, sa.Float):
        return sa.case((column.is_not(None), sa.func.printf("%!.17g", column)))
    return column


def _reader(column: sa.Column[Any]) -> Read | None:
    if isinstance(column.type, Instant):
        return _instant
    if isinstance(column.type, sa.Boolean):
        return bool
    return float if isinstance(column.type, sa.Float) else None


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
