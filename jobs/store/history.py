"""A job's history: a line for every move, and for every fact worth one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from jobs.machine.outcome import Move, Note
from jobs.machine.states import State
from jobs.store import told, unknown_words
from jobs.store.prepared import of
from jobs.store.tables import events

PRUNED = "pruned"  # the line that stands for a history that was thrown away

_NEW, _OF_JOB = sa.insert(events), sa.select(events).where(of(events.c.job_id)).order_by(events.c.id)


def of_job(db: Connection, job_id: str) -> list[RowMapping]:
    """Every line of a job's history, oldest first."""
    return list(db.execute(_OF_JOB, {"of_job_id": job_id}).mappings())


def write_notes(
    db: Connection,
    job_id: str,
    notes: Iterable[Note],
    now: datetime,
    *,
    moves: Sequence[dict[str, Any]] = (),
    providers: Mapping[int, str] | None = None,
) -> None:
    """Write lines that move nothing, and then those of `moves`; unknown status words among the first are counted.

    `providers`: of the job's orders, by number, for the log.
    """
    notes = tuple(notes)
    write_lines(db, [*(line(job_id, note, now) for note in notes), *moves], providers)
    unknown_words.count(db, notes, now=now)


def write_lines(db: Connection, lines: list[dict[str, Any]], providers: Mapping[int, str] | None = None) -> None:
    """Write lines as `line` makes them, for the log too; none is well."""
    if lines:
        db.execute(_NEW, lines)
        told.note(db, [{**each, "provider": (providers or {}).get(each["attempt"])} for each in lines])


def line(
    job_id: str, said: Note | Move, now: datetime, before: State | None = None, after: State | None = None
) -> dict[str, Any]:
    """The row of one line."""
    return {
        "job_id": job_id,
        "at": now,
        "event": str(said.event),
        "attempt": said.attempt,
        "from_state": before,
        "to_state": after,
        "detail": dict(said.detail),
    }
