"""The line of queued jobs: an estimate of how many are before one. Keys take turns, and full gateways are passed by."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.rows import Job
from jobs.machine.states import State
from jobs.store.column_types import Instant
from jobs.store.tables import jobs

LONGEST_COUNTED = 1000  # whoever asks often must not pay for counting a whole backlog

_QUEUED = sa.select(jobs.c.id).where(jobs.c.state == sa.literal_column(f"'{State.QUEUED.value}'"))
_MOST: sa.ColumnClause[int] = sa.literal_column(str(LONGEST_COUNTED))
_ALL = sa.select(sa.func.count()).select_from(_QUEUED.limit(_MOST).subquery())
_BEFORE = sa.select(sa.func.count()).select_from(
    _QUEUED.where(
        sa.tuple_(jobs.c.created_at, jobs.c.id)
        < sa.tuple_(sa.bindparam("created_at", type_=Instant), sa.bindparam("job_id", type_=sa.String))
    )
    .limit(_MOST)
    .subquery()
)


def position(db: Connection, job: Job) -> int | None:
    """A queued job's place by age, from 1. None: it is not queued, or `LONGEST_COUNTED` or more are before it."""
    if job.state is not State.QUEUED:
        return None
    return _place(db.execute(_BEFORE, {"created_at": job.created_at, "job_id": job.id}).scalar_one())


def next_position(db: Connection) -> int | None:
    """The place that a job taken in now would have. None as above."""
    return _place(db.execute(_ALL).scalar_one())


def _place(before: int) -> int | None:
    return None if before >= LONGEST_COUNTED else before + 1
