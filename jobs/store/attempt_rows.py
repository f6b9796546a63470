"""The rows of `attempts`: made, changed and read in one place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from jobs.machine.rows import Attempt, AttemptChanges, AttemptOutcome, Origin, Settled, Standing, with_times
from jobs.machine.states import State
from jobs.providers.client import Account
from jobs.store import spending
from jobs.store.tables import attempts, jobs

# What the row of an order that a backup has forgotten can only guess at.
GUESSED = ("provider", "base_url", "account", "with_callback", "estimated_credits", "estimated_usd")


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
    row |= {"sends": 0, "day": spending.day_of(created_at), "estimate_exact": False, "reserved_micro_usd": 0}
    return row | known


def add_attempt(db: Connection, values: Mapping[str, Any]) -> None:
    """A new attempt, or the same one once more when it was provably not sent."""
    row = sa.and_(attempts.c.job_id == values["job_id"], attempts.c.number == values["number"])
    if not db.execute(sa.update(attempts).where(row).values(**values)).rowcount:
        db.execute(sa.insert(attempts).values(**values))


def correct_guess(db: Connection, attempt: Attempt, known: Mapping[str, Any], now: datetime) -> None:
    """Write where an order went that a backup has forgotten; all else stays as it is, also what a person said of it.

    What was reserved at the gateway that was guessed goes back, and is taken at the right one.
    """
    row = sa.and_(attempts.c.job_id == attempt.job_id, attempts.c.number == attempt.number)
    given_back = spending.adjust(db, attempt.job_id, attempt.number, {"standing": Standing.NONE})
    corrected = {name: known[name] for name in GUESSED if name in known}
    db.execute(sa.update(attempts).where(row).values(**corrected, **given_back))
    spending.open_day(db, corrected.get("provider", attempt.provider), attempt.day)
    as_before: AttemptChanges = {"standing": attempt.standing, "settled": attempt.settled}
    change_attempt(db, attempt.job_id, attempt.number, as_before, now)


def change_attempt(db: Connection, job_id: str, number: int, changes: AttemptChanges, now: datetime) -> None:
    """Write changes with the times that they imply, and put the day's spending right with them.

    A standing that no person names rests on a person's word no longer.
    """
    if "standing" in changes and "settled" not in changes:
        changes = {**changes, "settled": None}
    values: Mapping[str, object] = {**with_times(changes, now), **spending.adjust(db, job_id, number, changes)}
    if values:
        row = sa.and_(attempts.c.job_id == job_id, attempts.c.number == number)
        db.execute(sa.update(attempts).where(row).values(**values))


def newest_task(db: Connection, account: Account) -> str | None:
    """The id of a task that the key has at its gateway, of the newest one; None where it has none."""
    of_key = sa.and_(attempts.c.provider == account.provider, attempts.c.account == account.fingerprint)
    found = sa.select(attempts.c.task_id).where(of_key, attempts.c.task_id.is_not(None))
    return db.execute(found.order_by(attempts.c.created_at.desc()).limit(1)).scalar_one_or_none()


def lost_orders(db: Connection, account: Account, *, since: datetime, limit: int) -> list[str]:
    """The jobs that wait for the answer to an order which the key sent after `since`: the longest unsent ones first."""
    of_key = sa.and_(attempts.c.provider == account.provider, attempts.c.account == account.fingerprint)
    is_lost = sa.and_(attempts.c.standing == Standing.UNCERTAIN.value, attempts.c.lost_at.is_not(None))
    waits = sa.and_(jobs.c.state == State.UNCONFIRMED.value, jobs.c.attempt == attempts.c.number)
    found = sa.select(jobs.c.id).select_from(attempts.join(jobs)).where(of_key, is_lost, waits)
    found = found.where(attempts.c.outcome == AttemptOutcome.OPEN.value, attempts.c.created_at > since)
    return list(db.execute(found.order_by(attempts.c.sending_at, jobs.c.id).limit(limit)).scalars())


def attempt_of(row: RowMapping | Mapping[str, Any]) -> Attempt:
    """An attempt's row as a value; further columns are left out."""
    values = {name: row[name] for name in Attempt.__dataclass_fields__}
    values |= {"outcome": AttemptOutcome(row["outcome"]), "standing": Standing(row["standing"])}
    values |= {"origin": Origin(row["origin"]), "settled": row["settled"] and Settled(row["settled"])}
    return Attempt(**values)
