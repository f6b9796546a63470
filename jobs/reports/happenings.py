"""What happens to jobs, as it happens: the moves of all histories, in the order in which they were written.

Histories of jobs that rest are packed, and told of no more.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.store.tables import events, jobs

MOST = 200  # at a time; the next look has the rest


class Happening(NamedTuple):
    """A move of a job. `number` grows; `error`: the job's error code as it is now; `key`: where its video belongs."""

    number: int
    at: datetime
    job_id: str
    state: str
    provider: str | None
    error: str | None
    key: str


def latest(db: Connection) -> int:
    """The number of the last line of all histories; 0 before the first."""
    return db.execute(sa.select(sa.func.max(events.c.id))).scalar() or 0


def since(db: Connection, number: int) -> list[Happening]:
    """The moves that were written after the line of this number."""
    of_job = (jobs.c.provider, jobs.c.error_code, jobs.c.archive_key)
    moved = sa.and_(events.c.to_state.is_not(None), events.c.from_state.is_distinct_from(events.c.to_state))
    found = sa.select(events.c.id, events.c.at, events.c.job_id, events.c.to_state, *of_job)
    found = found.join(jobs, jobs.c.id == events.c.job_id).where(events.c.id > number, moved)
    return [Happening(*row) for row in db.execute(found.order_by(events.c.id).limit(MOST))]
