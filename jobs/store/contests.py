"""A task that two orders lay claim to by callbacks alone: neither is proven, and a person is told of it, on both.

One of them bears it. It is decided by the answer to a POST, by a person who names it, or when the other finds a task of
its own. Until then what the task says of money is no knowledge about its bearer's.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.outcome import Note
from jobs.machine.rows import Attempt, AttemptChanges, Standing
from jobs.store import hearsay
from jobs.store.attempt_rows import change_attempt
from jobs.store.history import write_notes
from jobs.store.leases import bring_news
from jobs.store.tables import attempts, jobs
from jobs.store.tables import hearsay as claims

FLAG = "contested_task"


def begin(db: Connection, claimant: Attempt, bearer: Attempt, task_id: str, *, now: datetime) -> None:
    """Another order was told the task that `bearer` has by hearsay as well."""
    hearsay.contest(db, claimant.job_id, claimant.number, task_id)
    if bearer.contested:
        return
    said: AttemptChanges = {"contested": True}
    if bearer.standing is Standing.REFUNDED:
        said["standing"] = Standing.UNCERTAIN
    change_attempt(db, bearer.job_id, bearer.number, said, now)
    told = Note("task_contested", bearer.number, {"task_id": task_id, "by": claimant.job_id})
    write_notes(db, bearer.job_id, [told], now)
    _flag(db, bearer.job_id, None, FLAG, now)
    bring_news(db, bearer.job_id, now=now)


def withdraw(db: Connection, claimant: Attempt, *, now: datetime) -> None:
    """An order has a task of its own: it lays claim to no other any more."""
    for task_id in hearsay.contested(db, claimant.job_id, claimant.number):
        hearsay.contest(db, claimant.job_id, claimant.number, task_id, is_contested=False)
        rivals = sa.exists().where(
            claims.c.task_id == task_id,
            claims.c.is_contested,
            claims.c.job_id == attempts.c.job_id,
            claims.c.attempt == attempts.c.number,
        )
        of_account = sa.and_(attempts.c.provider == claimant.provider, attempts.c.account == claimant.account)
        if db.execute(sa.select(attempts.c.job_id).where(of_account, rivals).limit(1)).first():
            continue
        borne = sa.select(attempts.c.job_id, attempts.c.number).where(of_account, attempts.c.task_id == task_id)
        bearer = db.execute(borne).one_or_none()
        if bearer is not None and bearer.job_id != claimant.job_id:
            change_attempt(db, bearer.job_id, bearer.number, {"contested": False}, now)
            _flag(db, bearer.job_id, FLAG, None, now)
            bring_news(db, bearer.job_id, now=now)


def _flag(db: Connection, job_id: str, before: str | None, after: str | None, now: datetime) -> None:
    """On the row itself: a job that has ended may have no further step."""
    is_so = jobs.c.flagged.is_(None) if before is None else jobs.c.flagged == before
    values = {"flagged": after, "updated_at": now, "version": jobs.c.version + 1}
    db.execute(sa.update(jobs).where(jobs.c.id == job_id, is_so).values(**values))
