"""Deletes films that have been kept beside the archive for long enough. Nothing under `videos/` is ever deleted."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.rows import AttemptOutcome
from jobs.machine.states import State
from jobs.settings import Settings
from jobs.store.attempt_rows import attempt_of
from jobs.store.database import Database
from jobs.store.tables import attempts, jobs
from jobs.upkeep.prune import LONGEST_D
from storage.bucket import Bucket
from storage.keys import CONTESTED, UNPROVEN, aside_key, unproven_key


def prune_aside(database: Database, bucket: Bucket, settings: Settings, *, dry: bool = False) -> int:
    """Delete what was put aside more than `keep_aside_d` days ago and nobody waits for; how many films.

    `dry` counts and deletes nothing. Safe to stop and to repeat. Raises BucketUnavailable, DatabaseUnavailable.
    """
    with database.read() as db:
        before = database.clock(db) - timedelta(days=min(settings.keep_aside_d, LONGEST_D))
        wanted = _wanted(db, before, bucket.config.prefix)
    gone = 0
    for folder in (CONTESTED, UNPROVEN):
        for item in bucket.listing(f"{bucket.config.prefix}{folder}"):
            if item.written_at < before and item.key not in wanted:
                if not dry:
                    bucket.delete(item.key)
                gone += 1
    return gone


def _wanted(db: Connection, before: datetime, prefix: str) -> set[str]:
    """Keys of films that are old and stay: undecided ones, those being copied, and bytes that came again since."""
    rows = sa.select(attempts, jobs.c.state).join(jobs, jobs.c.id == attempts.c.job_id)
    undecided = sa.and_(attempts.c.contested, attempts.c.outcome == AttemptOutcome.FINISHED.value)
    keys: set[str] = set()
    for row in db.execute(rows.where(sa.or_(undecided, attempts.c.unproven.is_not(None)))).mappings():
        attempt = attempt_of(row)
        if attempt.contested:
            keys.add(aside_key(prefix, attempt.provider, attempt.account, attempt.task_id or ""))
        taken = attempt.accepted_film if row["state"] == State.ARCHIVING else None
        late = [film for film in attempt.unproven_films if film.kept_at >= before or film == taken]
        keys |= {unproven_key(prefix, film.sha256) for film in late}
    return keys
