"""Lengths of time in SQL: what lies between two columns, and the nearest ranks of it.

Counted in the database: neither kind has percentiles that the other has too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

DIGITS = 3  # of seconds


class Ranks(NamedTuple):
    """Seconds that half of so many, and 19 of 20 of them, do not exceed; each is one that really occurred."""

    known: int
    p50_s: float
    p95_s: float


def seconds(
    begin: sa.ColumnElement[Any], end: sa.ColumnElement[Any], *, is_sqlite: bool
) -> sa.ColumnElement[float | None]:
    """From one time to another; NULL where one of them is."""
    if is_sqlite:
        begin_d, end_d = (sa.func.julianday(moment, type_=sa.Float) for moment in (begin, end))
        return (end_d - begin_d) * 86_400
    return sa.cast(sa.extract("epoch", end) - sa.extract("epoch", begin), sa.Float)


def ranked(rows: sa.FromClause, lasted: sa.ColumnElement[float | None]) -> sa.Select[Any]:
    """By `provider` of these rows, of those that lasted for a time that is known: how many, p50_s and p95_s."""
    known = sa.select(rows.c.provider, lasted.label("s")).where(lasted.is_not(None), rows.c.provider.is_not(None))
    each = known.subquery()
    place = sa.func.row_number().over(partition_by=each.c.provider, order_by=each.c.s)
    count = sa.func.count().over(partition_by=each.c.provider)
    placed = sa.select(*each.c, place.label("place"), count.label("known")).subquery()
    p50, p95 = (sa.func.min(placed.c.s).filter(placed.c.place * 100 >= placed.c.known * rank) for rank in (50, 95))
    columns = (placed.c.provider, placed.c.known)
    return sa.select(*columns, p50.label("p50_s"), p95.label("p95_s")).group_by(*columns)


def ranks(db: Connection, rows: sa.FromClause, lasted: sa.ColumnElement[float | None]) -> dict[str, Ranks]:
    """What `ranked` finds, rounded."""
    found = db.execute(ranked(rows, lasted))
    return {name: Ranks(known, round(half, DIGITS), round(most, DIGITS)) for name, known, half, most in found}
