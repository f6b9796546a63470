"""What gateways answer that no page of theirs documents: status words, and answers of another shape.

A job goes on under them as far as it can; that they occur is for people to see, at the first job and not the hundredth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from jobs.machine.outcome import Note
from jobs.store.database import upsert
from jobs.store.tables import unknown_words

EVENT = "unknown_word"
OTHER_CALLBACK = "(a callback of another shape)"
SHAPE_EVENT = "unknown_shape"  # what is odd about an answer stands in place of the word, in round brackets


def count(db: Connection, notes: Iterable[Note], *, now: datetime) -> None:
    """Count each line of history that tells of such a word or shape."""
    for note in notes:
        if note.event not in (EVENT, SHAPE_EVENT):
            continue
        said = {"provider": note.detail["provider"], "word": note.detail["word"], "times": 1, "last_at": now}
        db.execute(_once_more(db.dialect.name), said)


@cache
def _once_more(dialect: str) -> sa.Insert:
    insert = upsert(dialect, unknown_words)
    again = {"times": unknown_words.c.times + 1, "last_at": insert.excluded.last_at}
    return insert.on_conflict_do_update(index_elements=["provider", "word"], set_=again)


def seen(db: Connection) -> dict[str, dict[str, int]]:
    """By gateway: each such word or shape, and how many tasks' histories it stands in."""
    found: dict[str, dict[str, int]] = {}
    for row in db.execute(sa.select(unknown_words).order_by(unknown_words.c.times.desc())):
        found.setdefault(row.provider, {})[row.word] = row.times
    return found


def seen_since(db: Connection, since: datetime) -> Iterator[Row[tuple[object, ...]]]:
    """Rows of those that were seen lately, the latest first."""
    lately = sa.select(unknown_words).where(unknown_words.c.last_at >= since)
    yield from db.execute(lately.order_by(unknown_words.c.last_at.desc(), unknown_words.c.word))
