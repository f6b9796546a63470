"""How long a gateway's key had better not be used, and why.

In the database, so that a flushed broker does not send orders to a gateway that asked for quiet, and so that whoever
decides on a route sees it in the same transaction.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.outcome import Pause
from jobs.providers.client import Account
from jobs.store.database import upsert
from jobs.store.tables import pauses

Lane = Literal["submit", "query"]
LONGEST_S = 900


def rest(db: Connection, account: Account, lane: Lane, pause: Pause, *, now: datetime) -> None:
    """Leave this key alone for a while, 15 minutes at most at a time. A longer rest stays as it is."""
    key = {"provider": account.provider, "account": account.fingerprint, "lane": lane}
    row = {**key, "until": now + timedelta(seconds=min(pause.seconds, LONGEST_S)), "reason": pause.reason}
    insert = upsert(db, pauses).values(**row)
    db.execute(
        insert.on_conflict_do_update(
            index_elements=list(key),
            set_={"until": insert.excluded.until, "reason": insert.excluded.reason},
            where=pauses.c.until < insert.excluded.until,
        )
    )


def resting(db: Connection, account: Account, lane: Lane, *, now: datetime) -> Pause | None:
    """The rest that this key still has; None when it may be used."""
    row = db.execute(
        sa.select(pauses.c.until, pauses.c.reason).where(
            pauses.c.provider == account.provider, pauses.c.account == account.fingerprint, pauses.c.lane == lane
        )
    ).one_or_none()
    if row is None or row.until <= now:
        return None
    # A clock that was set back must not make a rest longer than any rest is.
    return Pause(row.reason, min((row.until - now).total_seconds(), LONGEST_S))
