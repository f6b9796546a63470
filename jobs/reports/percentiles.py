"""Lengths of time in SQL: what lies between two columns, and the nearest ranks of it.

Counted in the database. PostgreSQL has ranks of its own, which take a third of what numbering all rows does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

DIGITS = 3  # of seconds
RANKS = (50, 95)


def seconds(
    begin: sa.ColumnElement[Any], end: sa.ColumnElement[Any], *, is_sqlite: bool
) -> sa.ColumnElement[float | None]:
    """From one time to another; NULL where one of them is."""
    if is_sqlite:
        begin_d, end_d = (sa.func.julianday(moment, type_=sa.Float) for moment in (begin, end))
        return (end_d - begin_d) * 86_400
    return sa.func.date_part("epoch", end.op("-", return_type=sa.Interval())(begin), type_=sa.Float)


def numbered(rows: sa.Select[Any], lengths: Sequence[str], *, is_sqlite: bool) -> sa.Subquery:
    """These rows, so that `ranks` can be taken of these columns by `provider`."""
    each = rows.subquery()
    if not is_sqlite:
        return each
    places = [
        sa.func.row_number().over(partition_by=each.c.provider, order_by=each.c[name].nulls_last()).label(f"{name}_at")
        for name in lengths
    ]
    counts = [sa.func.count(each.c[name]).over(partition_by=each.c.provider).label(f"{name}_of") for name in lengths]
    return sa.select(each, *places, *counts).subquery()


def ranks(rows: sa.Subquery, length: str, *, is_sqlite: bool) -> list[sa.Label[Any]]:
    """Of a group of `numbered` rows: how many lasted for a time that is known; half and 19 of 20 no longer than, in s.

    Each is a time that really occurred; NULL where none is known.
    """
    lasted = rows.c[length]
    found: list[sa.ColumnElement[Any]]
    if is_sqlite:
        place, known = rows.c[f"{length}_at"], rows.c[f"{length}_of"]
        found = [sa.func.min(lasted).filter(place * 100 >= known * rank) for rank in RANKS]
    else:
        found = [sa.func.percentile_disc(rank / 100).within_group(lasted) for rank in RANKS]
    return [sa.func.count(lasted).label(f"{length}_known"), *(each.label(None) for each in found)]
