"""The database's schema: brought up to date by `rushes db upgrade`, and checked at every start.

Alembic brings a library of templates and one of colors. Who only checks imports none of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.errors import JobsError
from jobs.store import postgres
from jobs.store.database import Database
from jobs.store.tables import metadata

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION = sa.table("alembic_version", sa.column("version_num"))
UPGRADE_LOCK = 7_278_837  # any number that is ours: two releases at once must not both migrate


class SchemaOutdated(JobsError):
    """The database is not at the version of this code."""


def upgrade(database: Database) -> None:
    """Migrate to this code's version. Two at once wait for each other."""
    from alembic import command

    with database.write() as db:
        if not database.is_sqlite:
            # A migration takes as long as it takes; its wait for a table, which all others wait behind, does not.
            db.exec_driver_sql("SET LOCAL statement_timeout = 0")
            db.exec_driver_sql("SET LOCAL lock_timeout = 0")
            db.exec_driver_sql(f"SELECT pg_advisory_xact_lock({UPGRADE_LOCK})")
            db.exec_driver_sql(f"SET LOCAL lock_timeout = '{postgres.LIMITS['lock_timeout']}'")
        command.upgrade(_config(db), "head")


def check(database: Database) -> None:
    """Raise SchemaOutdated unless the database is at this code's version."""
    with database.read() as db:
        is_made = sa.inspect(db).has_table(VERSION.name)
        found = db.execute(sa.select(VERSION.c.version_num)).scalar() if is_made else None
    wanted = max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    if found != wanted:
        raise SchemaOutdated(
            f"The database is at {found or 'no version'}, this code at {wanted}: run `rushes db upgrade`."
        )


def differences(database: Database) -> list[object]:
    """Where the migrated database and the models differ."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with database.read() as db:
        context = MigrationContext.configure(db, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))


def _config(db: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = db
    return config
