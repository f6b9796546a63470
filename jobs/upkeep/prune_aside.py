"""Deletes films that have been kept beside the archive for long enough. Nothing under `videos/` is ever deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine import flags, schedule
from jobs.machine.changes import AttemptChanges
from jobs.machine.outcome import Facts, Outcome
from jobs.machine.rows import Attempt, AttemptOutcome
from jobs.machine.states import ENDED, State
from jobs.machine.unproven_film import UnprovenFilm
from jobs.providers.registry import on_terms
from jobs.settings import Settings
from jobs.store import cases, leases
from jobs.store.attempt_rows import attempt_of
from jobs.store.database import Database
from jobs.store.tables import attempts, jobs
from storage.bucket import Bucket
from storage.keys import CONTESTED, UNPROVEN, aside_key, unproven_key


def prune_aside(database: Database, bucket: Bucket, settings: Settings, *, dry: bool = False) -> int:
    """Delete what was put aside more than `keep_aside_d` days ago and nobody waits for; how many films.

    A job that is over says no more of what is gone, also where the bucket's own rules have deleted it. `dry` counts and
    deletes nothing. Safe to stop and to repeat. Raises BucketUnavailable, DatabaseUnavailable.
    """
    with database.read() as db:
        before = database.clock(db) - schedule.keeping(settings)
        wanted = _wanted(db, before, bucket.config.prefix)
    gone, left = 0, set()
    for folder in (CONTESTED, UNPROVEN):
        for item in bucket.listing(f"{bucket.config.prefix}{folder}"):
            if item.written_at < before and item.key not in wanted:
                if not dry:
                    bucket.delete(item.key)
                gone += 1
            else:
                left.add(item.key)
    if not dry:
        _forget(database, before, left, settings)
    return gone


def _forget(database: Database, before: datetime, left: set[str], settings: Settings) -> None:
    """Write of each job that is over which old films are still there."""

    def is_gone(film: UnprovenFilm) -> bool:
        return film.kept_at < before and unproven_key(settings.s3_prefix, film.sha256) not in left

    over = sa.select(attempts).join(jobs, jobs.c.id == attempts.c.job_id).where(attempts.c.unproven.is_not(None))
    with database.read() as db:
        rows = db.execute(over.where(jobs.c.state.in_([state.value for state in ENDED]))).mappings()
        found = {row["job_id"] for row in rows if any(map(is_gone, _films(attempt_of(row))))}
    for job_id in sorted(found):
        with database.write() as db:
            case, now = cases.read_case(db, job_id), database.clock(db)
            if case.job.state not in ENDED:
                continue
            changes = {number: _without(attempt, is_gone) for number, attempt in case.attempts.items()}
            facts = Facts({number: change for number, change in changes.items() if change})
            after = {number: replace(each, **changes[number]) for number, each in case.attempts.items()}
            flagged = flags.shown(replace(case, attempts=after), now, settings, on_terms(settings.terms))
            # Where the row has moved meanwhile, the next run looks again.
            leases.write_wish(db, case, Outcome(case.job.alarm_at, job={"flagged": flagged}, facts=facts), now=now)


def _without(attempt: Attempt, is_gone: Callable[[UnprovenFilm], bool]) -> AttemptChanges:
    """What changes of an order of which films are gone."""
    films = _films(attempt)
    left = [film.as_json() for film in films if not is_gone(film)]
    return {} if len(left) == len(films) else {"unproven": left}


def _films(attempt: Attempt) -> list[UnprovenFilm]:
    """All that is said to be kept of an order, also of a task that it gave back."""
    return [UnprovenFilm.from_json(kept) for kept in attempt.unproven or ()]


def _wanted(db: Connection, before: datetime, prefix: str) -> set[str]:
    """Keys of films that are old and stay: undecided ones, those being copied, and bytes that came again since."""
    rows = sa.select(attempts, jobs.c.state).join(jobs, jobs.c.id == attempts.c.job_id)
    undecided = sa.and_(attempts.c.contested, attempts.c.outcome == AttemptOutcome.FINISHED.value)
    keys: set[str] = set()
    for row in db.execute(rows.where(sa.or_(undecided, attempts.c.unproven.is_not(None)))).mappings():
        attempt = attempt_of(row)
        if attempt.contested:
            keys.add(aside_key(prefix, attempt.provider, attempt.task_id or ""))
        taken = attempt.accepted_film if row["state"] == State.ARCHIVING else None
        late = [film for film in attempt.unproven_films if film.kept_at >= before or film == taken]
        keys |= {unproven_key(prefix, film.sha256) for film in late}
    return keys
