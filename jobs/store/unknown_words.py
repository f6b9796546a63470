"""Status words that no table of ours has. A job goes on under them; that they occur is for people to see."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.outcome import Note
from jobs.store.database import upsert
from jobs.store.tables import unknown_words

EVENT = "unknown_word"


def count(db: Connection, notes: Iterable[Note], *, now: datetime) -> None:
    """Count each line of history that tells of such a word."""
    for note in notes:
        if note.event != EVENT:
            continue
        insert = upsert(db, unknown_words).values(
            provider=note.detail["provider"], word=note.detail["word"], times=1, last_at=now
        )
        again = {"times": unknown_words.c.times + 1, "last_at": now}
        db.execute(insert.on_conflict_do_update(index_elements=["provider", "word"], set_=again))


def seen(db: Connection) -> dict[str, dict[str, int]]:
    """By gateway: each such word, and how many tasks' histories it stands in."""
    found: dict[str, dict[str, int]] = {}
    for row in db.execute(sa.select(unknown_words).order_by(unknown_words.c.times.desc())):
        found.setdefault(row.provider, {})[row.word] = row.times
    return found
