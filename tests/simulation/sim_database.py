"""The database: one in-memory SQLite for all runs of a process, emptied for each; the real tables and transactions.

A transaction is atomic, so nothing else happens inside one. Before and after it anything may.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from sim_world import World
from sqlalchemy.engine import Connection

from jobs.store.database import Database, DatabaseUnavailable
from jobs.store.tables import metadata

NOTED = ("jobs", "attempts", "inbox", "lanes", "spending")  # the tables whose writes the rules look at


class SimDatabase(Database):
    """`Database` under a virtual clock, with faults around its transactions. `committed` hears of each commit."""

    world: World
    committed: Callable[[], None]

    def __init__(self) -> None:
        super().__init__("sqlite://", clock=self._clock)
        metadata.create_all(self.engine)
        with self.engine.connect() as db:
            self.raw: sqlite3.Connection = db.connection.driver_connection
        self._tables = [table.name for table in reversed(metadata.sorted_tables)]
        self._note_writes()

    def begin_run(self, world: World, committed: Callable[[], None]) -> None:
        """Empty tables, another world's clock."""
        self.away_until = 0.0
        for name in (*self._tables, "sqlite_sequence"):
            self.raw.execute(f"DELETE FROM {name}")
        self.take_noted()
        self.world, self.committed = world, committed

    def take_noted(self) -> dict[str, list[int]]:
        """The numbers of the rows that were written since the last time, by table."""
        noted: dict[str, dict[int, None]] = {}  # in the order of the first write, each once
        for name, number in self.raw.execute("SELECT name, number FROM noted ORDER BY rowid"):
            noted.setdefault(name, {})[number] = None
        if noted:
            self.raw.execute("DELETE FROM noted")
        return {name: list(numbers) for name, numbers in noted.items()}

    def snapshot(self) -> sqlite3.Connection:
        """A backup as of now."""
        copy = sqlite3.connect(":memory:")
        self.raw.backup(copy)
        return copy

    def put_back(self, copy: sqlite3.Connection) -> None:
        copy.backup(self.raw)
        self.away_until = 0.0

    def _reach(self) -> None:
        if self.world.now < self.away_until or self.world.fate.strikes("database_away"):
            self.world.tell("database away")
            raise DatabaseUnavailable("the database is away")

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        world = self.world
        world.effect("before a transaction", 0.002)
        self._reach()
        changes = self.raw.total_changes
        with super().write() as db:
            yield db
            if world.fate.strikes("commit_fails"):
                world.tell("commit undone")
                raise DatabaseUnavailable("the commit failed")
        if self.raw.total_changes != changes:
            self.committed()
        world.effect("after a commit")
        if world.fate.strikes("commit_unknown"):
            world.tell("commit kept, and not known")
            raise DatabaseUnavailable("the connection broke at the commit")

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        self.world.effect("before a read", 0.001)
        self._reach()
        with super().read() as db:
            yield db

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the rules see: outside the actors' time, without a fault."""
        return self.raw.execute(statement, values).fetchall()

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

    def _clock(self, _: Connection) -> datetime:
        return self.world.database_time()
