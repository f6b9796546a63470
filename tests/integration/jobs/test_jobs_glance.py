"""Reading without a transaction, and what it leaves behind."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from jobs import api_keys
from jobs.database import Database, DatabaseUnavailable
from jobs.models import api_keys as table


def names(database: Database) -> set[str]:
    with database.glance() as db:
        return set(db.execute(sa.select(table.c.name)).scalars())


def test_a_glance_sees_what_is_committed(database: Database) -> None:
    assert names(database) == set()
    api_keys.create(database, "one")
    assert names(database) == {"one"}


def test_the_connection_of_a_glance_takes_whole_transactions_afterwards(database: Database) -> None:
    api_keys.create(database, "one")
    names(database)

    def fail_half_way() -> None:
        with database.write() as db:
            db.execute(sa.delete(table))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert names(database) == {"one"}


def test_a_glance_at_a_database_that_is_away_is_told_as_such(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable), database.glance():
        raise sa.exc.OperationalError("SELECT 1", {}, Exception("gone"))
