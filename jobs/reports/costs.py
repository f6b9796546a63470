"""What the orders came to: sums by gateway, day and what became of the money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import ENDED
from jobs.store import spending
from jobs.store.tables import attempts, jobs

PAID_NOT_DELIVERED = "paid_not_delivered"
# Every line that an account has, in the order in which people read it.
LINES = (
    Standing.CHARGED.value,
    Standing.HELD.value,
    PAID_NOT_DELIVERED,
    Standing.UNCERTAIN.value,
    Standing.REFUNDED.value,
)


@dataclass(frozen=True)
class Sum:
    """Orders of one gateway, day and line. `usd` is what the gateway reported and can be true, else what was expected.

    `unpriced` of the `attempts` have neither, so `usd` leaves them out. `credits` are the gateway's own.
    """

    provider: str
    day: str
    line: str
    attempts: int
    credits: float
    usd: float
    unpriced: int


class Total(NamedTuple):
    """Orders of one line, as in `Sum`; of several gateways, whose credits are of different kinds and have no sum."""

    attempts: int
    usd: float
    unpriced: int


def total_columns() -> list[sa.ColumnElement[Any]]:
    """The line that an order stands in, and how `Total` is counted over orders."""
    ended = jobs.c.state.in_([state.value for state in ENDED])
    kept = attempts.c.outcome.in_([AttemptOutcome.FINISHED.value, AttemptOutcome.UNDELIVERED.value])
    stray = sa.and_(attempts.c.standing == Standing.CHARGED.value, kept, ended)
    usd = spending.counted("usd")
    return [
        sa.case((stray, PAID_NOT_DELIVERED), else_=attempts.c.standing).label("line"),
        sa.func.count().label("attempts"),
        sa.func.coalesce(sa.func.sum(usd), 0.0).label("usd"),
        (sa.func.count() - sa.func.count(usd)).label("unpriced"),
    ]


def sums(db: Connection, *, since: str, until: str, provider: str | None = None) -> list[Sum]:
    """The account of the days from `since` to `until`, both included (ISO dates, UTC); the newest day first."""
    line, count, usd, unpriced = total_columns()
    credits = sa.func.coalesce(spending.counted("credits"), 0)
    statement = (
        sa.select(
            attempts.c.provider,
            attempts.c.day,
            line,
            count,
            sa.func.sum(credits).label("credits"),
            usd,
            unpriced,
        )
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .where(attempts.c.day.between(since, until), attempts.c.standing != Standing.NONE.value)
        .group_by(attempts.c.provider, attempts.c.day, line)
    )
    if provider is not None:
        statement = statement.where(attempts.c.provider == provider)
    found = [Sum(*row) for row in db.execute(statement)]
    return sorted(found, key=lambda s: (s.day, s.provider, -LINES.index(s.line)), reverse=True)
