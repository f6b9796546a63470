"""Films that wait for the store: what it has said to their transfers, and what mends it."""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.states import State
from jobs.store.tables import events, jobs

TOLD = ("transfer_trouble", "not_kept")  # the lines of history that bear a refusal
MOST = 20  # jobs whose history is read


class RefusedFilm(NamedTuple):
    """A job whose film the store refuses: in the store's words, and with what to do."""

    job_id: str
    reason: str
    then: str


def refused_films(db: Connection) -> list[RefusedFilm]:
    """One for each thing that there is to do."""
    waiting = sa.select(jobs.c.id).where(jobs.c.state == State.ARCHIVING.value, jobs.c.flagged == "bucket_refuses")
    latest = (
        sa.select(sa.func.max(events.c.id))
        .where(events.c.job_id.in_(waiting.order_by(jobs.c.id).limit(MOST)), events.c.event.in_(TOLD))
        .group_by(events.c.job_id)
    )
    found: dict[str, RefusedFilm] = {}
    for row in db.execute(sa.select(events.c.job_id, events.c.detail).where(events.c.id.in_(latest))):
        said: dict[str, Any] = row.detail
        if "then" in said:
            found.setdefault(said["then"], RefusedFilm(row.job_id, said["reason"], said["then"]))
    return list(found.values())
