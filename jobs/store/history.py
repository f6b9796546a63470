"""A job's history: a line for every move, and for every fact worth one.

While a job may still move its lines are rows of `events`. Once it rests they are packed into one row: seven lines take
600 bytes then instead of 1,500, with their indexes. A line that comes later is a row again, until the next packing.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.outcome import Move, Note
from jobs.machine.states import State
from jobs.store import many, told, unknown_words
from jobs.store.many import one_of
from jobs.store.tables import events, histories

Line = Mapping[str, Any]  # a row of `events`, or what such a row was

PRUNED = "pruned"  # the line that stands for a history that was thrown away

_LINES = sa.select(events).where(one_of(events.c.job_id, "job_ids"))
_PACKED = sa.select(histories).where(one_of(histories.c.job_id, "job_ids"))


def of_job(db: Connection, job_id: str) -> list[Line]:
    """Every line of a job's history, oldest first."""
    return of_jobs(db, [job_id]).get(job_id, [])


def of_jobs(db: Connection, job_ids: Sequence[str]) -> dict[str, list[Line]]:
    """The same of several jobs, by job."""
    found: dict[str, dict[int, Line]] = {}
    # In this order: a line that is packed between the two is read twice, and never not at all.
    for row in db.execute(_LINES, {"job_ids": job_ids}):
        found.setdefault(row.job_id, {})[row.id] = row._asdict()
    for job_id, packed in db.execute(_PACKED, {"job_ids": job_ids}):
        found.setdefault(job_id, {}).update((line["id"], line) for line in _unpacked(job_id, packed))
    return {job_id: [lines[number] for number in sorted(lines)] for job_id, lines in found.items()}


def pack(db: Connection, job_ids: Sequence[str]) -> int:
    """Put all lines of these jobs into one row for each; how many jobs had any to put there.

    Whoever calls has locked the jobs' rows.
    """
    lines = _take(db, job_ids)
    if lines:
        rows = [{"job_id": job_id, "lines": _packed(own)} for job_id, own in lines.items()]
        db.execute(sa.insert(histories), rows)
    return len(lines)


def forget(db: Connection, job_ids: Sequence[str]) -> int:
    """Delete all lines of these jobs; how many there were."""
    return sum(map(len, _take(db, job_ids).values()))


def _take(db: Connection, job_ids: Sequence[str]) -> dict[str, list[Line]]:
    """All lines of these jobs, oldest first: none of them stands in the tables any more."""
    found: dict[str, list[Line]] = {}
    own = histories.c.job_id.in_(job_ids)
    for job_id, packed in db.execute(sa.delete(histories).where(own).returning(*histories.c)):
        found[job_id] = _unpacked(job_id, packed)
    for row in db.execute(sa.delete(events).where(events.c.job_id.in_(job_ids)).returning(*events.c)):
        found.setdefault(row.job_id, []).append(row._asdict())
    return {job_id: sorted(lines, key=lambda line: int(line["id"])) for job_id, lines in found.items()}


def _packed(lines: Iterable[Line]) -> bytes:
    names = ("event", "attempt", "from_state", "to_state", "detail")
    rows = [[each["id"], _iso(each["at"]), *(each[name] for name in names)] for each in lines]
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), level=9)


def _unpacked(job_id: str, packed: bytes) -> list[Line]:
    names = ("id", "at", "event", "attempt", "from_state", "to_state", "detail")
    lines: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in json.loads(zlib.decompress(packed))]
    return [{**each, "job_id": job_id, "at": datetime.fromisoformat(each["at"])} for each in lines]


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


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
        many.insert(db, events, lines)
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
