"""Task ids that callbacks have told of, by order: each is asked about in its turn, at a pace of its own.

The inbox keeps bodies, and few of them; what is kept here of a callback is the id alone, so that whoever has an order's
callback URL cannot fill a place that the true id will need.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.outcome import Inquired
from jobs.store import attempt_rows
from jobs.store.database import upsert
from jobs.store.many import one_of
from jobs.store.prepared import of
from jobs.store.tables import hearsay

MOST = 1000  # ids of one order

_OF_ORDER = of(hearsay.c.job_id, hearsay.c.attempt)
_IS = of(hearsay.c.job_id, hearsay.c.attempt, hearsay.c.task_id)
_CHANGE = sa.update(hearsay).where(_IS)
_COUNT_ASKS = _CHANGE.values(asks=hearsay.c.asks + sa.bindparam("more", type_=sa.Integer))
_ASKS = sa.select(hearsay.c.asks).where(_IS)
_OF_JOBS = one_of(hearsay.c.job_id, "job_ids")
_TOLD_BY = sa.select(hearsay.c.job_id, hearsay.c.attempt, hearsay.c.task_id, hearsay.c.provider).where(
    _OF_JOBS, one_of(hearsay.c.task_id, "task_ids")
)
_HOW_MANY = (
    sa.select(hearsay.c.job_id, hearsay.c.attempt, sa.func.count())
    .where(_OF_JOBS)
    .group_by(hearsay.c.job_id, hearsay.c.attempt)
)
_CONTESTED = sa.select(hearsay.c.task_id).where(_OF_ORDER, hearsay.c.is_contested)


class Ordered(NamedTuple):
    """What tells whether an id is news of an order."""

    provider: str
    task_id: str | None
    adopted: bool


class Heard:
    """What is kept of ids that callbacks tell, one after the other: read at first, and written at the end, at once."""

    def __init__(self, db: Connection, asked: Collection[tuple[str, int, str]]) -> None:
        """`asked`: the orders, by job and number, and the ids that they are told to have."""
        self._told_by: dict[tuple[str, int, str], str] = {}
        self._count: Counter[tuple[str, int]] = Counter()
        self._new: dict[tuple[str, int, str], dict[str, Any]] = {}
        self._changed: dict[tuple[str, int, str], dict[str, Any]] = {}
        if asked:
            job_ids, task_ids = sorted({job_id for job_id, _, _ in asked}), sorted({task_id for _, _, task_id in asked})
            for *told, provider in db.execute(_TOLD_BY, {"job_ids": job_ids, "task_ids": task_ids}):
                self._told_by[tuple(told)] = provider
            for job_id, number, count in db.execute(_HOW_MANY, {"job_ids": job_ids}):
                self._count[job_id, number] = count

    def note(
        self,
        order: Ordered | None,
        told: tuple[str, int, str],
        provider: str,
        *,
        again: bool,
        now: datetime,
    ) -> bool:
        """Keep an id that a callback of this gateway tells; `order`: the row that bears the number, if one does.

        `again`: one that is known is asked about anew. False: nothing is new.
        """
        if not may_be_news(order, provider):
            return False
        told_by = self._told_by.get(told)
        if told_by is not None:
            # Whoever has a callback key could tell it of another gateway before the true one does.
            is_moved = told_by != provider and (order is None or order.provider != told_by)
            if again or is_moved:
                moved = {"provider": provider, "asks": 0} if is_moved else {}
                self._change(told, {"heard_at": now, "ask_at": now, **moved})
            return again or is_moved
        if self._count[told[:2]] >= MOST:
            return False
        self._count[told[:2]] += 1
        self._told_by[told] = provider
        job_id, attempt, task_id = told
        values = {"job_id": job_id, "attempt": attempt, "provider": provider, "task_id": task_id, "heard_at": now}
        self._new[told] = values | {"asks": 0, "ask_at": now, "is_signed": False, "is_contested": False}
        return True

    def _change(self, told: tuple[str, int, str], values: dict[str, Any]) -> None:
        self._told_by[told] = values.get("provider", self._told_by[told])
        if told in self._new:
            self._new[told] |= values
        else:
            self._changed[told] = self._changed.get(told, {}) | values

    def write(self, db: Connection) -> None:
        if self._new:
            db.execute(_new(db.dialect.name), [row for _, row in sorted(self._new.items())])
        for told, values in sorted(self._changed.items()):
            db.execute(_CHANGE, _of(*told) | values)


def may_be_news(order: Ordered | None, provider: str) -> bool:
    """Whether an id may be news of an order: of one whose own POST was answered it is not.

    One that has a task by hearsay may yet have to give it back.
    """
    is_answered = order is not None and order.task_id is not None and not order.adopted
    return not is_answered or (order is not None and order.provider != provider)


def note(db: Connection, job_id: str, attempt: int, provider: str, task_id: str, *, again: bool, now: datetime) -> bool:
    """As `Heard.note`, of one id."""
    told, known = (job_id, attempt, task_id), attempt_rows.of_jobs(db, [job_id]).get((job_id, attempt))
    order = None if known is None else Ordered(known.provider, known.task_id, known.adopted)
    heard = Heard(db, [told])
    is_news = heard.note(order, told, provider, again=again, now=now)
    heard.write(db)
    return is_news


@cache
def _new(dialect: str) -> sa.Insert:
    return upsert(dialect, hearsay).on_conflict_do_nothing()


def is_kept(db: Connection, job_id: str, attempt: int, task_id: str) -> bool:
    """Whether an order is told to have this task."""
    return db.execute(_ASKS, _of(job_id, attempt, task_id)).first() is not None


def write(db: Connection, job_id: str, inquired: Mapping[tuple[int, str], Inquired]) -> None:
    """What came of asking about some of a job's."""
    for (attempt, task_id), what in inquired.items():
        values: dict[str, Any] = {"more": int(what.answered), "ask_at": what.again_at}
        if what.is_rival is not None:
            values["is_contested"] = what.is_rival
        db.execute(_COUNT_ASKS, _of(job_id, attempt, task_id) | values)


def sign(db: Connection, job_id: str, attempt: int, task_id: str) -> None:
    """A callback that told it bears the gateway's genuine signature."""
    db.execute(_CHANGE, _of(job_id, attempt, task_id) | {"is_signed": True})


def contest(db: Connection, job_id: str, attempt: int, task_id: str, *, is_contested: bool = True) -> None:
    """Whether another order bears it by hearsay, too."""
    db.execute(_CHANGE, _of(job_id, attempt, task_id) | {"is_contested": is_contested})


def ask_now(db: Connection, job_id: str, attempt: int, *task_ids: str, now: datetime) -> None:
    """Ask about these at once."""
    for task_id in task_ids:
        db.execute(_CHANGE, _of(job_id, attempt, task_id) | {"ask_at": now})


def contested(db: Connection, job_id: str, attempt: int) -> list[str]:
    """The tasks that an order and another one lay claim to."""
    return list(db.execute(_CONTESTED, {"of_job_id": job_id, "of_attempt": attempt}).scalars())


def _of(job_id: str, attempt: int, task_id: str) -> dict[str, Any]:
    return {"of_job_id": job_id, "of_attempt": attempt, "of_task_id": task_id}
