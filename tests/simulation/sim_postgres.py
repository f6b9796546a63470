"""A run's rows in PostgreSQL, where SQL means something else now and then."""

from __future__ import annotations

import contextlib
import json
import weakref
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import sqlalchemy as sa
from sim_database import NOTED, SimDatabase
from sqlalchemy.engine import Connection

from jobs.store.tables import metadata


class SimPostgres(SimDatabase):
    """An empty database, for one process. After each commit all rows are read anew: runs have few."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        driver_url = self.url.set(drivername="postgresql").render_as_string(hide_password=False)
        self.raw = psycopg.connect(driver_url, autocommit=True)
        self._keys = {name: ", ".join(metadata.tables[name].primary_key.columns.keys()) for name in NOTED}
        self._counted = self._sequences()
        # A run that ends in the middle of a transaction leaves its connection to nobody, and no pool closes it.
        self._opened = weakref.WeakSet[psycopg.Connection[Any]]()
        sa.event.listen(self.engine, "checkout", lambda opened, record, proxy: self._opened.add(opened))

    def close(self) -> None:
        self.raw.close()
        super().close()
        for connection in self._opened:
            connection.close()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Connection]:
        self.world.effect("before a read", 0.001)
        self._reach()
        with super().snapshot() as db:
            yield db

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        found = self.raw.execute(statement.replace("?", "%s"), values).fetchall()  # type: ignore[arg-type]
        return [tuple(_as_text(each) for each in row) for row in found]

    def numbered(self, table: str, columns: Iterable[str], numbers: list[Any] | None) -> dict[Any, tuple[Any, ...]]:
        assert numbers is None, "which rows were written is not noted here"
        key = self._keys[table]
        found = self.rows(f"SELECT ({key})::text AS key, {', '.join(columns)} FROM {table} ORDER BY {key}")
        return {number: row for number, *row in found}

    def take_noted(self) -> dict[str, list[Any] | None]:
        return dict.fromkeys(NOTED)

    def _mark(self, db: Connection) -> Any:
        return db.execute(sa.text("SELECT pg_current_xact_id_if_assigned()")).scalar_one()

    def _empty(self) -> None:
        self.raw.execute(f"TRUNCATE {', '.join(self.tables)} RESTART IDENTITY CASCADE")  # type: ignore[arg-type]

    def _copy(self) -> dict[str, bytes]:
        return {name: self._copied(name) for name in reversed(self.tables)}

    def _copied(self, name: str) -> bytes:
        with self.raw.cursor().copy(f"COPY {name} TO STDOUT") as copy:  # type: ignore[arg-type]
            return b"".join(bytes(piece) for piece in copy)

    def _fill(self, content: dict[str, bytes]) -> None:
        self._empty()
        for name, lines in content.items():
            with self.raw.cursor().copy(f"COPY {name} FROM STDIN") as copy:  # type: ignore[arg-type]
                copy.write(lines)
        for table, column in self._counted:
            self.rows(
                f"SELECT setval(pg_get_serial_sequence(?, ?), coalesce(max({column}), 0) + 1, false) FROM {table}",
                table,
                column,
            )

    def _sequences(self) -> list[tuple[str, str]]:
        """The columns that count by themselves."""
        columns = ((table.name, column.name) for table in metadata.sorted_tables for column in table.primary_key)
        serial = "SELECT pg_get_serial_sequence(?, ?)"
        return [(table, column) for table, column in columns if self.rows(serial, table, column)[0][0] is not None]


def _as_text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return json.dumps(value) if isinstance(value, dict | list) else value
