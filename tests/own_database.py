"""A migrated database of a test process's own, emptied after each test and proven empty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.store import migrate, tables
from jobs.store.database import Database

VERSION = "SELECT version_num FROM alembic_version"
SHAPE = {
    "sqlite": "SELECT name, sql FROM sqlite_schema ORDER BY name",
    "postgresql": """SELECT relname, attname, atttypid FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped ORDER BY relname, attnum""",
}
FIRST_NUMBERS = {
    "sqlite": "DELETE FROM sqlite_sequence",
    "postgresql": "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'",
}

# Apps that serve several tests add to it whenever they like.
BESIDE = frozenset({tables.tallies.name})


class OwnDatabase:
    """Emptying one takes a millisecond, making one anew takes fifty; and no file is created or dropped by it.

    Only tables that have rows are emptied, and by DELETE: TRUNCATE gives every table a new file.
    """

    def __init__(self, url: str):
        self.url = url
        self._database = Database(url, threads=1)
        migrate.upgrade(self._database)
        with self._database.read() as db:
            if self._database.is_sqlite:
                db.exec_driver_sql("PRAGMA synchronous=OFF")  # of this connection alone; the tests' own have theirs
            self._made = self._shape(db)
        each = (f"SELECT '{t}' WHERE EXISTS (SELECT 1 FROM {t})" for t in tables.metadata.tables if t not in BESIDE)
        self._filled = sa.text(" UNION ALL ".join(each))

    def filled(self) -> set[str]:
        """The tables that have rows."""
        with self._database.read() as db:
            return self._look(db)

    def empty(self) -> None:
        """Take every row away, and let numbers begin at 1 again. It waits for no writer longer than a few seconds."""
        with self._database.write() as db:
            filled = self._look(db)
            for table in reversed(tables.metadata.sorted_tables):
                if table.name in filled | BESIDE:
                    db.execute(sa.delete(table))
            db.exec_driver_sql(FIRST_NUMBERS[db.dialect.name])
            left, shape = self._look(db), self._shape(db)
        assert not left, f"rows that nothing takes away, in {left}"
        changed = set(shape) ^ set(self._made)
        assert not changed, f"the test changed the database itself, and wants `spare_database`: {changed}"

    def close(self) -> None:
        self._database.close()

    def _shape(self, db: Connection) -> list[tuple[object, ...]]:
        """Which migrations have run, and which tables, columns and indexes there are."""
        return [tuple(row) for said in (VERSION, SHAPE[db.dialect.name]) for row in db.exec_driver_sql(said)]

    def _look(self, db: Connection) -> set[str]:
        return set(db.execute(self._filled).scalars())


@contextmanager
def held(url: str, table: sa.Table) -> Iterator[None]:
    """Somebody else's transaction, which lets nobody write to this table; everybody may read."""
    database = Database(url, threads=1)
    try:
        with database.write() as db:  # on SQLite nobody else writes at all then
            if not database.is_sqlite:
                db.exec_driver_sql(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE")
            yield
    finally:
        database.close()
