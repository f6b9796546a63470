"""A task that two orders lay claim to by callbacks alone: neither is proven, and a person is told of it, on both.

One of them bears it. It is decided by the answer to a POST, by a person who names it, when the other one's own task is
proven or delivered, or by the film, where it is what only one of them asked for. Until then what the task says of money
is no knowledge about its bearer's. It ends as well once nobody is left who may lay claim to it.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.changes import OF_TASK, AttemptChanges, rejection
from jobs.machine.outcome import Note
from jobs.machine.rows import Attempt, AttemptOutcome, Origin, Standing
from jobs.machine.states import State
from jobs.store import hearsay
from jobs.store.attempt_rows import attempt_of, change_attempt
from jobs.store.history import write_notes
from jobs.store.leases import bring_news
from jobs.store.orders_out import IS_OPEN
from jobs.store.prepared import of
from jobs.store.tables import attempts, jobs
from jobs.store.tables import hearsay as claims

FLAG = "contested_task"
MOST = 50  # orders whose task one may be, that are looked at
NOT_ASKED_FOR = "its film is not what this order asked for, and is what another one did"
_WAKE_ENDED = sa.update(jobs).where(of(jobs.c.id), jobs.c.alarm_at.is_(None))


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
    """An order has a task that is proven to be its own, or is delivered: it lays claim to no other any more."""
    for task_id in hearsay.contested(db, claimant.job_id, claimant.number):
        hearsay.contest(db, claimant.job_id, claimant.number, task_id, is_contested=False)
        rivals = sa.exists().where(
            claims.c.task_id == task_id,
            claims.c.is_contested,
            claims.c.job_id == attempts.c.job_id,
            claims.c.attempt == attempts.c.number,
        )
        of_gateway = attempts.c.provider == claimant.provider
        if db.execute(sa.select(attempts.c.job_id).where(of_gateway, rivals).limit(1)).first():
            continue
        borne = sa.select(attempts.c.job_id, attempts.c.number).where(of_gateway, attempts.c.task_id == task_id)
        bearer = db.execute(borne.where(attempts.c.contested)).first()
        if bearer is not None and bearer.job_id != claimant.job_id:
            _end(db, bearer.job_id, bearer.number, now)


def lapse(db: Connection, bearer: Attempt, *, now: datetime) -> None:
    """Nobody is left who lays claim to the task, and nobody has said whose it is: its bearer keeps it."""
    _end(db, bearer.job_id, bearer.number, now)
    write_notes(db, bearer.job_id, [Note("contest_lapsed", bearer.number, {"task_id": bearer.task_id})], now)


def _end(db: Connection, job_id: str, number: int, now: datetime) -> None:
    change_attempt(db, job_id, number, {"contested": False}, now)
    _flag(db, job_id, FLAG, None, now)
    bring_news(db, job_id, now=now)


def claimants(db: Connection, bearer: Attempt) -> list[Attempt]:
    """The orders of other jobs that were told the task of `bearer` as well, and have none that is proven their own."""
    told = sa.exists().where(
        claims.c.job_id == attempts.c.job_id,
        claims.c.attempt == attempts.c.number,
        claims.c.task_id == bearer.task_id,
        claims.c.is_contested,
    )
    unproven = sa.or_(attempts.c.task_id.is_(None), attempts.c.adopted)
    is_delivered = attempts.c.outcome == AttemptOutcome.DELIVERED
    return _others(db, bearer, sa.and_(told, unproven, ~is_delivered))


def may_be_of(db: Connection, bearer: Attempt) -> list[Attempt]:
    """The orders of other jobs that may have made the task of `bearer`, though no callback has told them of it yet.

    They were begun before it was heard of, and nobody knows their tasks. `sending_at` says when they left last: one
    that is sent again under its key may have made its task long before.
    """
    may_have_left = sa.or_(attempts.c.sending_at.is_not(None), attempts.c.origin != Origin.ORDERED.value)
    nameless = sa.and_(attempts.c.task_id.is_(None), IS_OPEN)
    return _others(db, bearer, sa.and_(nameless, may_have_left, attempts.c.created_at <= bearer.accepted_at))


def award(db: Connection, bearer: Attempt, owner: Attempt, *, now: datetime) -> None:
    """The film is what `owner` asked for, and nobody else who lays claim to its task."""
    task_id = bearer.task_id or ""
    for claimant in claimants(db, bearer):
        order = claimant.job_id, claimant.number
        hearsay.contest(db, *order, task_id, is_contested=False)
        _flag(db, claimant.job_id, FLAG, None, now)
        if order == (owner.job_id, owner.number):
            hearsay.ask_now(db, *order, task_id, now=now)
        else:
            change_attempt(db, *order, rejection(claimant, {}, task_id, NOT_ASKED_FOR), now)
            rejected = Note("task_rejected", claimant.number, {"task_id": task_id, "reason": NOT_ASKED_FOR})
            write_notes(db, claimant.job_id, [rejected], now)
        wake(db, claimant.job_id, now)
    change_attempt(db, bearer.job_id, bearer.number, {"contested": False}, now)
    _flag(db, bearer.job_id, FLAG, None, now)
    if (owner.job_id, owner.number) != (bearer.job_id, bearer.number):
        give_back(db, bearer, task_id, NOT_ASKED_FOR, now=now)


def give_back(db: Connection, bearer: Attempt, task_id: str, reason: str, *, now: datetime) -> None:
    """A task that an order has by hearsay is another's.

    Its job hears of it as news and is unconfirmed again at its next step; one that is archived already needs a person.
    """
    given_up: AttemptChanges = {
        **OF_TASK,
        "task_id": None,
        **rejection(bearer, {}, task_id, reason),
        "outcome": AttemptOutcome.OPEN,
        "standing": Standing.UNCERTAIN,
    }
    change_attempt(db, bearer.job_id, bearer.number, given_up, now)
    write_notes(db, bearer.job_id, [Note("task_given_back", bearer.number, {"task_id": task_id})], now)
    archived = sa.and_(jobs.c.id == bearer.job_id, jobs.c.state == State.ARCHIVED)
    db.execute(sa.update(jobs).where(archived).values(flagged="foreign_task"))
    wake(db, bearer.job_id, now)


def wake(db: Connection, job_id: str, now: datetime) -> None:
    """There is something to look at; an ended job that was settled has an alarm again."""
    db.execute(_WAKE_ENDED, {"of_id": job_id, "alarm_at": now})
    bring_news(db, job_id, now=now)


def _others(db: Connection, bearer: Attempt, which: sa.ColumnElement[bool]) -> list[Attempt]:
    of_gateway = sa.and_(attempts.c.provider == bearer.provider, attempts.c.job_id != bearer.job_id)
    found = sa.select(attempts).where(of_gateway, which).order_by(attempts.c.job_id).limit(MOST)
    return [attempt_of(row) for row in db.execute(found).mappings()]


def _flag(db: Connection, job_id: str, before: str | None, after: str | None, now: datetime) -> None:
    """On the row itself: a job that has ended may have no further step."""
    is_so = jobs.c.flagged.is_(None) if before is None else jobs.c.flagged == before
    values = {"flagged": after, "updated_at": now, "version": jobs.c.version + 1}
    db.execute(sa.update(jobs).where(jobs.c.id == job_id, is_so).values(**values))
