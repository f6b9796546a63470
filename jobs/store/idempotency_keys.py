"""Which job an API key's idempotency key made, and from which body."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.errors import IdempotencyKeyReused
from jobs.store.tables import idempotency_keys

_NEW_KEY = sa.insert(idempotency_keys)  # built once, so not analysed at every request


def job_of(db: Connection, api_key_id: str, names: Sequence[str], digest: str) -> str | None:
    """The job that a key has made, by the names under which it may be kept, the usual one first; None if it is new.

    Raises IdempotencyKeyReused if it made it of another body.
    """
    same = sa.and_(idempotency_keys.c.api_key_id == api_key_id, idempotency_keys.c.key.in_(names))
    rows = {row.key: row for row in db.execute(sa.select(idempotency_keys).where(same))}
    row = next((rows[name] for name in names if name in rows), None)
    if row is None:
        return None
    if row.digest != digest:
        raise IdempotencyKeyReused("This Idempotency-Key came with another body before; use a new key for a new job.")
    return str(row.job_id)


def keep(db: Connection, api_key_id: str, key: str, digest: str, job_id: str, *, now: datetime) -> None:
    """Remember what a key has made. Raises IntegrityError where the same key has come at the same moment."""
    row = {"api_key_id": api_key_id, "key": key, "digest": digest, "job_id": job_id, "created_at": now}
    db.execute(_NEW_KEY, row)
