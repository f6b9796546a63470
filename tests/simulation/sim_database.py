"""The database of a run: the real tables and transactions under a virtual clock, with faults around them.

A transaction is atomic, so nothing else happens inside one. Before and after it anything may. There is one in memory
for all runs of a process, emptied for each; PostgreSQL is in `sim_postgres`.
"""

from __future__ import annotations

import contextlib
import sqlite3
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sim_world import BEGIN, World
from sqlalchemy.engine import Connection

from jobs.store.database import Database, DatabaseUnavailable
from jobs.store.tables import metadata

NOTED = ("jobs", "attempts", "inbox", "lanes", "spending")  # the tables whose rows the rules look at


@dataclass(frozen=True)
class Backup:
    """All rows as of a moment. `written_at`: the newest time in it, later than its own if the clock was set back."""

    content: Any
    written_at: datetime


class SimDatabase(Database):
    """`committed` hears of each commit that wrote something; `writes` counts them."""

    world: World
    committed: Callable[[], None]

    def __init__(self, url: str) -> None:
        super().__init__(url, clock=self._clock)
        metadata.create_all(self.engine)
        self._reading = self._reads.connect()  # one for all reads: to open one costs as much as most of these
        self.tables = [table.name for table in reversed(metadata.sorted_tables)]
        self.writes = 0

    def begin_run(self, world: World, committed: Callable[[], None]) -> None:
        """Empty tables, another world's clock."""
        self.away_until = 0.0
        self._empty()
        self.world, self.committed = world, committed

    def back_up_rows(self) -> Backup:
        """A backup as of now."""
        newest = self.rows("SELECT max(updated_at) FROM jobs UNION ALL SELECT max(seen_at) FROM heartbeats")
        written_at = max((datetime.fromisoformat(at) for (at,) in newest if at is not None), default=BEGIN)
        return Backup(self._copy(), written_at)

    def put_back(self, backup: Backup) -> None:
        self._fill(backup.content)
        self.away_until = 0.0

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        world = self.world
        is_slow = world.fate.strikes("database_slow")
        world.effect("before a transaction", world.fate.own.uniform(1, 30) if is_slow else 0.002)
        self._reach()
        with super().write() as db:
            before = self._mark(db)
            yield db
            has_written = self._mark(db) != before
            if world.fate.strikes("commit_fails"):
                world.tell("commit undone")
                raise DatabaseUnavailable("the commit failed")
        if has_written:
            self.writes += 1
            self.committed()
        world.effect("after a commit")
        if world.fate.strikes("commit_unknown"):
            world.tell("commit kept, and not known")
            raise DatabaseUnavailable("the connection broke at the commit")

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        self.world.effect("before a read", 0.001)
        self._reach()
        with self._translated():
            yield self._reading

    @abstractmethod
    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the rules see: outside the actors' time, without a fault. Times and JSON are text, as SQLite has them.

        The statement is what both databases understand, with a `?` for each value.
        """

    @abstractmethod
    def numbered(self, table: str, columns: Iterable[str], numbers: list[Any] | None) -> dict[Any, tuple[Any, ...]]:
        """Rows by a number that never changes; all of them for None."""

    @abstractmethod
    def take_noted(self) -> dict[str, list[Any] | None]:
        """The numbers of the rows that were written since the last time, by table; None: any may have been."""

    @abstractmethod
    def _mark(self, db: Connection) -> Any:
        """Something else after a write in this transaction than before it."""

    @abstractmethod
    def _empty(self) -> None: ...

    @abstractmethod
    def _copy(self) -> Any: ...

    @abstractmethod
    def _fill(self, content: Any) -> None: ...

    def _reach(self) -> None:
        if self.world.now < self.away_until or self.world.fate.strikes("database_away"):
            self.world.tell("database away")
            raise DatabaseUnavailable("the database is away")

    def _clock(self, _: Connection) -> datetime:
        return self.world.database_time()


class SimSqlite(SimDatabase):
    """In memory. Triggers note which rows are written, so that a commit costs as much as it changed."""

    def __init__(self) -> None:
        super().__init__("sqlite://")
        with self.engine.connect() as db:
            self.raw: sqlite3.Connection = db.connection.driver_connection
        self._note_writes()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Connection]:
        with self.read() as db:  # nothing else happens meanwhile
            yield db

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.raw.execute(statement, values).fetchall()

    def numbered(self, table: str, columns: Iterable[str], numbers: list[Any] | None) -> dict[Any, tuple[Any, ...]]:
        among = "" if numbers is None else f" WHERE rowid IN ({', '.join('?' * len(numbers))})"
        found = self.rows(f"SELECT rowid, {', '.join(columns)} FROM {table}{among}", *(numbers or ()))
        return {number: tuple(row) for number, *row in found}

    def take_noted(self) -> dict[str, list[Any] | None]:
        noted: dict[str, dict[int, None]] = {}  # in the order of the first write, each once
        for name, number in self.raw.execute("SELECT name, number FROM noted ORDER BY rowid"):
            noted.setdefault(name, {})[number] = None
        if noted:
            self.raw.execute("DELETE FROM noted")
        return {name: list(numbers) for name, numbers in noted.items()}

    def _mark(self, db: Connection) -> int:
        return self.raw.total_changes

    def _empty(self) -> None:
        for name in (*self.tables, "sqlite_sequence"):
            self.raw.execute(f"DELETE FROM {name}")
        self.take_noted()

    def _copy(self) -> sqlite3.Connection:
        copy = sqlite3.connect(":memory:")
        self.raw.backup(copy)
        return copy

    def _fill(self, content: sqlite3.Connection) -> None:
        content.backup(self.raw)

    def _note_writes(self) -> None:
        """Triggers of the connection's own, so that no backup holds them; what is undone is not noted either."""
        self.raw.execute("PRAGMA temp_store = MEMORY")
        self.raw.execute("CREATE TEMP TABLE noted (name TEXT, number INTEGER)")
        for name in NOTED:
            for event, row in (("INSERT", "new"), ("UPDATE", "new"), ("DELETE", "old")):
                self.raw.execute(
                    f"CREATE TEMP TRIGGER note_{event}_{name} AFTER {event} ON main.{name}"
                    f" BEGIN INSERT INTO noted VALUES ('{name}', {row}.rowid); END"
                )
