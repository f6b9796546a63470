"""Which rows are due: alarms that have rung, and nobody works on them. And what the sweep finds, most urgent first."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.rows import Job
from jobs.machine.states import State
from jobs.store import notices as notice_rows
from jobs.store.tables import Instant, inbox, jobs, notices

# On SQLite the clock is this machine's and may be set back. A row written "in the future" would sleep until then.
CLOCK_SET_BACK = timedelta(seconds=5)


def is_due(job: Job, *, now: datetime) -> bool:
    """Whether the alarm has rung and nobody holds the job."""
    if job.alarm_at is None:
        return False
    if job.updated_at > now + CLOCK_SET_BACK:
        return True
    return job.alarm_at <= now and (job.leased_until is None or job.leased_until <= now)


def unleased(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(jobs.c.lease_holder.is_(None), jobs.c.leased_until <= now, jobs.c.updated_at > now + CLOCK_SET_BACK)


unread = sa.exists().where(inbox.c.job_id == jobs.c.id, inbox.c.read_at.is_(None))
asks = jobs.c.state.in_([State.UNCONFIRMED, State.GENERATING, State.ARCHIVED, State.FAILED, State.CANCELLED])


# What a step serves, most urgent first. A link that dies soon outranks an alarm that rang long ago.
STEPS: dict[str, sa.ColumnElement[bool]] = {
    "jobs.transfer": jobs.c.state == State.ARCHIVING,
    "jobs.lose": jobs.c.state == State.SUBMITTING,
    "jobs.reconcile": sa.or_(asks, sa.and_(jobs.c.state == State.QUEUED, unread)),
    "jobs.submit": sa.and_(jobs.c.state == State.QUEUED, ~unread),
}


class Due(NamedTuple):
    """A row that is due, as it stands: once anybody has worked on it, its version is another."""

    id: str
    version: int


def due_jobs(db: Connection, step: str, *, limit: int, now: datetime, leave_out: Collection[Due] = ()) -> list[Due]:
    """The due jobs for a step, most urgent first, in turn between API keys."""
    values: dict[str, Any] = {"now": now, "ahead": now + CLOCK_SET_BACK, "limit": limit}
    if leave_out:
        values["leave_out"] = [tuple(row) for row in leave_out]
    return [Due(*row) for row in db.execute(_due(step, bool(leave_out)), values)]


def due_notices(db: Connection, *, limit: int, now: datetime) -> list[Due]:
    """The jobs with due notices, the oldest alarm first, in turn between API keys; `version` is that of all of them."""
    alarm_at = sa.func.min(notices.c.alarm_at)
    key = jobs.c.api_key_id
    turn = sa.func.row_number().over(partition_by=key, order_by=(alarm_at, notices.c.job_id)).label("turn")
    of_jobs = (
        sa.select(notices.c.job_id, sa.func.sum(notices.c.version).label("version"), alarm_at.label("alarm_at"), turn)
        .join(jobs, jobs.c.id == notices.c.job_id)
        .where(notice_rows.is_due(now))
        .group_by(notices.c.job_id, key)
        .subquery()
    )
    ranked = sa.select(of_jobs.c.job_id, of_jobs.c.version)
    order = (of_jobs.c.turn, of_jobs.c.alarm_at, of_jobs.c.job_id)
    return [Due(*row) for row in db.execute(ranked.order_by(*order).limit(limit))]


@cache  # a statement that is built once is not analysed again at every look
def _due(step: str, leaves_out: bool) -> sa.Select[Any]:
    now, ahead = sa.bindparam("now", type_=Instant), sa.bindparam("ahead", type_=Instant)
    ripe = sa.or_(
        sa.and_(jobs.c.alarm_at <= now, sa.or_(jobs.c.leased_until.is_(None), jobs.c.leased_until <= now)),
        sa.and_(jobs.c.alarm_at.is_not(None), jobs.c.updated_at > ahead),
    )
    urgency = sa.func.coalesce(jobs.c.link_dies_at, jobs.c.alarm_at)
    turn = sa.func.row_number().over(partition_by=jobs.c.api_key_id, order_by=(urgency, jobs.c.id)).label("turn")
    found = sa.select(jobs.c.id, jobs.c.version, turn, urgency.label("urgency")).where(STEPS[step], ripe)
    if leaves_out:
        rows: sa.BindParameter[Any] = sa.bindparam("leave_out", expanding=True)
        found = found.where(sa.tuple_(jobs.c.id, jobs.c.version).not_in(rows))
    ranked = found.subquery()
    order = (ranked.c.turn, ranked.c.urgency, ranked.c.id)
    return sa.select(ranked.c.id, ranked.c.version).order_by(*order).limit(sa.bindparam("limit", type_=sa.Integer))
