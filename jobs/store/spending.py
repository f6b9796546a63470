"""What a gateway's orders of a day come to, in millionths of a US dollar, and the budget that holds them.

A claim reserves the estimate by a guarded update in its own transaction. What becomes of the attempt corrects it:
given back when nothing was sold or the money came back, put right when the gateway tells the cost.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.sql.dml import ReturningInsert

from jobs.machine.changes import AttemptChanges
from jobs.machine.rows import ABSURD, FREE, Attempt, Money, Settled, Standing
from jobs.store.database import upsert
from jobs.store.prepared import of
from jobs.store.tables import attempts, spending

# Of one order: nobody pays more, and thousands of such can still be added up.
MOST = {"usd": 1e9, "credits": 1e15}

_IS_DAY = of(spending.c.provider, spending.c.day)
_SPENT = sa.select(spending.c.micro_usd).where(_IS_DAY)
_LOCK = sa.select(spending.c.day).where(_IS_DAY).with_for_update()
_AMOUNT: sa.BindParameter[int] = sa.bindparam("amount", type_=sa.BigInteger)
_COUNT = sa.update(spending).where(_IS_DAY).values(micro_usd=spending.c.micro_usd + _AMOUNT)
_UNCERTAIN = sa.select(sa.func.sum(attempts.c.reserved_micro_usd)).where(
    of(attempts.c.provider, attempts.c.day), attempts.c.standing == Standing.UNCERTAIN.value
)
_OF_DAY = (attempts.c.provider, attempts.c.day, attempts.c.reserved_micro_usd)
_ORDER = sa.select(*_OF_DAY, *(attempts.c[name] for name in Money._fields))
_LOCK_ORDER = _ORDER.where(of(attempts.c.job_id, attempts.c.number)).with_for_update()


def day_of(moment: datetime) -> str:
    """The day, in UTC, whose budget an order at this moment counts to."""
    return moment.astimezone(UTC).date().isoformat()


def micro(usd: float | None) -> int:
    """US dollars in millionths, up to the most; nothing where no price is known."""
    return round(min(usd or 0, MOST["usd"]) * 1_000_000)


def taken(money: Money) -> int:
    """What an order takes of its day, in millionths."""
    return 0 if money.standing in FREE else micro(money.usd)


def spent_usd(db: Connection, provider: str, day: str) -> float:
    """What the orders of a day come to so far."""
    return int(db.execute(_SPENT, _of(provider, day)).scalar_one_or_none() or 0) / 1_000_000


def uncertain_usd(db: Connection, provider: str, day: str) -> float:
    """What of it stands uncertain: orders of which nobody knows whether they were charged."""
    return int(db.execute(_UNCERTAIN, _of(provider, day)).scalar_one_or_none() or 0) / 1_000_000


def reserve(db: Connection, provider: str, day: str, amount: int, daily_usd: float | None) -> bool:
    """Count an order to its day. False: it would pass the day's budget, and nothing was counted.

    The row stays locked until the transaction ends, so that claims on one gateway come one after the other.
    """
    counted: dict[str, Any] = {"provider": provider, "day": day, "micro_usd": amount}
    if daily_usd is None:
        return db.execute(_more(db.dialect.name, is_limited=False), counted).first() is not None
    most = micro(daily_usd)
    if amount > most:  # the day's first order is compared with nothing
        return False
    return db.execute(_more(db.dialect.name, is_limited=True), counted | {"most": most}).first() is not None


def lock_days(db: Connection, days: Collection[tuple[str, str]]) -> None:
    """Nobody else may change these gateways' days until the transaction ends; always in one order."""
    for provider, day in sorted(days):
        open_day(db, provider, day)
        db.execute(_LOCK, _of(provider, day))


def open_day(db: Connection, provider: str, day: str) -> None:
    """See that a day has its row, so that what becomes of its orders can be counted to it."""
    db.execute(_new_day(db.dialect.name), {"provider": provider, "day": day, "micro_usd": 0})


@cache
def _more(dialect: str, *, is_limited: bool) -> ReturningInsert[Any]:
    """Open a day with an order, or add it to those that the day has. No row comes back where it would be too much."""
    insert = upsert(dialect, spending)
    total = spending.c.micro_usd + insert.excluded.micro_usd
    within = total <= sa.bindparam("most", type_=sa.BigInteger) if is_limited else None
    added = insert.on_conflict_do_update(index_elements=["provider", "day"], set_={"micro_usd": total}, where=within)
    return added.returning(spending.c.day)


@cache
def _new_day(dialect: str) -> sa.Insert:
    return upsert(dialect, spending).on_conflict_do_nothing()


def _of(provider: str, day: str) -> dict[str, Any]:
    return {"of_provider": provider, "of_day": day}


def adjust(db: Connection, job_id: str, number: int, changes: AttemptChanges) -> dict[str, int]:
    """What an attempt with these changes takes of its day from now on, by its column; {} where it takes the same."""
    if not changes.keys() & set(Money._fields):
        return {}
    row = db.execute(_LOCK_ORDER, {"of_job_id": job_id, "of_number": number}).one()
    return _adjust(db, row._asdict(), changes)


def adjust_known(db: Connection, order: Attempt, changes: AttemptChanges) -> dict[str, int]:
    """As `adjust`, of an order whose row is known to be as it was read."""
    if not changes.keys() & set(Money._fields):
        return {}
    known = {"provider": order.provider, "day": order.day, "reserved_micro_usd": order.reserved_micro_usd}
    return _adjust(db, known | order.money._asdict(), changes)


def _adjust(db: Connection, order: Mapping[str, Any], changes: AttemptChanges) -> dict[str, int]:
    wanted = taken(Money(*({**order, **changes}[name] for name in Money._fields)))
    before = order["reserved_micro_usd"]
    if wanted == before:
        return {}
    db.execute(_COUNT, _of(order["provider"], order["day"]) | {"amount": wanted - before})
    return {"reserved_micro_usd": wanted}


def counted(unit: Literal["usd", "credits"]) -> sa.ColumnElement[float | None]:
    """What an order counts for, as `Money` has it, for a statement that sums over orders."""
    reported, estimated, most = attempts.c[f"reported_{unit}"], attempts.c[f"estimated_{unit}"], MOST[unit]
    in_usd = sa.and_(attempts.c.reported_usd.is_not(None), attempts.c.estimated_usd.is_not(None))
    absurd = sa.case(
        (in_usd, attempts.c.reported_usd > ABSURD * attempts.c.estimated_usd),
        else_=attempts.c.reported_credits > ABSURD * attempts.c.estimated_credits,
    )
    doubted = sa.and_(attempts.c.settled.is_distinct_from(Settled.CHARGED.value), absurd)
    return sa.case((sa.or_(reported.is_(None), doubted), estimated), (reported > most, most), else_=reported)
