"""Lists of jobs, newest first: which rows a page holds.

A page begins where the one before it ended, found by an index on (created_at, id): page 10,000 costs what page 1 costs.
What no index can find (a gateway's or a mode's jobs, words in prompts, entries of the metadata) is searched in so many
rows at a time: such a page may hold few jobs, or none, and tell where to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.states import State
from jobs.reports.metadata import entries_of
from jobs.store.column_types import Instant
from jobs.store.tables import jobs

Condition = sa.ColumnElement[bool] | sa.TextClause
Fits = Callable[[sa.FromClause], sa.ColumnElement[bool]]


SEARCHED = 10_000  # rows that are looked into for one page
SOUGHT_IN = ("provider", "mode", "request", "metadata")


class Place(NamedTuple):
    """Where a job stands in every list."""

    created_at: datetime
    id: str


class Page(NamedTuple):
    """The jobs of a page, and after which place the next one begins; None: there is none."""

    found: list[Place]
    last: Place | None


@dataclass(frozen=True)
class Filters:
    """What all jobs of a list have in common; what is left out does not matter."""

    states: tuple[State, ...] = ()  # any of these
    provider: str | None = None
    mode: str | None = None
    created_after: datetime | None = None  # then or later
    created_before: datetime | None = None
    batch: str | None = None
    prompt: str | None = None  # holds this text
    metadata: Mapping[str, str] = field(default_factory=dict)  # all of these
    overdue: bool = False  # True: only those that are
    needs_person: bool = False


def page(db: Connection, filters: Filters, *, after: Place | None, limit: int) -> Page:
    """At most `limit` jobs that come after a place, or from the newest on."""
    is_sqlite = db.dialect.name == "sqlite"
    sought = _sought(filters, is_sqlite)
    if not sought:
        chosen = statement(filters, after=after, limit=limit + 1, is_sqlite=is_sqlite)
        return _page([Place(*row) for row in db.execute(chosen)], limit, None)
    searched = statement(filters, after=after, limit=SEARCHED, is_sqlite=is_sqlite, with_texts=True).subquery()
    fitting = _newest(searched, limit + 1).where(*(fits(searched) for fits in sought))
    found = [Place(*row) for row in db.execute(fitting)]
    end = db.execute(_newest(searched, 1).offset(SEARCHED - 1)).one_or_none() if len(found) <= limit else None
    return _page(found, limit, None if end is None else Place(*end))


def _page(found: list[Place], limit: int, end: Place | None) -> Page:
    """`found` holds one more where there are more; else the search has ended there, or with the last row."""
    return Page(found[:limit], found[limit - 1] if len(found) > limit else end)


def statement(
    filters: Filters, *, after: Place | None, limit: int, is_sqlite: bool, with_texts: bool = False
) -> sa.Select[Any]:
    """The query for a page, written so that both databases seek in an index and sort nothing but a page.

    It takes no notice of what is searched for: `with_texts` also gives what that is searched in.
    """
    conditions = _conditions(filters, after)
    texts = SOUGHT_IN if with_texts else ()
    # These have partial indexes in the order of the list.
    few = filters.overdue or filters.needs_person or filters.batch is not None
    if few or len(filters.states) < 2:
        states = [jobs.c.state.in_(filters.states)] if filters.states else []
        return _newest(jobs, limit, texts).where(*states, *conditions)
    # One index holds each state's jobs in order, but not those of several: a page of each, then the newest of them.
    each = [
        sa.select(_newest(jobs, limit, texts).where(jobs.c.state == state, *conditions).subquery())
        for state in filters.states
    ]
    return _newest(sa.union_all(*each).subquery(), limit, texts)


def _newest(rows: sa.FromClause, limit: int, more: Sequence[str] = ()) -> sa.Select[Any]:
    at, job_id = rows.c.created_at, rows.c.id
    return sa.select(at, job_id, *(rows.c[name] for name in more)).order_by(at.desc(), job_id.desc()).limit(limit)


def _conditions(filters: Filters, after: Place | None) -> list[Condition]:
    found: list[Condition] = []
    if filters.batch is not None:
        found.append(jobs.c.batch == filters.batch)
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
    return found


def _sought(filters: Filters, is_sqlite: bool) -> list[Fits]:
    """What is searched for, as conditions on rows with their texts."""
    told = {"provider": filters.provider, "mode": filters.mode}
    sought: list[Fits] = [partial(_is, name, value) for name, value in told.items() if value is not None]
    sought += [partial(_bears, name, value, is_sqlite) for name, value in filters.metadata.items()]
    return sought if filters.prompt is None else [*sought, partial(_says, filters.prompt)]


def _is(name: str, value: str, rows: sa.FromClause) -> sa.ColumnElement[bool]:
    return rows.c[name] == value


def _says(text: str, rows: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether a prompt holds this text, in capitals or not; SQLite knows of those from A to Z alone."""
    prompt: sa.ColumnElement[str] = rows.c.request["prompt"].as_string()
    return prompt.icontains(text, autoescape=True)


def _bears(name: str, value: str, is_sqlite: bool, rows: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether a job's metadata has this entry."""
    entries = entries_of(rows.c.metadata, is_sqlite=is_sqlite)
    return sa.exists().where(entries.c.key == name, entries.c.value == value)
