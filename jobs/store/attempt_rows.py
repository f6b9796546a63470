"""The rows of `attempts`: made, changed and read in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping
from sqlalchemy.sql.dml import ReturningInsert

from jobs import measures
from jobs.machine.changes import AttemptChanges, with_times
from jobs.machine.rows import Attempt, AttemptOutcome, Origin, Settled, Standing
from jobs.machine.states import State
from jobs.providers.client import Account
from jobs.store import spending, told
from jobs.store.database import DatabaseUnavailable, upsert
from jobs.store.many import one_of
from jobs.store.prepared import at, of
from jobs.store.tables import attempts, jobs

# What the row of an order that a backup has forgotten can only guess at.
GUESSED = ("provider", "base_url", "account", "with_callback", "estimated_credits", "estimated_usd")

_OF_JOBS = sa.select(attempts).where(one_of(attempts.c.job_id, "job_ids"))
COLUMNS = [attempts.c[name] for name in Attempt.__dataclass_fields__]
_CHANGE = sa.update(attempts).where(of(attempts.c.job_id, attempts.c.number))
# Whoever changes an order's money changes one of these: its spending is put right by what was read of it.
_CHANGE_KNOWN = _CHANGE.where(of(attempts.c.standing, attempts.c.reserved_micro_usd)).returning(*COLUMNS)
_OUTCOME = sa.select(attempts.c.provider, attempts.c.outcome).where(of(attempts.c.job_id, attempts.c.number))
_OF_KEY = of(attempts.c.provider, attempts.c.account)
_NEWEST_TASK = (
    sa.select(attempts.c.task_id)
    .where(_OF_KEY, attempts.c.task_id.is_not(None))
    .order_by(attempts.c.day.desc(), attempts.c.created_at.desc())  # found by the index of days: most are of old ones
    .limit(1)
)
_IS_LOST = sa.and_(attempts.c.standing == Standing.UNCERTAIN.value, attempts.c.lost_at.is_not(None))
_WAITS = sa.and_(jobs.c.state == State.UNCONFIRMED.value, jobs.c.attempt == attempts.c.number)
_LOST = (
    sa.select(jobs.c.id)
    .select_from(attempts.join(jobs))
    .where(_OF_KEY, _IS_LOST, _WAITS, attempts.c.outcome == AttemptOutcome.OPEN.value)
    .where(attempts.c.created_at > at("since"))
    .order_by(attempts.c.sending_at, jobs.c.id)
    .limit(sa.bindparam("limit", type_=sa.Integer))
)


def new_row(
    job_id: str,
    number: int,
    provider: str,
    origin: Origin,
    *,
    base_url: str,
    account: str,
    with_callback: bool,
    created_at: datetime,
    **known: Any,
) -> dict[str, Any]:
    """The row of an attempt of which nothing but this is known yet; `known` are further columns.

    Every column is named, so that nothing is left over where the row of an attempt that was not sent is used again.
    """
    row: dict[str, Any] = {column.name: None for column in attempts.columns if column.nullable}
    row |= {"job_id": job_id, "number": number, "provider": provider, "origin": origin, "created_at": created_at}
    row |= {"base_url": base_url, "account": account, "with_callback": with_callback, "request": {}}
    row |= {"outcome": AttemptOutcome.OPEN, "standing": Standing.NONE, "adopted": False, "rejected_task_ids": []}
    row |= {"contested": False, "age_unknown": False}
    row |= {
        "sends": 0,
        "polls": 0,
        "day": spending.day_of(created_at),
        "estimate_exact": False,
        "reserved_micro_usd": 0,
    }
    return row | known


def of_jobs(db: Connection, job_ids: Sequence[str]) -> dict[tuple[str, int], Attempt]:
    """All attempts of these jobs, by job and number."""
    found = map(attempt_of, db.execute(_OF_JOBS, {"job_ids": job_ids}).mappings())
    return {(attempt.job_id, attempt.number): attempt for attempt in found}


def add_attempt(db: Connection, values: Mapping[str, Any], *, instead_of: Attempt | None = None) -> Attempt:
    """A new attempt, or the same one once more when it was provably not sent, which took nothing.

    `instead_of`: another one that bore its number, as far as was known. What it takes of its day is given back: a
    person may have said of a refused one that it was charged.
    """
    if instead_of is not None:
        spending.adjust(db, instead_of.job_id, instead_of.number, {"standing": Standing.NONE})
    attempt = attempt_of(db.execute(_new_or_again(db.dialect.name), values).mappings().one())
    told.count(db, measures.ORDERS, attempt.provider)
    return attempt


@cache
def _new_or_again(dialect: str) -> ReturningInsert[Any]:
    insert = upsert(dialect, attempts)
    again = {column.name: insert.excluded[column.name] for column in attempts.columns if not column.primary_key}
    return insert.on_conflict_do_update(index_elements=["job_id", "number"], set_=again).returning(*COLUMNS)


def correct_guess(db: Connection, attempt: Attempt, known: Mapping[str, Any], now: datetime) -> None:
    """Write where an order went that a backup has forgotten; all else stays as it is, also what a person said of it.

    What was reserved at the gateway that was guessed goes back, and is taken at the right one.
    """
    given_back = spending.adjust(db, attempt.job_id, attempt.number, {"standing": Standing.NONE})
    corrected = {name: known[name] for name in GUESSED if name in known}
    db.execute(_CHANGE, _of(attempt.job_id, attempt.number) | corrected | given_back)
    spending.open_day(db, corrected.get("provider", attempt.provider), attempt.day)
    as_before: AttemptChanges = {"standing": attempt.standing, "settled": attempt.settled}
    change_attempt(db, attempt.job_id, attempt.number, as_before, now)


def change_attempt(db: Connection, job_id: str, number: int, changes: AttemptChanges, now: datetime) -> None:
    """Write changes with the times that they imply, and put the day's spending right with them.

    A standing that no person names rests on a person's word no longer.
    """
    changes = _unsettled(changes)
    values: Mapping[str, object] = {**with_times(changes, now), **spending.adjust(db, job_id, number, changes)}
    if values:
        of_order = _of(job_id, number)
        before = db.execute(_OUTCOME, of_order).one_or_none() if "outcome" in values else None
        db.execute(_CHANGE, {**of_order, **values})
        if before is not None:
            _count_end(db, before.provider, before.outcome, values["outcome"])


def change_known(db: Connection, order: Attempt, changes: AttemptChanges, now: datetime) -> Attempt:
    """As `change_attempt`, of a row that stands as it was read, as its job's version has shown; the row after it.

    Raises DatabaseUnavailable where its money has moved all the same.
    """
    changes = _unsettled(changes)
    values: Mapping[str, object] = {**with_times(changes, now), **spending.adjust_known(db, order, changes)}
    if not values:
        return order
    read = {"of_standing": order.standing, "of_reserved_micro_usd": order.reserved_micro_usd}
    row = db.execute(_CHANGE_KNOWN, {**_of(order.job_id, order.number), **read, **values}).mappings().one_or_none()
    if row is None:
        raise DatabaseUnavailable(f"the money of {order.job_id}, order {order.number}, was written by somebody else")
    _count_end(db, order.provider, order.outcome, row["outcome"])
    return attempt_of(row)


def _count_end(db: Connection, provider: str, before: object, after: object) -> None:
    if after not in (before, AttemptOutcome.OPEN):
        told.count(db, measures.ORDER_ENDS, provider, str(after))


def _unsettled(changes: AttemptChanges) -> AttemptChanges:
    if "standing" in changes and "settled" not in changes:
        return {**changes, "settled": None}
    return changes


def newest_task(db: Connection, account: Account) -> str | None:
    """The id of a task that the key has at its gateway, of the newest one; None where it has none."""
    of_key = {"of_provider": account.provider, "of_account": account.fingerprint}
    return db.execute(_NEWEST_TASK, of_key).scalar_one_or_none()


def lost_orders(db: Connection, account: Account, *, since: datetime, limit: int) -> list[str]:
    """The jobs that wait for the answer to an order which the key sent after `since`: the longest unsent ones first."""
    of_key = {"of_provider": account.provider, "of_account": account.fingerprint}
    return list(db.execute(_LOST, {**of_key, "since": since, "limit": limit}).scalars())


def _of(job_id: str, number: int) -> dict[str, Any]:
    return {"of_job_id": job_id, "of_number": number}


def attempt_of(row: RowMapping | Mapping[str, Any]) -> Attempt:
    """An attempt's row as a value; further columns are left out."""
    values = {name: row[name] for name in Attempt.__dataclass_fields__}
    values |= {"outcome": AttemptOutcome(row["outcome"]), "standing": Standing(row["standing"])}
    values |= {"origin": Origin(row["origin"]), "settled": row["settled"] and Settled(row["settled"])}
    return Attempt(**values)
