"""The migrations make what the models say, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from jobs import schema
from jobs.database import Database

pytestmark = pytest.mark.both_databases


def test_the_migrated_database_and_the_models_do_not_differ(database: Database) -> None:
    assert schema.differences(database) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    schema.upgrade(database)
    schema.check(database)


def test_a_database_that_was_never_migrated_stops_the_start_and_says_what_to_do(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(schema.SchemaOutdated, match="rushes db upgrade"):
        schema.check(database)
    database.close()


def test_a_difference_between_database_and_models_shows(spare_database: Database) -> None:
    with spare_database.write() as db:
        db.execute(sa.text("ALTER TABLE heartbeats ADD COLUMN extra INTEGER"))
    assert len(schema.differences(spare_database)) == 1
