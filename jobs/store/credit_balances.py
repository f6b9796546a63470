"""What gateways told of their accounts when they were last asked, and what ours has of them. It moves no money."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.rows import AttemptOutcome, Standing
from jobs.store import spending
from jobs.store.database import upsert
from jobs.store.prepared import of
from jobs.store.tables import attempts, credit_balances

COUNTED = (Standing.HELD.value, Standing.CHARGED.value)
_LAST = sa.select(credit_balances).where(of(credit_balances.c.provider, credit_balances.c.account))


class Asked(NamedTuple):
    """An asking: what the gateway's account had used, and what ours had, in the gateway's unit."""

    asked_at: datetime
    used: float
    booked: float


class Orders(NamedTuple):
    """How many orders, and what they count for in the gateway's credits; `unpriced` of them have no price."""

    orders: int
    credits: float
    unpriced: int


class Book(NamedTuple):
    """Our account of all orders at a gateway. `at_most`: of `booked`, those of which only the most is known."""

    booked: Orders
    uncertain: Orders
    under_way: Orders
    at_most: Orders


def last(db: Connection, provider: str, account: str) -> Asked | None:
    """The asking before; None: there was none."""
    row = db.execute(_LAST, {"of_provider": provider, "of_account": account}).one_or_none()
    return None if row is None else Asked(row.asked_at, row.used, row.booked)


def keep(db: Connection, provider: str, account: str, asked: Asked) -> None:
    """The base of the next asking."""
    db.execute(_replace(db.dialect.name), {"provider": provider, "account": account, **asked._asdict()})


def book(db: Connection, provider: str, account: str | None, *, since: datetime | None) -> Book:
    """What stands in our account, of one key or of all (None). `at_most` counts orders since then alone."""
    columns, standing = attempts.c, attempts.c.standing
    counted = standing.in_(COUNTED)
    inexact = sa.and_(counted, ~columns.estimate_exact, columns.reported_credits.is_(None))
    if since is not None:
        inexact = sa.and_(inexact, columns.created_at >= since)
    under_way = sa.and_(columns.outcome == AttemptOutcome.OPEN.value, columns.sending_at.is_not(None))
    parts = (counted, standing == Standing.UNCERTAIN.value, under_way, inexact)
    sums = [each for part in parts for each in _sums(part)]
    chosen = sa.select(*sums).where(columns.provider == provider)
    if account is not None:
        chosen = chosen.where(columns.account == account)
    row = db.execute(chosen).one()
    found = [Orders(int(row[n]), float(row[n + 1]), int(row[n] - row[n + 2])) for n in range(0, len(sums), 3)]
    return Book(*found)


def _sums(part: sa.ColumnElement[bool]) -> list[sa.ColumnElement[float]]:
    credits = spending.counted("credits")
    return [
        sa.func.coalesce(sa.func.sum(sa.case((part, 1), else_=0)), 0),
        sa.func.coalesce(sa.func.sum(sa.case((part, credits), else_=0.0)), 0.0),
        sa.func.coalesce(sa.func.sum(sa.case((sa.and_(part, credits.is_not(None)), 1), else_=0)), 0),
    ]


@cache
def _replace(dialect: str) -> sa.Insert:
    insert = upsert(dialect, credit_balances)
    told = {name: insert.excluded[name] for name in Asked._fields}
    return insert.on_conflict_do_update(index_elements=["provider", "account"], set_=told)
