"""API keys: shown once, kept as a digest. A key is 160 random bits, so a plain SHA-256 of it tells nothing."""

from __future__ import annotations

import hashlib
import secrets

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping
from ulid import ULID

from jobs.database import Database
from jobs.models import api_keys

PREFIX = "rk_"


def create(database: Database, name: str) -> tuple[str, str]:
    """A new key's id and the key itself, which is never seen again."""
    key_id, key = f"key_{ULID()}", PREFIX + secrets.token_hex(20)
    with database.write() as db:
        row = {"id": key_id, "name": name, "digest": _digest(key), "created_at": database.clock(db)}
        db.execute(sa.insert(api_keys).values(**row))
    return key_id, key


def find(db: Connection, key: str) -> str | None:
    """The id of a live key; None for any other."""
    if not key.startswith(PREFIX):
        return None
    live = sa.and_(api_keys.c.digest == _digest(key), api_keys.c.revoked_at.is_(None))
    found: str | None = db.execute(sa.select(api_keys.c.id).where(live)).scalar_one_or_none()
    return found


def revoke(database: Database, key_id: str) -> bool:
    """False: no live key has this id."""
    live = sa.and_(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
    with database.write() as db:
        return db.execute(sa.update(api_keys).where(live).values(revoked_at=database.clock(db))).rowcount == 1


def every(db: Connection) -> list[RowMapping]:
    """All keys, oldest first, without their digests."""
    columns = [c for c in api_keys.columns if c.name != "digest"]
    return list(db.execute(sa.select(*columns).order_by(api_keys.c.created_at)).mappings())


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
