"""The kept callbacks: written by the receiver before it answers, read by the steps."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.models import attempts, inbox, jobs
from jobs.states import ENDED, State
from jobs.store import bring_news


@dataclass(frozen=True)
class Callback:
    """A callback under a genuine token. `status`: the answer that it gets, now and whenever it comes again."""

    provider: str
    job_id: str
    attempt: int
    body: bytes
    headers: Mapping[str, str]
    readable: bool
    task_id: str | None
    status: int


@dataclass(frozen=True)
class Kept:
    """What came of keeping one. `state` is None for a job that this database does not know."""

    status: int
    state: State | None
    ring: bool
    kept: bool


def keep(db: Connection, callback: Callback, *, longest: int, now: datetime) -> Kept:
    """Keep a callback and wake its job, in the caller's transaction. The same body is kept once."""
    digest = hashlib.sha256(callback.body).hexdigest()
    same_attempt = sa.and_(inbox.c.job_id == callback.job_id, inbox.c.attempt == callback.attempt)
    state, is_open = _state(db, callback)
    earlier = db.execute(
        sa.select(inbox.c.status, inbox.c.read_at).where(same_attempt, inbox.c.digest == digest)
    ).one_or_none()
    if earlier is not None:
        return Kept(earlier.status, state, ring=is_open and earlier.read_at is None, kept=True)
    count = db.execute(sa.select(sa.func.count()).where(same_attempt)).scalar_one()
    if count >= longest:
        return Kept(200, state, ring=False, kept=False)
    # An answer that asks for another try helps nobody once the job has ended or is not known here.
    status = callback.status if state is not None and state not in ENDED else 200
    db.execute(
        sa.insert(inbox).values(
            job_id=callback.job_id,
            attempt=callback.attempt,
            provider=callback.provider,
            digest=digest,
            body=callback.body,
            headers=dict(callback.headers),
            readable=callback.readable,
            status=status,
            task_id=callback.task_id,
            received_at=now,
        )
    )
    if not is_open and state is not None and _is_forgotten(db, callback):
        # An ended job whose backup was put back: this order was made since, and somebody has to ask about it.
        db.execute(sa.update(jobs).where(jobs.c.id == callback.job_id).values(alarm_at=now))
    woken = bring_news(db, callback.job_id, now=now)
    return Kept(status, state, ring=woken, kept=True)


def _is_forgotten(db: Connection, callback: Callback) -> bool:
    """Whether the order that it speaks of has no row. Only we mint its token, so the order was made."""
    row = sa.and_(attempts.c.job_id == callback.job_id, attempts.c.number == callback.attempt)
    return db.execute(sa.select(attempts.c.number).where(row)).first() is None


def _state(db: Connection, callback: Callback) -> tuple[State | None, bool]:
    """The job's state, and whether news can still matter to it."""
    row = db.execute(sa.select(jobs.c.state, jobs.c.alarm_at).where(jobs.c.id == callback.job_id)).one_or_none()
    if row is None:
        return None, False
    return State(row.state), row.alarm_at is not None
