"""Which rows are due: their alarm has rung, and nobody has a lease of them. In Python and in SQL, side by side."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.error_codes import TAKES_TURNS
from jobs.machine.rows import Job
from jobs.machine.states import State
from jobs.machine.times import CLOCK_SET_BACK
from jobs.store import due_heads
from jobs.store.column_types import Instant
from jobs.store.prepared import at
from jobs.store.step_table import BY_NAME, NOTIFY, Step
from jobs.store.tables import jobs, notice_tries, notices

# A row written "in the future" would sleep until then (CLOCK_SET_BACK).
LONGEST_SENDING = timedelta(hours=1)  # a lease of a notice that runs on for longer was taken "in the future" too


class Due(NamedTuple):
    """A row that is due, as it stands: once anybody has worked on it, its version is another."""

    id: str
    version: int


def is_due(job: Job, *, now: datetime) -> bool:
    """Whether the alarm has rung and nobody has a lease of the job."""
    if job.alarm_at is None:
        return False
    if job.updated_at > now + CLOCK_SET_BACK:
        return True
    return job.alarm_at <= now and (job.leased_until is None or job.leased_until <= now)


def may_start(job: Job, *, now: datetime) -> bool:
    """Whether a queued job may be planned now: it is due, or waits for others' orders, which may end at any time."""
    takes_turns = (job.waiting or {}).get("code") == TAKES_TURNS and job.state is State.QUEUED
    return is_due(job, now=now) or (takes_turns and job.alarm_at is not None and not is_leased(job, now=now))


def is_leased(job: Job, *, now: datetime) -> bool:
    """Whether somebody works on the job, as far as that is to be believed."""
    if job.leased_until is None or job.updated_at > now + CLOCK_SET_BACK:
        return False
    return job.leased_until > now


def _due_job(now: Any, ahead: Any) -> sa.ColumnElement[bool]:
    """`is_due`, in SQL."""
    free = sa.or_(jobs.c.leased_until.is_(None), jobs.c.leased_until <= now)
    return sa.or_(
        sa.and_(jobs.c.alarm_at <= now, free), sa.and_(jobs.c.alarm_at.is_not(None), jobs.c.updated_at > ahead)
    )


# Jobs that nobody has a lease of: what a claim compares beside the version. `is_leased` is its opposite.
UNLEASED = sa.or_(
    jobs.c.lease_holder.is_(None), jobs.c.leased_until <= at("of_now"), jobs.c.updated_at > at("of_ahead")
)


def unleased(now: datetime) -> dict[str, datetime]:
    """The parameters of UNLEASED."""
    return {"of_now": now, "of_ahead": now + CLOCK_SET_BACK}


def due_notice(now: datetime) -> sa.ColumnElement[bool]:
    """Whose alarm has rung, unless it or another one of its job is being sent: a second sender would overtake it."""
    return _due_notice(now, now + CLOCK_SET_BACK, now + LONGEST_SENDING)


def _due_notice(now: Any, ahead: Any, beyond: Any) -> sa.ColumnElement[bool]:
    sent = notices.alias()
    of_the_job = sa.and_(sent.c.job_id == notices.c.job_id, sent.c.leased_until > now, sent.c.leased_until <= beyond)
    # Said of the row itself as well: that is what PostgreSQL looks at again where it had to wait for another's write.
    lease = notices.c.leased_until
    free = sa.or_(lease.is_(None), lease <= now, lease > beyond)
    last_try = sa.select(notice_tries.c.at).where(notice_tries.c.notice_id == notices.c.id)
    last_try = last_try.order_by(notice_tries.c.number.desc()).limit(1)
    written_at = sa.func.coalesce(last_try.scalar_subquery(), notices.c.created_at)
    rung = sa.or_(notices.c.alarm_at <= now, sa.and_(notices.c.alarm_at.is_not(None), written_at > ahead))
    return sa.and_(rung, free, ~sa.exists().where(of_the_job))


def due_rows(db: Connection, step: Step, *, limit: int, now: datetime, leave_out: Collection[Due] = ()) -> list[Due]:
    """The due rows of a step, most urgent first, in turn between API keys; of notices their jobs.

    A notice is told by its job's id and the sum of its job's notices' versions.
    """
    values: dict[str, Any] = {"now": now, "ahead": now + CLOCK_SET_BACK, "limit": limit + len(leave_out)}
    if step is NOTIFY:
        values["beyond"] = now + LONGEST_SENDING
        rows = db.execute(_due_notices(), values).all()
    elif db.dialect.name == "postgresql":
        rows = due_heads.read(db, step, values)
    else:
        rows = db.execute(_due_jobs(step.name), values).all()
    left_out = set(leave_out)
    found = (Due(row[0], row[1]) for row in rows)
    return [row for row in found if row not in left_out][:limit]


def any_rang(db: Connection, *, since: datetime, now: datetime) -> bool:
    """Whether the alarm of any row stands between these two: far less to read than which rows are due."""
    return bool(db.execute(_rang(), {"since": since, "now": now}).scalar())


@cache  # a statement that is built once is not analysed again at every look
def _rang() -> sa.Select[Any]:
    since, now = sa.bindparam("since", type_=Instant), sa.bindparam("now", type_=Instant)
    # Every state is named because the index of alarms begins with it.
    of_jobs = sa.exists().where(jobs.c.state.in_(list(State)), jobs.c.alarm_at > since, jobs.c.alarm_at <= now)
    of_notices = sa.exists().where(notices.c.alarm_at > since, notices.c.alarm_at <= now)
    return sa.select(sa.or_(of_jobs, of_notices))


@cache
def _due_notices() -> sa.Select[Any]:
    """The oldest alarm first."""
    alarm_at = sa.func.min(notices.c.alarm_at)
    key = jobs.c.api_key_id
    turn = sa.func.row_number().over(partition_by=key, order_by=(alarm_at, notices.c.job_id)).label("turn")
    of_jobs = (
        sa.select(notices.c.job_id, sa.func.sum(notices.c.version).label("version"), alarm_at.label("alarm_at"), turn)
        .join(jobs, jobs.c.id == notices.c.job_id)
        .where(_due_notice(*(sa.bindparam(name, type_=Instant) for name in ("now", "ahead", "beyond"))))
        .group_by(notices.c.job_id, key)
        .subquery()
    )
    order = (of_jobs.c.turn, of_jobs.c.alarm_at, of_jobs.c.job_id)
    ranked = sa.select(of_jobs.c.job_id, of_jobs.c.version).order_by(*order)
    return ranked.limit(sa.bindparam("limit", type_=sa.Integer))


@cache
def _due_jobs(step: str) -> sa.Select[Any]:
    """As `due_heads.read`, by sorting all that are due."""
    now, ahead = sa.bindparam("now", type_=Instant), sa.bindparam("ahead", type_=Instant)
    urgency = sa.func.coalesce(jobs.c.link_dies_at, jobs.c.alarm_at)
    turn = sa.func.row_number().over(partition_by=jobs.c.api_key_id, order_by=(urgency, jobs.c.id)).label("turn")
    found = sa.select(jobs.c.id, jobs.c.version, turn, urgency.label("urgency"))
    ranked = found.where(BY_NAME[step].rows, _due_job(now, ahead)).subquery()
    order = (ranked.c.turn, ranked.c.urgency, ranked.c.id)
    return sa.select(ranked.c.id, ranked.c.version).order_by(*order).limit(sa.bindparam("limit", type_=sa.Integer))
