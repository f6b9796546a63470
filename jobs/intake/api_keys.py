"""API keys: shown once, kept as a digest, each with one scope.

A key is 160 random bits, so a plain SHA-256 of it tells nothing, and finding one needs no compare of secrets: what the
database compares are digests, and who could measure how far two of them agree would learn a digest, not a key.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping
from ulid import ULID

from jobs.store.database import Database
from jobs.store.tables import api_keys

PREFIX = "rk_"
KEY_ID = re.compile(r"key_[0-9A-Z]{26}", re.ASCII)
LONGEST_NAME = 100
NAMES = f"a name is 1 to {LONGEST_NAME} printable characters"
CELERY = "celery"  # stands for a key's id in what comes by the broker: whoever may write to it
USE_WRITTEN_EVERY = timedelta(minutes=1)
# Asked at every request; a statement that is built once is not analysed again each time.
_LIVE = sa.select(api_keys.c.id, api_keys.c.name, api_keys.c.scope).where(api_keys.c.revoked_at.is_(None))
_BY_DIGEST = _LIVE.where(api_keys.c.digest == sa.bindparam("digest"))
_BY_ID = _LIVE.where(api_keys.c.id == sa.bindparam("id"))
_NOTIFY_URL = sa.select(api_keys.c.notify_url).where(api_keys.c.id == sa.bindparam("id"))


class Scope(StrEnum):
    """What a key may do, from the least to the most; each holds those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def covers(self, needed: Scope) -> bool:
        order = list(Scope)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True)
class LiveKey:
    """A key that was not revoked."""

    id: str
    name: str
    scope: Scope


def is_name(name: str) -> bool:
    """Whether a key can be called so: `NAMES`."""
    return name == name.strip() and 0 < len(name) <= LONGEST_NAME and name.isprintable()


def create(
    database: Database, name: str, scope: Scope = Scope.WRITE, *, notify_url: str | None = None
) -> tuple[str, str]:
    """A new key's id and the key itself, which is never seen again.

    `name`: one by `is_name`. `notify_url`: where notices of its jobs go that name no other. The caller checked both.
    """
    key_id, key = f"key_{ULID()}", PREFIX + secrets.token_hex(20)
    with database.write() as db:
        row = {"id": key_id, "name": name, "scope": scope.value, "digest": _digest(key), "notify_url": notify_url}
        db.execute(sa.insert(api_keys).values(**row, created_at=database.clock(db)))
    return key_id, key


def find(db: Connection, key: str) -> LiveKey | None:
    """The live key; None for any other. Asked anew for every request: a revoked key is refused at once."""
    if not key.startswith(PREFIX):
        return None
    return _live(db.execute(_BY_DIGEST, {"digest": _digest(key)}).one_or_none())


def find_by_id(db: Connection, key_id: str) -> LiveKey | None:
    """The live key with this id; None: there is none, or it was revoked."""
    return _live(db.execute(_BY_ID, {"id": key_id}).one_or_none())


def notify_url(db: Connection, key_id: str) -> str | None:
    """Where notices of this key's jobs go; None where it names no place, or is no key of ours."""
    return db.execute(_NOTIFY_URL, {"id": key_id}).scalar_one_or_none()


def ids_called(db: Connection, said: str) -> list[str]:
    """The ids of the keys, revoked ones too, that have this id or this name, which several may have; [] for none."""
    is_called = sa.or_(api_keys.c.id == said, api_keys.c.name == said)
    found = list(db.execute(sa.select(api_keys.c.id).where(is_called)).scalars())
    return [*found, CELERY] if said == CELERY else found


def names(db: Connection) -> dict[str, str]:
    """What every key is called, revoked ones too, by its id."""
    return {row.id: row.name for row in db.execute(sa.select(api_keys.c.id, api_keys.c.name))}


def mark_used(database: Database, key_ids: Collection[str]) -> None:
    """Write that these keys are in use, unless it was written within the last minute. Raises DatabaseUnavailable."""
    with database.write() as db:
        now = database.clock(db)
        known = api_keys.c.last_used_at
        stale = sa.or_(known.is_(None), known < now - USE_WRITTEN_EVERY)
        db.execute(sa.update(api_keys).where(api_keys.c.id.in_(key_ids), stale).values(last_used_at=now))


def revoke(database: Database, key_id: str) -> bool:
    """False: no live key has this id."""
    if not KEY_ID.fullmatch(key_id):
        return False
    live = sa.and_(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
    with database.write() as db:
        return db.execute(sa.update(api_keys).where(live).values(revoked_at=database.clock(db))).rowcount == 1


def every(db: Connection) -> list[RowMapping]:
    """All keys, oldest first, without their digests."""
    columns = [c for c in api_keys.columns if c.name != "digest"]
    return list(db.execute(sa.select(*columns).order_by(api_keys.c.created_at)).mappings())


def _live(row: sa.Row[Any, Any, Any] | None) -> LiveKey | None:
    return None if row is None else LiveKey(row.id, row.name, Scope(row.scope))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
