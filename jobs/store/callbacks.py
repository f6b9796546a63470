"""The kept callbacks, as steps read them and people look at them; `keeping` writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row, RowMapping

from jobs.errors import NothingOpen, UnknownCallback, UnknownJob
from jobs.machine.outcome import Note
from jobs.machine.states import State
from jobs.providers.base import Provider
from jobs.settings import Settings
from jobs.store import hearsay
from jobs.store.history import write_notes
from jobs.store.keeping import Desk
from jobs.store.prepared import of
from jobs.store.tables import inbox

CALLBACK_ID = re.compile(r"cbk_([1-9][0-9]{0,17})", re.ASCII)

_CHANGE = sa.update(inbox).where(of(inbox.c.id))
_JUDGE = _CHANGE.returning(inbox.c.job_id, inbox.c.attempt, inbox.c.task_id)
_UNJUDGED = sa.select(inbox.c.id, inbox.c.task_id, inbox.c.body, inbox.c.headers).where(
    of(inbox.c.job_id, inbox.c.attempt), inbox.c.signature.is_(None)
)


def page(
    db: Connection, where: Sequence[sa.ColumnElement[bool]], *, before: int | None, limit: int
) -> list[RowMapping]:
    """The newest callbacks first, without headers and body; `before` a row's id."""
    shown = [column for column in inbox.columns if column.name not in ("headers", "body")]
    statement = sa.select(*shown).where(*where).order_by(inbox.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(inbox.c.id < before)
    return list(db.execute(statement).mappings())


def find(db: Connection, callback_id: str) -> RowMapping:
    """A callback with headers and body, by an id such as cbk_123. Raises UnknownCallback."""
    named = CALLBACK_ID.fullmatch(callback_id)
    if named is None:
        raise UnknownCallback(f"No callback {callback_id!r}; ids look like cbk_123.")
    row = db.execute(sa.select(inbox).where(inbox.c.id == int(named[1]))).mappings().one_or_none()
    if row is None:
        raise UnknownCallback(f"No callback {callback_id}; it may have been pruned.")
    return row


def replay(
    db: Connection,
    callback_id: str,
    settings: Settings,
    providers: Mapping[str, Provider],
    *,
    now: datetime,
    api_key_id: str | None = None,
) -> State:
    """Let a callback count as unread again, and wake its job as a new one would; the job's state.

    Raises UnknownCallback, UnknownJob, NothingOpen (the job has ended, and no word can matter to it): roll back then.
    """
    row = find(db, callback_id)
    job_id, number = row["job_id"], row["attempt"]
    desk = Desk(db, [job_id], settings, providers, now)
    state = desk.state(job_id)
    if state is None:
        raise UnknownJob(f"This database does not know the job of {callback_id}, {job_id}.")
    db.execute(_CHANGE, {"of_id": row["id"], "read_at": None})
    if row["task_id"] is not None:
        hearsay.note(db, job_id, number, row["provider"], row["task_id"], again=True, now=now)
    if not desk.wake(job_id, number):
        raise NothingOpen(f"{job_id} is {state}, and none of its orders is open: no callback can matter to it.")
    desk.write()
    said = Note("callback_replayed", number, {"callback": callback_id, "api_key": api_key_id})
    write_notes(db, job_id, [said], now)
    return state


def unjudged(db: Connection, job_id: str, attempt: int) -> Sequence[Row[Any, Any, Any, Any]]:
    """An attempt's callbacks (id, task id, body, headers) of which nobody has said yet whether they are genuine."""
    return db.execute(_UNJUDGED, {"of_job_id": job_id, "of_attempt": attempt}).all()


def judge(db: Connection, number: int, *, is_genuine: bool) -> None:
    """Keep with a callback, and with the task id that it tells, whether its signature is the gateway's."""
    verdict = "good" if is_genuine else "bad"
    row = db.execute(_JUDGE, {"of_id": number, "signature": verdict}).one_or_none()
    if row is not None and is_genuine and row.task_id is not None:
        hearsay.sign(db, row.job_id, row.attempt, row.task_id)
