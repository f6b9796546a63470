"""The migrations make what the models say, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from jobs.store import migrate
from jobs.store.database import Database

pytestmark = pytest.mark.both_databases


def test_the_migrated_database_and_the_models_do_not_differ(database: Database) -> None:
    assert migrate.differences(database) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    migrate.upgrade(database)
    migrate.check(database)


def test_a_database_that_was_never_migrated_stops_the_start_and_says_what_to_do(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(migrate.SchemaOutdated, match="rushes db upgrade"):
        migrate.check(database)
    database.close()


def test_a_difference_between_database_and_models_shows(spare_database: Database) -> None:
    with spare_database.write() as db:
        db.execute(sa.text("ALTER TABLE heartbeats ADD COLUMN extra INTEGER"))
    assert len(migrate.differences(spare_database)) == 1
