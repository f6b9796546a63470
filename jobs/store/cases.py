"""Jobs with their attempts and callbacks, as steps and views read them; and the row of a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from jobs.errors import UnknownJob
from jobs.machine.callbacks import Hearsay, KeptCallback
from jobs.machine.case import Case
from jobs.machine.rows import Attempt, AttemptOutcome, Job, Origin, Settled, Standing
from jobs.machine.states import State
from jobs.store import history
from jobs.store.column_types import Instant
from jobs.store.database import Database
from jobs.store.many import one_of
from jobs.store.packed_rows import Unpacked, packed
from jobs.store.prepared import of
from jobs.store.tables import attempts, hearsay, inbox, jobs

NEW = 0  # the version of a job to which nothing has happened since it was taken in

_ADD = sa.insert(jobs)
JOB_COLUMNS, _OF_ATTEMPT, _OF_CALLBACK, _OF_HEARSAY = (
    [table.c[name] for name in row.__dataclass_fields__]
    for table, row in ((jobs, Job), (attempts, Attempt), (inbox, KeptCallback), (hearsay, Hearsay))
)
_QUEUED_NEW = sa.select(*JOB_COLUMNS).where(of(jobs.c.id), jobs.c.version == NEW, jobs.c.state == State.QUEUED.value)
_STATE = list(Job.__dataclass_fields__).index("state")
_ATTEMPT = Unpacked(
    _OF_ATTEMPT, {"origin": Origin, "outcome": AttemptOutcome, "standing": Standing, "settled": Settled}
)
_CALLBACK, _HEARSAY = Unpacked(_OF_CALLBACK, {}), Unpacked(_OF_HEARSAY, {})


class Found(NamedTuple):
    """A case, and the database's time when it was read."""

    case: Case
    now: datetime


def read_case(db: Connection, job_id: str) -> Case:
    """A job with its attempts and callbacks. Raises UnknownJob."""
    return _whole(_one(db, _statement(db.dialect.name, is_one=True, is_whole=True), job_id))


def find(db: Connection, database: Database, job_id: str) -> Found:
    """As `read_case`, with the time. Raises UnknownJob."""
    if not database.tells_time:
        return Found(read_case(db, job_id), database.clock(db))
    row = _one(db, _with_time(), job_id)
    return Found(_whole(row), row.now)


def read_cases(db: Connection, job_ids: Sequence[str]) -> list[Case]:
    """The jobs of these ids that there are, in this order, with their attempts, callbacks and hearsay."""
    found = db.execute(_statement(db.dialect.name, is_one=False, is_whole=True), {"ids": list(job_ids)})
    return _in_order(job_ids, map(_whole, found))


def read_shown(db: Connection, job_ids: Sequence[str]) -> list[Case]:
    """As `read_cases`, for views: without the callbacks, which no view shows."""
    found = db.execute(_statement(db.dialect.name, is_one=False, is_whole=False), {"ids": list(job_ids)})
    return _in_order(job_ids, (Case(job_of(row), _attempts(row.of_attempts), ()) for row in found))


def read_new(db: Connection, job_id: str) -> Case | None:
    """A queued job to which nothing has happened yet, so that nothing stands beside its row; else None."""
    row = db.execute(_QUEUED_NEW, {"of_id": job_id}).one_or_none()
    return None if row is None else Case(job_of(row), {}, ())


def add_job(db: Connection, values: Mapping[str, Any]) -> Case:
    """A new job, with the first line of its history. Columns that are left out are NULL."""
    row = {**dict.fromkeys(Job.__dataclass_fields__), **values}
    db.execute(_ADD, row)
    created = {"job_id": row["id"], "at": row["created_at"], "event": "created", "attempt": 0, "from_state": None}
    history.write_lines(db, [{**created, "to_state": row["state"], "detail": {"api_key": row["api_key_id"]}}])
    return Case(Job(**row), {}, ())


@cache  # reading a case is what every step does most; a statement that is built once is not analysed again each time
def _statement(dialect: str, *, is_one: bool, is_whole: bool) -> sa.Select[Any]:
    beside = [(_OF_ATTEMPT, attempts)]
    beside += [(_OF_CALLBACK, inbox), (_OF_HEARSAY, hearsay)] if is_whole else []
    is_sqlite = dialect == "sqlite"
    rows = [packed(columns, table.c.job_id == jobs.c.id, is_sqlite=is_sqlite) for columns, table in beside]
    chosen = sa.select(*JOB_COLUMNS, *rows)
    return chosen.where(jobs.c.id == sa.bindparam("id") if is_one else one_of(jobs.c.id, "ids"))


@cache
def _with_time() -> sa.Select[Any]:
    now = sa.type_coerce(sa.func.clock_timestamp(), Instant).label("now")
    return _statement("postgresql", is_one=True, is_whole=True).add_columns(now)


def _one(db: Connection, statement: sa.Select[Any], job_id: str) -> Row[Any]:
    row = db.execute(statement, {"id": job_id}).one_or_none()
    if row is None:
        raise UnknownJob(f"No job {job_id}.")
    return row


def _whole(row: Row[Any]) -> Case:
    callbacks = sorted((KeptCallback(*_CALLBACK(each)) for each in row.of_inbox), key=lambda each: each.id)
    heard = sorted((Hearsay(*_HEARSAY(each)) for each in row.of_hearsay), key=lambda x: (x.heard_at, x.task_id))
    return Case(job_of(row), _attempts(row.of_attempts), tuple(callbacks), tuple(heard))


def job_of(row: Row[Any]) -> Job:
    """A job's row as a value; it begins with JOB_COLUMNS."""
    values = list(row[: len(JOB_COLUMNS)])
    values[_STATE] = State(values[_STATE])
    return Job(*values)


def _attempts(rows: list[list[Any]]) -> dict[int, Attempt]:
    found = (Attempt(*_ATTEMPT(row)) for row in rows)
    return {attempt.number: attempt for attempt in sorted(found, key=lambda each: each.number)}


def _in_order(job_ids: Sequence[str], found: Any) -> list[Case]:
    by_id = {case.job.id: case for case in found}
    return [by_id[job_id] for job_id in job_ids if job_id in by_id]
