"""Which facts a pipeline is told, and the rows that say so. Sending them is the webhooks room's business."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping
from ulid import ULID

from jobs.errors import UnknownNotice
from jobs.machine.case import Case
from jobs.machine.job_json import job_json
from jobs.machine.outcome import Note
from jobs.machine.rows import Job
from jobs.machine.states import State
from jobs.machine.times import iso
from jobs.store.column_types import Instant
from jobs.store.database import Database
from jobs.store.history import line, write_lines
from jobs.store.tables import jobs, notice_tries, notices

NOTICE_ID = re.compile(r"ntc_[0-9A-Z]{26}")
REPLAYED_AT_ONCE = 500  # in one transaction

OVERDUE = "job.overdue"
TOLD = {
    State.ARCHIVED: "job.archived",
    State.FAILED: "job.failed",
    State.CANCELLED: "job.cancelled",
    State.UNCONFIRMED: "job.unconfirmed",
}
# type → when it is sent, and what may follow: what the documentation's table is made from
MEANINGS = {
    "job.archived": (
        "The video is in the bucket, proven whole; or as it is, if `accepted_by` names who took it so.",
        "nothing",
    ),
    "job.failed": ("The job has ended without a video; `error` says why.", "more, once it is tried again"),
    "job.cancelled": ("The job was cancelled; nothing was bought.", "nothing"),
    OVERDUE: ("The gateway takes longer than a generation should; it is asked on.", "the job's end"),
    "job.unconfirmed": ("The answer to an order was lost; nobody knows yet whether it was made.", "any other"),
}


class NoticeState(StrEnum):
    """What became of a notice."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"  # given up


_NEW = sa.insert(notices)
_given_up = sa.and_(notices.c.alarm_at.is_(None), notices.c.delivered_at.is_(None))
STATES: dict[NoticeState, sa.ColumnElement[bool]] = {
    NoticeState.WAITING: notices.c.alarm_at.is_not(None),
    NoticeState.DELIVERED: sa.and_(notices.c.alarm_at.is_(None), notices.c.delivered_at.is_not(None)),
    NoticeState.FAILED: _given_up,
}


def due_for(job: Job, state: State, *, overdue: bool) -> list[str]:
    """The types of notice that a write asks for that leaves a job in `state`, overdue or not; often none."""
    if not job.notify_url:
        return []
    late = [OVERDUE] if overdue and not job.overdue else []
    return late + ([TOLD[state]] if state is not job.state and state in TOLD else [])


def write(db: Connection, case: Case, kinds: Sequence[str], *, now: datetime) -> None:
    """Write the notices in the transaction that made the facts; each carries the whole job as it stands there.

    The job's row counts them already: its `notices` is the sequence number of the last.
    """
    job = case.job
    for sequence, kind in enumerate(kinds, job.notices - len(kinds) + 1):
        body = {"type": kind, "timestamp": iso(now), "sequence": sequence, "data": job_json(case)}
        row = {"id": f"ntc_{ULID()}", "job_id": job.id, "sequence": sequence, "type": kind, "url": job.notify_url}
        db.execute(_NEW, row | {"body": body, "version": 0, "tries": 0, "alarm_at": now, "created_at": now})


def state_of(row: RowMapping) -> NoticeState:
    """What became of the notice of a row."""
    if row["alarm_at"] is not None:
        return NoticeState.WAITING
    return NoticeState.FAILED if row["delivered_at"] is None else NoticeState.DELIVERED


def page(
    db: Connection, where: Sequence[sa.ColumnElement[bool]], *, after: tuple[datetime, str] | None, limit: int
) -> list[RowMapping]:
    """The newest notices first, without their bodies; `after` a row's time and id."""
    statement = _rows().where(*where).order_by(notices.c.created_at.desc(), notices.c.id.desc()).limit(limit)
    if after is not None:
        place = sa.tuple_(sa.literal(after[0], Instant), sa.literal(after[1], sa.String))
        statement = statement.where(sa.tuple_(notices.c.created_at, notices.c.id) < place)
    return list(db.execute(statement).mappings())


def find(db: Connection, notice_id: str) -> tuple[RowMapping, list[RowMapping]]:
    """A notice with its body, and its tries in order. Raises UnknownNotice."""
    if not NOTICE_ID.fullmatch(notice_id):
        raise UnknownNotice(f"No notice {notice_id!r}; ids look like ntc_01K8Z3V0QWERTYUIOPASDFGHJK.")
    row = db.execute(_rows(notices.c.body).where(notices.c.id == notice_id)).mappings().one_or_none()
    if row is None:
        raise UnknownNotice(f"No notice {notice_id}.")
    tries = sa.select(notice_tries).where(notice_tries.c.notice_id == notice_id).order_by(notice_tries.c.number)
    return row, list(db.execute(tries).mappings())


def replay(db: Connection, notice_id: str, *, now: datetime, api_key_id: str | None = None) -> None:
    """Let a notice go out once more, whatever became of it, and its timetable start anew. Raises UnknownNotice."""
    find(db, notice_id)
    db.execute(_anew(now).where(notices.c.id == notice_id))
    _tell_history(db, [notice_id], api_key_id, now)


def replay_failed(
    database: Database, *, job_id: str | None = None, since: datetime | None = None, api_key_id: str | None = None
) -> int:
    """Replay every notice that was given up, of one job or written since then; how many there were.

    In transactions of a bounded size. Raises DatabaseUnavailable.
    """
    wanted = [_given_up]
    wanted += [] if job_id is None else [notices.c.job_id == job_id]
    wanted += [] if since is None else [notices.c.created_at >= since]
    replayed, last = 0, ""
    while True:  # by id, as one that was replayed a moment ago may have been given up again
        with database.write() as db:
            now = database.clock(db)
            batch = sa.select(notices.c.id).where(*wanted, notices.c.id > last).order_by(notices.c.id)
            found = list(db.execute(batch.limit(REPLAYED_AT_ONCE)).scalars())
            if found:
                replayed += db.execute(_anew(now).where(notices.c.id.in_(found), _given_up)).rowcount
                _tell_history(db, found, api_key_id, now)
        if len(found) < REPLAYED_AT_ONCE:
            return replayed
        last = found[-1]


def _anew(now: datetime) -> sa.Update:
    """Never touches a lease: whoever sends it just now finds another version, and leaves the alarm."""
    return sa.update(notices).values(alarm_at=now, tries=0, version=notices.c.version + 1)


def _tell_history(db: Connection, notice_ids: Sequence[str], api_key_id: str | None, now: datetime) -> None:
    """A line for each of these notices in its job's history, with the key that asked for it."""
    told = sa.select(notices.c.id, notices.c.job_id, jobs.c.attempt).join(jobs, jobs.c.id == notices.c.job_id)
    lines = [
        line(row.job_id, Note("notice_replayed", row.attempt, {"notice": row.id, "api_key": api_key_id}), now)
        for row in db.execute(told.where(notices.c.id.in_(notice_ids)))
    ]
    write_lines(db, lines)


def _rows(*more: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Notices as they are shown. `tried` counts every try; the column `tries` starts anew with a replay."""
    tried = sa.select(sa.func.count()).where(notice_tries.c.notice_id == notices.c.id).scalar_subquery()
    shown = ("id", "job_id", "sequence", "type", "url", "alarm_at", "last_status", "last_error", "created_at")
    return sa.select(*(notices.c[name] for name in shown), notices.c.delivered_at, tried.label("tried"), *more)
