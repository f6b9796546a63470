"""The sweep: finds what callbacks, messages and dead workers have left due, and rings for it. Takes no locks.

Two sweeps at once cost duplicate messages only: a doorbell means "look at this row".
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from jobs import archiving, heartbeats, reconcile, steps, submission
from jobs.database import DatabaseUnavailable
from jobs.errors import UnknownJob
from jobs.models import Instant, inbox, jobs, notices
from jobs.notices import is_due
from jobs.parts import Parts
from jobs.states import State
from jobs.store import CLOCK_SET_BACK

AGAIN_S = 0.5  # while due rows remain
LEAVE_OUT_S = 5  # a row that was handed over this recently, and has not been worked on since
NOTIFY = "webhooks.notify"
SWEPT = "swept"  # the heartbeat that says when a sweep last looked

unread = sa.exists().where(inbox.c.job_id == jobs.c.id, inbox.c.read_at.is_(None))
asks = jobs.c.state.in_([State.UNCONFIRMED, State.GENERATING, State.ARCHIVED, State.FAILED, State.CANCELLED])

# What a step serves, most urgent first. A link that dies soon outranks an alarm that rang long ago.
STEPS: dict[str, sa.ColumnElement[bool]] = {
    "jobs.transfer": jobs.c.state == State.ARCHIVING,
    "jobs.lose": jobs.c.state == State.SUBMITTING,
    "jobs.reconcile": sa.or_(asks, sa.and_(jobs.c.state == State.QUEUED, unread)),
    "jobs.submit": sa.and_(jobs.c.state == State.QUEUED, ~unread),
}
RUN: dict[str, Callable[[str, Parts], None]] = {
    "jobs.transfer": archiving.transfer,
    "jobs.lose": submission.lose,
    "jobs.reconcile": reconcile.reconcile,
    "jobs.submit": submission.submit,
}

log = structlog.get_logger()


class Due(NamedTuple):
    """A row that is due, as it stands: once anybody has worked on it, its version is another."""

    id: str
    version: int


def due(db: Connection, step: str, *, limit: int, now: datetime, leave_out: Collection[Due] = ()) -> list[Due]:
    """The due jobs for a step, most urgent first, in turn between API keys."""
    values: dict[str, Any] = {"now": now, "ahead": now + CLOCK_SET_BACK, "limit": limit}
    if leave_out:
        values["leave_out"] = [tuple(row) for row in leave_out]
    return [Due(*row) for row in db.execute(_due(step, bool(leave_out)), values)]


def due_notices(db: Connection, *, limit: int, now: datetime) -> list[Due]:
    """The jobs with due notices, the oldest alarm first, in turn between API keys; `version` is that of all of them."""
    return [Due(*row) for row in db.execute(_due_notices(), {"now": now, "limit": limit})]


@dataclass
class Sweeper:
    """A sweep process's own memory: what it handed over lately. An optimisation only."""

    parts: Parts

    def __post_init__(self) -> None:
        self._handed: dict[tuple[str, Due], float] = {}

    def run(self, *, for_s: float) -> None:
        """Look at once, and again while due rows remain, for at most `for_s` seconds."""
        parts = self.parts
        end = parts.monotonic() + for_s
        heartbeats.beat(parts.database, SWEPT, SWEPT)
        while self.once() and parts.monotonic() < end and not parts.stopping.is_set():
            parts.pause(AGAIN_S)

    def once(self) -> bool:
        """Ring for what is due, as far as each step's queue is short. True: more is due than was handed over."""
        parts = self.parts
        self._forget()
        settings = parts.settings
        slots = {"jobs.transfer": settings.transfer_slots, NOTIFY: settings.notify_slots}
        more = False
        for step in (*STEPS, NOTIFY):
            waiting = parts.ringer.waiting(step)
            if waiting is None:  # Valkey is away: nobody would hear
                return False
            room = 2 * slots.get(step, settings.worker_slots) - waiting
            handed = [row for s, row in list(self._handed) if s == step]
            with parts.database.read() as db:
                now = parts.database.clock(db)
                limit = max(room, 0) + 1
                if step == NOTIFY:
                    found = [row for row in due_notices(db, limit=limit, now=now) if row not in handed]
                else:
                    found = due(db, step, limit=limit, now=now, leave_out=handed)
            more = more or len(found) > max(room, 0)
            for row in found[: max(room, 0)]:  # after the read has ended
                parts.ringer.ring(step, row.id)
                self._handed[step, row] = parts.monotonic()
        return more

    def _forget(self) -> None:
        now = self.parts.monotonic()
        self._handed = {row: at for row, at in list(self._handed.items()) if now - at < LEAVE_OUT_S}


def run_in_place(parts: Parts, notify: Callable[[str, Parts], None], *, limit: int = 1000) -> int:
    """Run every due step here and now, without Celery; returns how many ran. For cron, and for a lost Valkey.

    `notify` sends a job's due notices: the room above this one knows how.
    """
    ran = 0
    for step, run in {**RUN, NOTIFY: notify}.items():
        with parts.database.read() as db:
            now = parts.database.clock(db)
            found = due_notices(db, limit=limit, now=now) if step == NOTIFY else due(db, step, limit=limit, now=now)
        for row in found:
            guarded(step, row.id, parts, run)
            ran += 1
    heartbeats.beat(parts.database, SWEPT, SWEPT)
    return ran


def guarded(step: str, job_id: str, parts: Parts, run: Callable[[str, Parts], None]) -> None:
    """Run one step; whatever it raises is logged, and its row is set aside, so that the others go on."""
    try:
        run(job_id, parts)
    except DatabaseUnavailable as e:
        log.warning("database_unavailable", step=step, job=job_id, reason=str(e))
    except UnknownJob:  # rung for before a backup was put back
        log.warning("unknown_job", step=step, job=job_id)
    except Exception:
        log.exception("step_raised", step=step, job=job_id)
        if step in RUN:
            steps.fence(job_id, parts)


@cache  # a statement that is built once is not analysed again at every look
def _due(step: str, leaves_out: bool) -> sa.Select[Any]:
    now, ahead = sa.bindparam("now", type_=Instant), sa.bindparam("ahead", type_=Instant)
    ripe = sa.or_(
        sa.and_(jobs.c.alarm_at <= now, sa.or_(jobs.c.held_until.is_(None), jobs.c.held_until <= now)),
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


@cache
def _due_notices() -> sa.Select[Any]:
    alarm_at = sa.func.min(notices.c.alarm_at)
    key = jobs.c.api_key_id
    turn = sa.func.row_number().over(partition_by=key, order_by=(alarm_at, notices.c.job_id)).label("turn")
    of_jobs = (
        sa.select(notices.c.job_id, sa.func.sum(notices.c.version).label("version"), alarm_at.label("alarm_at"), turn)
        .join(jobs, jobs.c.id == notices.c.job_id)
        .where(is_due(sa.bindparam("now", type_=Instant)))
        .group_by(notices.c.job_id, key)
        .subquery()
    )
    ranked = sa.select(of_jobs.c.job_id, of_jobs.c.version)
    order = (of_jobs.c.turn, of_jobs.c.alarm_at, of_jobs.c.job_id)
    return ranked.order_by(*order).limit(sa.bindparam("limit", type_=sa.Integer))
