"""How long a gateway's key had better not be used, and why.

In the database, so that a flushed broker does not send orders to a gateway that asked for quiet, and so that whoever
decides on a route sees it in the same transaction.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.outcome import Cooldown
from jobs.providers.client import Account
from jobs.store.database import upsert
from jobs.store.tables import lanes

Lane = Literal["submit", "query"]
LONGEST_S = 900


def start(db: Connection, account: Account, lane: Lane, cooldown: Cooldown, *, now: datetime) -> None:
    """Leave this key alone for a while, 15 minutes at most at a time. A longer one stays as it is."""
    key = {"provider": account.provider, "account": account.fingerprint, "lane": lane}
    row = {**key, "until": now + timedelta(seconds=min(cooldown.seconds, LONGEST_S)), "reason": cooldown.reason}
    insert = upsert(db, lanes).values(**row)
    db.execute(
        insert.on_conflict_do_update(
            index_elements=list(key),
            set_={"until": insert.excluded.until, "reason": insert.excluded.reason},
            where=sa.or_(lanes.c.until.is_(None), lanes.c.until < insert.excluded.until),
        )
    )


def left(db: Connection, account: Account, lane: Lane, *, now: datetime) -> Cooldown | None:
    """The cooldown that this key still has; None when it may be used."""
    row = db.execute(
        sa.select(lanes.c.until, lanes.c.reason).where(
            lanes.c.provider == account.provider,
            lanes.c.account == account.fingerprint,
            lanes.c.lane == lane,
        )
    ).one_or_none()
    if row is None or row.until is None or row.until <= now:
        return None
    # A clock that was set back must not make a cooldown longer than any is.
    return Cooldown(row.reason, min((row.until - now).total_seconds(), LONGEST_S))
