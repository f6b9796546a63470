"""What a gateway's orders of a day come to, in millionths of a US dollar, and the budget that holds them.

A claim reserves the estimate by a guarded update in its own transaction. What becomes of the attempt corrects it:
given back when nothing was sold or the money came back, put right when the gateway tells the cost.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.rows import AttemptChanges, Standing
from jobs.store.database import upsert
from jobs.store.tables import attempts, spending

FREE = frozenset({Standing.NONE, Standing.REFUNDED})


def day_of(moment: datetime) -> str:
    """The day, in UTC, whose budget an order at this moment counts to."""
    return moment.astimezone(UTC).date().isoformat()


def micro(usd: float | None) -> int:
    """US dollars in millionths; nothing where no price is known."""
    return round((usd or 0) * 1_000_000)


def spent_usd(db: Connection, provider: str, day: str) -> float:
    """What the orders of a day come to so far."""
    row = sa.select(spending.c.micro_usd).where(spending.c.provider == provider, spending.c.day == day)
    return int(db.execute(row).scalar_one_or_none() or 0) / 1_000_000


def uncertain_usd(db: Connection, provider: str, day: str) -> float:
    """What of it stands uncertain: orders of which nobody knows whether they were charged."""
    of_day = sa.and_(attempts.c.provider == provider, attempts.c.day == day)
    row = sa.select(sa.func.sum(attempts.c.reserved_micro_usd))
    row = row.where(of_day, attempts.c.standing == Standing.UNCERTAIN.value)
    return int(db.execute(row).scalar_one_or_none() or 0) / 1_000_000


def reserve(db: Connection, provider: str, day: str, amount: int, daily_usd: float | None) -> bool:
    """Count an order to its day. False: it would pass the day's budget, and nothing was counted.

    The row stays locked until the transaction ends, so that claims on one gateway come one after the other.
    """
    open_day(db, provider, day)
    row = sa.update(spending).where(spending.c.provider == provider, spending.c.day == day)
    if daily_usd is not None:
        row = row.where(spending.c.micro_usd + amount <= micro(daily_usd))
    return db.execute(row.values(micro_usd=spending.c.micro_usd + amount)).rowcount == 1


def open_day(db: Connection, provider: str, day: str) -> None:
    """See that a day has its row, so that what becomes of its orders can be counted to it."""
    db.execute(upsert(db, spending).values(provider=provider, day=day, micro_usd=0).on_conflict_do_nothing())


def adjust(db: Connection, job_id: str, number: int, changes: AttemptChanges) -> dict[str, int]:
    """What an attempt with these changes takes of its day from now on, by its column; {} where it takes the same."""
    if "standing" not in changes:
        return {}
    one = sa.and_(attempts.c.job_id == job_id, attempts.c.number == number)
    columns = (attempts.c.provider, attempts.c.day, attempts.c.estimated_usd, attempts.c.reported_usd)
    row = db.execute(sa.select(*columns, attempts.c.reserved_micro_usd).where(one).with_for_update()).one()
    reported = changes.get("reported_usd", row.reported_usd)
    usd = 0.0 if changes["standing"] in FREE else row.estimated_usd if reported is None else reported
    wanted = micro(usd)
    if wanted == row.reserved_micro_usd:
        return {}
    day = sa.and_(spending.c.provider == row.provider, spending.c.day == row.day)
    corrected = spending.c.micro_usd + (wanted - row.reserved_micro_usd)
    db.execute(sa.update(spending).where(day).values(micro_usd=corrected))
    return {"reserved_micro_usd": wanted}
