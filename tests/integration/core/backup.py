"""A backup of a workshop's database, and the loss of what happened since."""

from __future__ import annotations

import sqlalchemy as sa
from workshop import Workshop

from jobs.store import tables
from jobs.upkeep import restore


class Backup:
    """The rows of a workshop's database as they were, to be put back."""

    def __init__(self, workshop: Workshop):
        self._workshop = workshop
        with workshop.database.read() as db:
            self.taken_at = workshop.database.clock(db)
            self._rows = {t: [dict(r) for r in db.execute(sa.select(t)).mappings()] for t in self._tables()}

    def put_back(self) -> None:
        with self._workshop.database.write() as db:
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


def lose(workshop: Workshop, backup: Backup) -> restore.Restored:
    backup.put_back()
    workshop.bells.take()
    return restore.restored(workshop.resources, as_of=backup.taken_at)
