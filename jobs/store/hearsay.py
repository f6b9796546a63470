"""Task ids that callbacks have told of, by order: each is asked about in its turn, at a pace of its own.

The inbox keeps bodies, and few of them; what is kept here of a callback is the id alone, so that whoever has an order's
callback URL cannot fill a place that the true id will need.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.outcome import Inquired
from jobs.store.database import upsert
from jobs.store.tables import attempts, hearsay

MOST = 1000  # ids of one order


def note(db: Connection, job_id: str, attempt: int, provider: str, task_id: str, *, again: bool, now: datetime) -> bool:
    """Keep an id that a callback of this gateway tells. `again`: one that is known is asked about anew.

    False: nothing is new. Of an order whose own POST was answered it is no news. One that has a task by hearsay may yet
    have to give it back.
    """
    order = sa.and_(attempts.c.job_id == job_id, attempts.c.number == attempt)
    is_answered = sa.and_(order, attempts.c.provider == provider, attempts.c.task_id.is_not(None), ~attempts.c.adopted)
    if db.execute(sa.select(attempts.c.number).where(is_answered)).first():
        return False
    of_order = sa.and_(hearsay.c.job_id == job_id, hearsay.c.attempt == attempt)
    same = sa.and_(of_order, hearsay.c.task_id == task_id)
    told_by = db.execute(sa.select(hearsay.c.provider).where(same)).scalar_one_or_none()
    if told_by is not None:
        # Whoever has a callback key could tell it of another gateway before the true one does.
        is_moved = (
            told_by != provider
            and not db.execute(sa.select(attempts.c.number).where(order, attempts.c.provider == told_by)).first()
        )
        if again or is_moved:
            moved = {"provider": provider, "asks": 0} if is_moved else {}
            db.execute(sa.update(hearsay).where(same).values(heard_at=now, ask_at=now, **moved))
        return again or is_moved
    if db.execute(sa.select(sa.func.count()).where(of_order)).scalar_one() >= MOST:
        return False
    values = {"job_id": job_id, "attempt": attempt, "provider": provider, "task_id": task_id, "heard_at": now}
    values |= {"asks": 0, "ask_at": now, "is_signed": False, "is_contested": False}
    db.execute(upsert(db, hearsay).values(**values).on_conflict_do_nothing())
    return True


def is_kept(db: Connection, job_id: str, attempt: int, task_id: str) -> bool:
    """Whether an order is told to have this task."""
    return db.execute(sa.select(hearsay.c.asks).where(_is(job_id, attempt, task_id))).first() is not None


def write(db: Connection, job_id: str, inquired: Mapping[tuple[int, str], Inquired]) -> None:
    """What came of asking about some of a job's."""
    for (attempt, task_id), what in inquired.items():
        values: dict[str, Any] = {"asks": hearsay.c.asks + int(what.answered), "ask_at": what.again_at}
        if what.is_rival is not None:
            values["is_contested"] = what.is_rival
        db.execute(sa.update(hearsay).where(_is(job_id, attempt, task_id)).values(**values))


def sign(db: Connection, job_id: str, attempt: int, task_id: str) -> None:
    """A callback that told it bears the gateway's genuine signature."""
    db.execute(sa.update(hearsay).where(_is(job_id, attempt, task_id)).values(is_signed=True))


def contest(db: Connection, job_id: str, attempt: int, task_id: str, *, is_contested: bool = True) -> None:
    """Whether another order bears it by hearsay, too."""
    db.execute(sa.update(hearsay).where(_is(job_id, attempt, task_id)).values(is_contested=is_contested))


def ask_now(db: Connection, job_id: str, attempt: int, *task_ids: str, now: datetime) -> None:
    """Ask about these at once."""
    for task_id in task_ids:
        db.execute(sa.update(hearsay).where(_is(job_id, attempt, task_id)).values(ask_at=now))


def contested(db: Connection, job_id: str, attempt: int) -> list[str]:
    """The tasks that an order and another one lay claim to."""
    of_order = sa.and_(hearsay.c.job_id == job_id, hearsay.c.attempt == attempt, hearsay.c.is_contested)
    return list(db.execute(sa.select(hearsay.c.task_id).where(of_order)).scalars())


def _is(job_id: str, attempt: int, task_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(hearsay.c.job_id == job_id, hearsay.c.attempt == attempt, hearsay.c.task_id == task_id)
