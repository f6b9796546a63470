"""The kept callbacks: written by the receiver before it answers, read by the steps, replayed by people."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row, RowMapping

from jobs.errors import NothingOpen, UnknownCallback, UnknownJob
from jobs.machine.outcome import Note
from jobs.machine.schedule import heard_until
from jobs.machine.states import ENDED, State
from jobs.providers.base import Provider
from jobs.settings import Settings
from jobs.store import hearsay, unknown_words
from jobs.store.attempt_rows import attempt_of
from jobs.store.history import write_notes
from jobs.store.leases import bring_news
from jobs.store.tables import attempts, inbox, jobs

CALLBACK_ID = re.compile(r"cbk_([1-9][0-9]{0,9})", re.ASCII)


@dataclass(frozen=True)
class Callback:
    """A callback under a genuine token. `status`: the answer that it gets, now and whenever it comes again."""

    provider: str
    job_id: str
    attempt: int
    body: bytes
    headers: Mapping[str, str]
    readable: bool
    task_id: str | None
    status: int


@dataclass(frozen=True)
class Kept:
    """What came of keeping one. `state` is None for a job that this database does not know."""

    status: int
    state: State | None
    ring: bool
    kept: bool


def keep(
    db: Connection, callback: Callback, settings: Settings, providers: Mapping[str, Provider], *, now: datetime
) -> Kept:
    """Keep a callback and wake its job, in the caller's transaction. The same body is kept once.

    Of an order's first bodies all is kept, of further ones the task id. The first that cannot be read counts as a drift
    of its gateway.
    """
    digest = hashlib.sha256(callback.body).hexdigest()
    same_attempt = sa.and_(inbox.c.job_id == callback.job_id, inbox.c.attempt == callback.attempt)
    state, is_open = _state(db, callback.job_id)
    earlier = db.execute(
        sa.select(inbox.c.status, inbox.c.read_at).where(same_attempt, inbox.c.digest == digest)
    ).one_or_none()
    if earlier is not None:
        return Kept(earlier.status, state, ring=is_open and earlier.read_at is None, kept=True)
    count = db.execute(sa.select(sa.func.count()).where(same_attempt)).scalar_one()
    has_room = count < settings.max_inbox_rows
    is_heard = callback.task_id is not None and hearsay.note(
        db, callback.job_id, callback.attempt, callback.provider, callback.task_id, again=has_room, now=now
    )
    if not has_room:
        woken = is_heard and _wake(db, callback.job_id, callback.attempt, settings, providers, now=now)
        return Kept(200, state, ring=woken, kept=False)
    of_another_shape = sa.select(inbox.c.id).where(same_attempt, ~inbox.c.readable).limit(1)
    has_unreadable = not callback.readable and db.execute(of_another_shape).first() is not None
    # An answer that asks for another try helps nobody once the job has ended or is not known here.
    status = callback.status if state is not None and state not in ENDED else 200
    db.execute(
        sa.insert(inbox).values(
            job_id=callback.job_id,
            attempt=callback.attempt,
            provider=callback.provider,
            digest=digest,
            body=callback.body,
            headers=dict(callback.headers),
            readable=callback.readable,
            status=status,
            task_id=callback.task_id,
            received_at=now,
        )
    )
    if state is not None and not callback.readable and not has_unreadable:
        strange = {"provider": callback.provider, "word": unknown_words.OTHER_CALLBACK}
        write_notes(db, callback.job_id, [Note(unknown_words.SHAPE_EVENT, callback.attempt, strange)], now)
    woken = _wake(db, callback.job_id, callback.attempt, settings, providers, now=now)
    return Kept(status, state, ring=woken, kept=True)


def page(
    db: Connection, where: Sequence[sa.ColumnElement[bool]], *, before: int | None, limit: int
) -> list[RowMapping]:
    """The newest callbacks first, without headers and body; `before` a row's id."""
    shown = [column for column in inbox.columns if column.name not in ("headers", "body")]
    statement = sa.select(*shown).where(*where).order_by(inbox.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(inbox.c.id < _number(before))
    return list(db.execute(statement).mappings())


def find(db: Connection, callback_id: str) -> RowMapping:
    """A callback with headers and body, by an id such as cbk_123. Raises UnknownCallback."""
    named = CALLBACK_ID.fullmatch(callback_id)
    if named is None:
        raise UnknownCallback(f"No callback {callback_id!r}; ids look like cbk_123.")
    row = db.execute(sa.select(inbox).where(inbox.c.id == _number(int(named[1])))).mappings().one_or_none()
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
    state, _ = _state(db, job_id)
    if state is None:
        raise UnknownJob(f"This database does not know the job of {callback_id}, {job_id}.")
    db.execute(sa.update(inbox).where(inbox.c.id == row["id"]).values(read_at=None))
    if row["task_id"] is not None:
        hearsay.note(db, job_id, number, row["provider"], row["task_id"], again=True, now=now)
    if not _wake(db, job_id, number, settings, providers, now=now):
        raise NothingOpen(f"{job_id} is {state}, and none of its orders is open: no callback can matter to it.")
    said = Note("callback_replayed", number, {"callback": callback_id, "api_key": api_key_id})
    write_notes(db, job_id, [said], now)
    return state


def unjudged(db: Connection, job_id: str, attempt: int) -> Sequence[Row[Any, Any, Any, Any]]:
    """An attempt's callbacks (id, task id, body, headers) of which nobody has said yet whether they are genuine."""
    wanted = sa.and_(inbox.c.job_id == job_id, inbox.c.attempt == attempt, inbox.c.signature.is_(None))
    return db.execute(sa.select(inbox.c.id, inbox.c.task_id, inbox.c.body, inbox.c.headers).where(wanted)).all()


def judge(db: Connection, number: int, *, is_genuine: bool) -> None:
    """Keep with a callback, and with the task id that it tells, whether its signature is the gateway's."""
    verdict = "good" if is_genuine else "bad"
    judged = sa.update(inbox).where(inbox.c.id == number).values(signature=verdict)
    row = db.execute(judged.returning(inbox.c.job_id, inbox.c.attempt, inbox.c.task_id)).one_or_none()
    if row is not None and is_genuine and row.task_id is not None:
        hearsay.sign(db, row.job_id, row.attempt, row.task_id)


def _number(number: int) -> sa.BindParameter[int]:
    """Strangers' numbers may be larger than the column; PostgreSQL would not take such a one for an INTEGER."""
    return sa.literal(number, sa.BigInteger)


def _wake(
    db: Connection,
    job_id: str,
    number: int,
    settings: Settings,
    providers: Mapping[str, Provider],
    *,
    now: datetime,
) -> bool:
    """Wake a job to what is said of one of its orders; an ended one if that can still matter. False: nobody to tell.

    It matters to an order that is over and whose video is not in the bucket, while task and link can live: whoever
    called it over may have been wrong. And to one that has no row: only we mint its token, so a backup that was put
    back has forgotten it.
    """
    if bring_news(db, job_id, now=now):
        return True
    order = sa.and_(attempts.c.job_id == job_id, attempts.c.number == number)
    row = db.execute(sa.select(attempts).where(order)).mappings().one_or_none()
    attempt = row and attempt_of(row)
    if attempt and not (attempt.can_still_deliver and now < heard_until(attempt, settings, providers)):
        return False
    woken = {"alarm_at": now, "updated_at": now, "version": jobs.c.version + 1}
    return db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(**woken)).rowcount == 1


def _state(db: Connection, job_id: str) -> tuple[State | None, bool]:
    """The job's state, and whether news can still matter to it."""
    row = db.execute(sa.select(jobs.c.state, jobs.c.alarm_at).where(jobs.c.id == job_id)).one_or_none()
    if row is None:
        return None, False
    return State(row.state), row.alarm_at is not None
