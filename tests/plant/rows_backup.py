"""A backup of a database's rows, with whatever has one: a plant, or a workshop."""

from __future__ import annotations

from typing import Protocol

import sqlalchemy as sa

from jobs.store import tables
from jobs.store.database import Database


class HasDatabase(Protocol):
    database: Database


class Backup:
    """The rows of a database as they were, to be put back."""

    def __init__(self, of: HasDatabase):
        self._of = of
        with of.database.read() as db:
            self.taken_at = of.database.clock(db)
            self._rows = {t: [dict(r) for r in db.execute(sa.select(t)).mappings()] for t in self._tables()}

    def put_back(self) -> None:
        with self._of.database.write() as db:
            for table in reversed(self._tables()):
                db.execute(sa.delete(table))
            for table, rows in self._rows.items():
                if rows:
                    db.execute(sa.insert(table), rows)
            if db.dialect.name == "postgresql":  # as pg_restore does
                for table in ("events", "inbox"):
                    db.exec_driver_sql(
                        f"SELECT setval('{table}_id_seq', 1 + (SELECT coalesce(max(id), 1) FROM {table}))"
                    )

    def _tables(self) -> list[sa.Table]:
        return tables.metadata.sorted_tables
