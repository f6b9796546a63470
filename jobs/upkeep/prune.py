"""Deletes what nobody needs any more: old callbacks, histories, notices and idempotency keys. Jobs and money stay.

Only what is resting is touched: the job has ended, has no alarm and no holder, and no order of it is open. An order's
row stays for good, without the request that it was sent with: costs and budgets are summed over it, and a retry must
know of it, to ask before it pays twice. A history ends in one line that says so and names the job's state, so that an
audit still balances. Long before that, a day after the job's end, its lines are packed into one row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.rows import AttemptOutcome
from jobs.machine.states import ENDED
from jobs.settings import Settings
from jobs.store import history
from jobs.store.database import Database
from jobs.store.history import PRUNED
from jobs.store.prepared import of
from jobs.store.tables import attempts, events, hearsay, histories, idempotency_keys, inbox, jobs, notice_tries, notices

PAGE = 1000  # rows that are looked at together
NUMBERS = 10_000  # of lines that are looked at together
BATCH = 50  # jobs or rows of one transaction: SQLite has one writer, and steps wait for it
LONGEST_D = 10_000  # older than any row, and no overflow


@dataclass(frozen=True)
class Pruned:
    """How many rows went, and histories that were packed. `requests`: orders whose request was emptied; both of
    histories: jobs.
    """

    callbacks: int = 0
    histories: int = 0
    events: int = 0
    requests: int = 0
    notices: int = 0
    idempotency_keys: int = 0
    packed_histories: int = 0

    def __add__(self, other: Pruned) -> Pruned:
        return Pruned(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __bool__(self) -> bool:
        """Whether anything went; what is packed is all there."""
        return any(asdict(replace(self, packed_histories=0)).values())


Act = Callable[[Connection, Sequence[Any]], Pruned]


@dataclass
class Pruning:
    """One run. `dry` counts and deletes nothing; `pause` leaves the writer to others between two batches."""

    database: Database
    settings: Settings
    dry: bool = False
    pause: Callable[[float], None] = time.sleep

    def run(self) -> Pruned:
        """Delete what is old enough, oldest first. Safe to stop and to repeat. Raises DatabaseUnavailable."""
        with self.database.read() as db:
            now = self.database.clock(db)
        settings = self.settings
        callbacks = _before(now, settings.keep_callbacks_d)
        ended = _before(now, settings.keep_history_d)
        rested = _before(now, settings.pack_history_d)
        keys = _before(now, settings.keep_idempotency_keys_d)
        return (
            self._each(_old_callbacks(self.database, callbacks), _forget_callbacks)
            + self._each(_old_histories(self.database, ended), partial(_forget_histories, before=ended, now=now))
            + self._each(_old_ends(self.database, rested), partial(_pack_histories, since=ended, before=rested))
            + self._each(_old_keys(self.database, keys), _forget_keys)
        )

    def _each(self, found: Iterator[Any], act: Act) -> Pruned:
        done = Pruned()
        while batch := list(islice(found, BATCH)):
            began = time.monotonic()
            with self.database.write() as db:
                done += act(db, batch)
                if self.dry:
                    db.rollback()
            self.pause(time.monotonic() - began)
        return done


def _before(now: datetime, days: float) -> datetime:
    return now - timedelta(days=min(days, LONGEST_D))


def _forget_callbacks(db: Connection, ids: Sequence[int]) -> Pruned:
    """Callbacks of resting jobs. One that speaks of an unknown job or order stays: a person has to look."""
    known = sa.exists().where(attempts.c.job_id == inbox.c.job_id, attempts.c.number == inbox.c.attempt)
    own = sa.select(inbox.c.id, inbox.c.job_id).where(inbox.c.id.in_(ids), known)
    rows = db.execute(own).all()
    resting = _at_rest(db, [row.job_id for row in rows])
    chosen = [row.id for row in rows if row.job_id in resting]
    db.execute(sa.delete(hearsay).where(hearsay.c.job_id.in_(list(resting))))
    return Pruned(callbacks=db.execute(sa.delete(inbox).where(inbox.c.id.in_(chosen))).rowcount)


def _forget_histories(db: Connection, ids: Sequence[str], *, before: datetime, now: datetime) -> Pruned:
    """Events, requests of orders, and notices of jobs that were resting before `before`."""
    resting = _at_rest(db, ids, sa.and_(jobs.c.ended_at < before, ~_waiting_notice()))
    gone = history.forget(db, list(resting))
    lines = [
        {"job_id": job_id, "at": now, "event": PRUNED, "attempt": row.attempt, "to_state": row.state, "detail": {}}
        for job_id, row in resting.items()
    ]
    if lines:
        db.execute(sa.insert(events), lines)
    told = sa.select(notices.c.id).where(notices.c.job_id.in_(list(resting)))
    db.execute(sa.delete(notice_tries).where(notice_tries.c.notice_id.in_(told)))
    notes = db.execute(sa.delete(notices).where(notices.c.job_id.in_(list(resting)))).rowcount
    return Pruned(histories=len(resting), events=gone, requests=_empty_requests(db, list(resting)), notices=notes)


def _pack_histories(db: Connection, ids: Sequence[str], *, since: datetime, before: datetime) -> Pruned:
    """Histories of jobs that have rested since before then; those that ended before `since` are to go."""
    resting = _at_rest(db, ids, sa.and_(jobs.c.ended_at >= since, jobs.c.ended_at < before))
    return Pruned(packed_histories=history.pack(db, list(resting)))


def _forget_keys(db: Connection, keys: Sequence[tuple[str, str]]) -> Pruned:
    """Idempotency keys of jobs that have ended. A live job's key still keeps it from being bought twice.

    Those of batches stay, as their jobs do: a file that is asked for again years later buys its new lines alone.
    """
    # One by one: for a list of pairs SQLite reads the whole table.
    gone = sa.delete(idempotency_keys).where(of(idempotency_keys.c.api_key_id, idempotency_keys.c.key), _has_ended())
    rows = [{"of_api_key_id": api_key_id, "of_key": key} for api_key_id, key in keys]
    return Pruned(idempotency_keys=db.execute(gone, rows).rowcount)


def _has_ended() -> sa.ColumnElement[bool]:
    """Whether a key's job has, and is of no batch."""
    single = sa.and_(jobs.c.id == idempotency_keys.c.job_id, jobs.c.batch.is_(None))
    return sa.exists().where(single, sa.or_(*(jobs.c.state == state for state in ENDED)))


def _empty_requests(db: Connection, job_ids: Sequence[str]) -> int:
    sent = sa.select(attempts.c.job_id, attempts.c.number, attempts.c.request)
    rows = db.execute(sent.where(attempts.c.job_id.in_(job_ids))).all()
    full = [{"job": row.job_id, "order": row.number} for row in rows if row.request]
    if full:
        row_ = sa.and_(attempts.c.job_id == sa.bindparam("job"), attempts.c.number == sa.bindparam("order"))
        db.execute(sa.update(attempts).where(row_).values(request={}), full)
    return len(full)


def _at_rest(db: Connection, job_ids: Sequence[str], more: sa.ColumnElement[bool] | None = None) -> dict[str, Any]:
    """Those of the jobs that nothing will move by itself, locked until the end of the transaction."""
    is_open = sa.exists().where(attempts.c.job_id == jobs.c.id, attempts.c.outcome == AttemptOutcome.OPEN.value)
    rests = sa.and_(jobs.c.state.in_(ENDED), jobs.c.alarm_at.is_(None), jobs.c.lease_holder.is_(None), ~is_open)
    chosen = sa.select(jobs.c.id, jobs.c.state, jobs.c.attempt).where(jobs.c.id.in_(job_ids), rests)
    if more is not None:
        # By COALESCE, so that PostgreSQL takes no index of this: it reckons a span of time to be shorter than 50 ids.
        chosen = chosen.where(sa.func.coalesce(more, sa.false()))
    return {row.id: row for row in db.execute(chosen.with_for_update(skip_locked=True))}


def _waiting_notice() -> sa.ColumnElement[bool]:
    return sa.exists().where(notices.c.job_id == jobs.c.id, notices.c.alarm_at.is_not(None))


def _old_callbacks(database: Database, before: datetime) -> Iterator[int]:
    page = sa.select(inbox.c.id, inbox.c.received_at).order_by(inbox.c.id).limit(PAGE)
    for row in _rows(database, lambda last: page.where(inbox.c.id > last.id) if last else page):
        if row.received_at >= before:
            return
        yield row.id


def _old_histories(database: Database, before: datetime) -> Iterator[str]:
    """Jobs that ended before then, and have more of a history than the line that stands for one."""
    page = sa.select(jobs.c.id, jobs.c.created_at, jobs.c.ended_at, _has_history()).order_by(jobs.c.id).limit(PAGE)
    for row in _rows(database, lambda last: page.where(jobs.c.id > last.id) if last else page):
        if row.created_at >= before:
            return
        if row.ended_at is not None and row.ended_at < before and row.has_history:
            yield row.id


def _has_history() -> sa.Label[bool]:
    """Not by EXISTS, for which PostgreSQL may read both tables whole, once for each page."""
    lines = sa.select(sa.true()).where(events.c.job_id == jobs.c.id, events.c.event != PRUNED).limit(1)
    packed = sa.select(sa.true()).where(histories.c.job_id == jobs.c.id)
    found = (one.correlate(jobs).scalar_subquery() for one in (packed, lines))
    return sa.func.coalesce(*found, sa.false()).label("has_history")


def _old_ends(database: Database, before: datetime) -> Iterator[str]:
    """Jobs of which a line tells that they ended before then. One that ended twice comes twice.

    So many numbers at a time: in between may stand the lines of millions of pruned histories.
    """
    with database.read() as db:
        first, end = db.execute(sa.select(sa.func.min(events.c.id), sa.func.max(events.c.id))).one()
    is_end = sa.and_(events.c.to_state.in_(ENDED), events.c.event != PRUNED)
    for start in range(first or 0, (end or 0) + 1, NUMBERS):
        part = events.c.id.between(start, start + NUMBERS - 1)
        with database.read() as db:
            found = sa.select(events.c.job_id, events.c.at).where(part, is_end).order_by(events.c.id)
            rows = db.execute(found).all()
        for row in rows:
            if row.at >= before:
                return
            yield row.job_id


def _old_keys(database: Database, before: datetime) -> Iterator[tuple[str, str]]:
    """Those that may go: to look at the others, which are kept for good, in a transaction would take all its time."""
    own = sa.tuple_(idempotency_keys.c.api_key_id, idempotency_keys.c.key)
    may_go = sa.case((idempotency_keys.c.created_at < before, _has_ended()), else_=sa.false()).label("may_go")
    page = sa.select(idempotency_keys.c.api_key_id, idempotency_keys.c.key, may_go)
    page = page.order_by(idempotency_keys.c.api_key_id, idempotency_keys.c.key).limit(PAGE)
    for row in _rows(database, lambda last: page.where(own > sa.tuple_(*last[:2])) if last else page):
        if row.may_go:
            yield (row.api_key_id, row.key)


def _rows(database: Database, page: Callable[[sa.Row[Any] | None], sa.Select[Any]]) -> Iterator[sa.Row[Any]]:
    """All rows, a page at a time, each in a transaction of its own. `page`: the rows after the last one seen."""
    last: sa.Row[Any] | None = None
    while True:
        with database.read() as db:
            rows = db.execute(page(last)).all()
        yield from rows
        if len(rows) < PAGE:
            return
        last = rows[-1]
