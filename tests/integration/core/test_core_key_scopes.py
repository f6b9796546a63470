"""Keys from before scopes keep what they could do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command

from jobs.intake import api_keys
from jobs.intake.api_keys import LiveKey, Scope
from jobs.store import migrate
from jobs.store.database import Database


def test_a_key_from_before_scopes_may_still_order(database: Database) -> None:
    with database.write() as db:
        command.downgrade(migrate._config(db), "0002")
        row = {"id": "key_old", "name": "old", "digest": api_keys._digest("rk_old"), "at": "2026-11-01 00:00:00+00:00"}
        db.execute(
            sa.text("INSERT INTO api_keys (id, name, digest, created_at) VALUES (:id, :name, :digest, :at)"), row
        )
    migrate.upgrade(database)
    with database.read() as db:
        assert api_keys.find(db, "rk_old") == LiveKey("key_old", "old", Scope.WRITE)
        [listed] = api_keys.every(db)
    assert (listed["scope"], listed["last_used_at"]) == ("write", None)
