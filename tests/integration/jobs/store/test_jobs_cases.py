"""Reading, which opens no transaction, and what it leaves behind."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from jobs.intake import api_keys
from jobs.store.database import Database, DatabaseUnavailable
from jobs.store.tables import api_keys as table

pytestmark = pytest.mark.both_databases


def names(database: Database) -> set[str]:
    with database.read() as db:
        return set(db.execute(sa.select(table.c.name)).scalars())


def test_a_read_sees_what_is_committed(database: Database) -> None:
    assert names(database) == set()
    api_keys.create(database, "one")
    assert names(database) == {"one"}


def test_the_connection_of_a_read_takes_whole_transactions_afterwards(database: Database) -> None:
    api_keys.create(database, "one")
    names(database)

    def fail_half_way() -> None:
        with database.write() as db:
            db.execute(sa.delete(table))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert names(database) == {"one"}


def test_a_read_at_a_database_that_is_away_is_told_as_such(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable), database.read():
        raise sa.exc.OperationalError("SELECT 1", {}, Exception("gone"))


def test_a_snapshot_sees_one_moment(database: Database) -> None:
    api_keys.create(database, "one")
    with database.snapshot() as db:
        before = db.execute(sa.select(table.c.name)).scalars().all()
        api_keys.create(database, "two")
        assert db.execute(sa.select(table.c.name)).scalars().all() == before == ["one"]
    assert names(database) == {"one", "two"}
