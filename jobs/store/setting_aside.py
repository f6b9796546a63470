"""Jobs whose lease-holders die: set aside for an hour and shown to a person, so that one film cannot end the service.

A holder has died where its lease ran out and nobody gave it back. Three deaths in a row, without a step of the job that
came to its end between them, are enough. A holder that only slept comes back, and takes its death back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.flags import HOLDER_DIED
from jobs.machine.outcome import Note
from jobs.machine.rows import Job
from jobs.store import due
from jobs.store.history import write_notes
from jobs.store.prepared import of
from jobs.store.tables import jobs

MOST_DEATHS = 3
ASIDE = timedelta(hours=1)
SHORTEST = timedelta(minutes=1)
FORGOTTEN: dict[str, Any] = {"holder_deaths": 0, "set_aside_until": None}
_SET_ASIDE = sa.update(jobs).where(of(jobs.c.id, jobs.c.version), due.UNLEASED)
_SHOW_NO_MORE = (
    sa.update(jobs)
    .where(of(jobs.c.id), jobs.c.flagged == HOLDER_DIED)
    .values(flagged=None, version=jobs.c.version + 1)  # also of a job that has ended, which no news wakes
)
_FORGET = sa.update(jobs).where(of(jobs.c.id), jobs.c.holder_deaths > 0).values(**FORGOTTEN)


def deaths(job: Job) -> int:
    """How many holders in a row have died, the one whose lease has run out among them."""
    return job.holder_deaths + (job.lease_holder is not None)


def aside_until(job: Job, now: datetime) -> datetime | None:
    """Until when a due job is to be left alone; None where it may be worked on. News does not cut that short.

    Of what its link has left, half is kept for further tries.
    """
    if job.lease_holder is not None and deaths(job) >= MOST_DEATHS:
        half = (job.link_dies_at - now) / 2 if job.link_dies_at is not None else ASIDE
        return now + max(SHORTEST, min(ASIDE, half))
    until = job.set_aside_until
    # A time further ahead was written before the clock was set back.
    return until if until is not None and now < until <= now + ASIDE else None


def set_aside(db: Connection, job: Job, until: datetime, now: datetime) -> bool:
    """Leave a due job alone until then, and let a person see it. False: the row has moved."""
    seen = {"of_id": job.id, "of_version": job.version, **due.unleased(now)}
    lease = {"lease_holder": None, "leased_until": None}
    said = {"flagged": "holder_died", "holder_deaths": deaths(job), "set_aside_until": until}
    written = {"alarm_at": until, "updated_at": now, "version": job.version + 1}
    if db.execute(_SET_ASIDE, {**seen, **lease, **said, **written}).rowcount != 1:
        return False
    if job.lease_holder is not None:
        write_notes(db, job.id, [Note("set_aside", job.attempt, {"deaths": deaths(job)})], now)
    return True


def lives(db: Connection, job_id: str) -> None:
    """A holder that was taken for dead has come back: nobody died of this job."""
    db.execute(_SHOW_NO_MORE, {"of_id": job_id})
    db.execute(_FORGET, {"of_id": job_id})
