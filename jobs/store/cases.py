"""Jobs with their attempts and callbacks, as steps and views read them; and the row of a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from jobs.errors import UnknownJob
from jobs.machine.rows import Attempt, Case, Hearsay, Job, KeptCallback
from jobs.machine.states import State
from jobs.store.attempt_rows import attempt_of
from jobs.store.tables import attempts, events, hearsay, inbox, jobs

# Reading a case is what every step does most; a statement that is built once is not analysed again each time.
_NEW_JOB, _NEW_EVENT = sa.insert(jobs), sa.insert(events)
_IDS: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
_JOBS = sa.select(jobs).where(jobs.c.id.in_(_IDS))
_ATTEMPTS = sa.select(attempts).where(attempts.c.job_id.in_(_IDS)).order_by(attempts.c.number)
_CALLBACKS = (
    sa.select(inbox.c.job_id, *[inbox.c[name] for name in KeptCallback.__dataclass_fields__])
    .where(inbox.c.job_id.in_(_IDS))
    .order_by(inbox.c.id)
)
_HEARSAY = (
    sa.select(hearsay.c.job_id, *[hearsay.c[name] for name in Hearsay.__dataclass_fields__])
    .where(hearsay.c.job_id.in_(_IDS))
    .order_by(hearsay.c.heard_at, hearsay.c.task_id)
)


def read_case(db: Connection, job_id: str) -> Case:
    """A job with its attempts and callbacks. Raises UnknownJob."""
    found = read_cases(db, [job_id])
    if not found:
        raise UnknownJob(f"No job {job_id}.")
    return found[0]


def read_cases(db: Connection, job_ids: Sequence[str]) -> list[Case]:
    """The jobs of these ids that there are, in this order, with their attempts, callbacks and hearsay."""
    cases = read_shown(db, job_ids)
    callbacks: dict[str, list[KeptCallback]] = {case.job.id: [] for case in cases}
    for job_id, *values in db.execute(_CALLBACKS, {"ids": list(job_ids)}):
        if job_id in callbacks:  # the inbox also keeps those of jobs that are not here
            callbacks[job_id].append(KeptCallback(*values))
    heard: dict[str, list[Hearsay]] = {case.job.id: [] for case in cases}
    for job_id, *values in db.execute(_HEARSAY, {"ids": list(job_ids)}):
        if job_id in heard:
            heard[job_id].append(Hearsay(*values))
    return [replace(case, callbacks=tuple(callbacks[case.job.id]), hearsay=tuple(heard[case.job.id])) for case in cases]


def read_shown(db: Connection, job_ids: Sequence[str]) -> list[Case]:
    """As `read_cases`, for views: without the callbacks, which no view shows."""
    chosen = {"ids": list(job_ids)}
    rows = {row["id"]: row for row in db.execute(_JOBS, chosen).mappings()}
    tries: dict[str, dict[int, Attempt]] = {job_id: {} for job_id in rows}
    for row in db.execute(_ATTEMPTS, chosen).mappings():
        tries[row["job_id"]][row["number"]] = attempt_of(row)
    return [Case(_job(rows[job_id]), tries[job_id], ()) for job_id in job_ids if job_id in rows]


def add_job(db: Connection, values: Mapping[str, Any]) -> Case:
    """A new job, with the first line of its history. Columns that are left out are NULL."""
    row = {**dict.fromkeys(Job.__dataclass_fields__), **values}
    db.execute(_NEW_JOB, row)
    created = {"job_id": row["id"], "at": row["created_at"], "event": "created", "attempt": 0, "to_state": row["state"]}
    db.execute(_NEW_EVENT, {**created, "detail": {"api_key": row["api_key_id"]}})
    return Case(Job(**row), {}, ())


def _job(row: RowMapping) -> Job:
    return Job(**{**row, "state": State(row["state"])})
