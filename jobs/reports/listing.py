"""Lists of jobs, newest first: which rows a page holds.

A page begins where the one before it ended, found by an index on (created_at, id): page 10,000 costs what page 1 costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.states import State
from jobs.store.tables import Instant, jobs

Condition = sa.ColumnElement[bool] | sa.TextClause


class Place(NamedTuple):
    """Where a job stands in every list."""

    created_at: datetime
    id: str


@dataclass(frozen=True)
class Filters:
    """What all jobs of a list have in common; what is left out does not matter."""

    states: tuple[State, ...] = ()  # any of these
    provider: str | None = None
    mode: str | None = None
    created_after: datetime | None = None  # then or later
    created_before: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)  # all of these
    overdue: bool = False  # True: only those that are
    needs_person: bool = False


def page(db: Connection, filters: Filters, *, after: Place | None, limit: int) -> list[Place]:
    """At most `limit` jobs that come after a place, or from the newest on."""
    chosen = statement(filters, after=after, limit=limit, is_sqlite=db.dialect.name == "sqlite")
    return [Place(*row) for row in db.execute(chosen)]


def statement(filters: Filters, *, after: Place | None, limit: int, is_sqlite: bool) -> sa.Select[Any]:
    """The query for a page, written so that both databases seek in an index and sort nothing but a page."""
    conditions = _conditions(filters, after, is_sqlite)
    few = filters.overdue or filters.needs_person  # these have partial indexes in the order of the list
    if few or len(filters.states) < 2:
        states = [jobs.c.state.in_(filters.states)] if filters.states else []
        return _newest(jobs, limit).where(*states, *conditions)
    # One index holds each state's jobs in order, but not those of several: a page of each, then the newest of them.
    each = [
        sa.select(_newest(jobs, limit).where(jobs.c.state == state, *conditions).subquery()) for state in filters.states
    ]
    return _newest(sa.union_all(*each).subquery(), limit)


def _newest(rows: sa.FromClause, limit: int) -> sa.Select[Any]:
    at, job_id = rows.c.created_at, rows.c.id
    return sa.select(at, job_id).order_by(at.desc(), job_id.desc()).limit(limit)


def _conditions(filters: Filters, after: Place | None, is_sqlite: bool) -> list[Condition]:
    found: list[Condition] = []
    if filters.provider is not None:
        found.append(jobs.c.provider == filters.provider)
    if filters.mode is not None:
        found.append(jobs.c.mode == filters.mode)
    if filters.created_after is not None:
        found.append(jobs.c.created_at >= filters.created_after)
    if after is not None:  # it lies before `created_before` already, and a second bound could be the one that is sought
        place = sa.tuple_(sa.literal(after.created_at, Instant), sa.literal(after.id, sa.String))
        found.append(sa.tuple_(jobs.c.created_at, jobs.c.id) < place)
    elif filters.created_before is not None:
        found.append(jobs.c.created_at < filters.created_before)
    # In the indexes' own words: SQLite uses a partial index only for the condition that it was made with.
    if filters.overdue:
        found.append(sa.text("jobs.overdue"))
    if filters.needs_person:
        found.append(jobs.c.flagged.is_not(None))
    found += [_bears(name, value, is_sqlite) for name, value in filters.metadata.items()]
    return found


def _bears(name: str, value: str, is_sqlite: bool) -> sa.ColumnElement[bool]:
    """Whether a job's metadata has this entry. Not by a JSON path: SQLite's cannot hold every name."""
    each = sa.func.json_each if is_sqlite else sa.func.json_each_text
    entries = each(jobs.c.metadata).table_valued("key", "value")
    return sa.exists().where(entries.c.key == name, entries.c.value == value)
