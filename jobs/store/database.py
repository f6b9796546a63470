"""The database: PostgreSQL, or SQLite on one machine. Opens transactions and tells the time; knows no table."""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    TimeoutError,
)

from jobs.errors import JobsError
from jobs.store import postgres, told
from jobs.store.disk import NO_ROOM, has_room
from jobs.store.write_lock import StillLocked, WriteLock
from jobs.tallies import Tallies

FULL_FOR_S = 30  # that a PostgreSQL's full disk is told of
LOOK_AGAIN_S = 10  # after a look whether it has
POSTGRES_DISK_FULL = "53100"
POSTGRES_TROUBLE = {"58030", "XX000"}  # of input and output, and without a name: the text tells
NO_ROOM_WORDS = tuple(os.strerror(code) for code in NO_ROOM)
# SQLite's own words for it. Others of I/O come with a full disk as well as with a broken one, so that is looked at.
SQLITE_FULL = {sqlite3.SQLITE_FULL, 4874}  # the second: SQLITE_IOERR_SHMSIZE, the write-ahead log's index
SQLITE_TROUBLE = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
WEB_THREADS = 30  # that a web process has at the database at a time; others wait for a connection
BUSY_S = 10  # for which a writer waits on SQLite, for its turn and then for the file

Clock = Callable[[Connection], datetime]


class DatabaseUnavailable(JobsError):
    """Try later. After a failed commit it is not known whether the transaction happened: read the row again."""


class DiskFull(DatabaseUnavailable):
    """The database's disk takes nothing more. Reads may go on."""


def database_clock(db: Connection) -> datetime:
    """The database's own time: the one clock that all processes share. For SQLite that is this machine's."""
    return postgres.clock(db) if db.dialect.name == "postgresql" else datetime.now(UTC)


def upsert(dialect: str, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that can say what to do about a row that is there already, in this database's dialect, by its name."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


class Database:
    """Transactions on one database. `write()` serialises on SQLite; `read()` never waits for a writer.

    `tallies`: what this process has counted, and this database is to have (`tallied.py`).
    """

    def __init__(self, url: str, *, threads: int = WEB_THREADS, clock: Clock = database_clock):
        self.url = sa.make_url(url)
        self.clock = clock
        self.tallies = Tallies()
        self.engine = _sqlite(self.url, threads) if self.is_sqlite else postgres.engine_of(self.url, threads)
        in_memory = not self.is_sqlite or self.url.database in (None, "", ":memory:")
        self._folder = None if in_memory else Path(str(self.url.database)).absolute().parent
        self._full_until = self._looked_at = -math.inf
        self._reads = self.engine.execution_options(only="reads")

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def tells_time(self) -> bool:
        """Whether a statement can tell the time of `clock` itself, as `clock_timestamp()`."""
        return not self.is_sqlite and self.clock is database_clock

    @property
    def disk_is_full(self) -> bool:
        """SQLite: whether its folder takes anything now. PostgreSQL: whether it said so of a write of ours just now."""
        if self.is_sqlite:
            return self._folder is not None and not has_room(self._folder)
        return time.monotonic() < self._full_until

    def look_at_disk(self) -> bool:
        """`disk_is_full`, for one who writes nothing: PostgreSQL is made to write a file, every ten seconds at most."""
        if not self.is_sqlite and time.monotonic() - self._looked_at >= LOOK_AGAIN_S:
            self._looked_at = time.monotonic()
            with contextlib.suppress(DatabaseUnavailable), self.write() as db:  # that it is away shows elsewhere
                postgres.write_file(db)
        return self.disk_is_full

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; committed at the end, and then the log has its histories' lines.

        Raises DatabaseUnavailable.
        """
        with self._translated(), self.engine.begin() as db:
            noted = told.begin(db)
            yield db
        told.tell(noted, self.tallies)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Reads alone, each seeing what was committed before it began. Raises DatabaseUnavailable.

        A transaction around them, which PostgreSQL has behind a pooler alone, sees no more than this.
        """
        with self._translated(), self._reads.connect() as db:
            yield db

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """As `read`, but all of it sees the database at one moment, and it may take its time."""
        if self.is_sqlite:  # in WAL mode every transaction sees one moment
            with self.read() as db:
                db.exec_driver_sql("BEGIN")
                yield db
            return
        with self._translated(), self.engine.connect().execution_options(only="snapshot") as db:
            db.exec_driver_sql("SET LOCAL statement_timeout = 0")
            yield db

    def back_up(self, file: Path) -> datetime:
        """Copy a SQLite database to a new file, as it is at one moment; just before when that was.

        Writers go on meanwhile. Raises FileExistsError, DatabaseUnavailable.
        """
        file.touch(mode=0o600, exist_ok=False)  # the copy holds what the database holds
        connection = self.engine.raw_connection()
        try:
            taken_at = datetime.now(UTC)
            connection.cursor().execute("VACUUM INTO ?", (str(file),))
        except sqlite3.Error as e:
            file.unlink()
            raise DatabaseUnavailable(str(e)) from e
        finally:
            connection.close()
        return taken_at

    def close(self) -> None:
        self.engine.dispose()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (
            OperationalError,
            InterfaceError,
            InternalError,
            TimeoutError,
        ) as e:  # the third: a standby is read-only
            raise self._away(e) from e
        except DBAPIError as e:
            if not e.connection_invalidated:
                raise
            raise self._away(e) from e

    def _away(self, error: Exception) -> DatabaseUnavailable:
        if not self._tells_full_disk(error):
            return DatabaseUnavailable(_first_line(error))
        self._full_until = time.monotonic() + FULL_FOR_S
        return DiskFull(_first_line(error))

    def _tells_full_disk(self, error: Exception) -> bool:
        cause = getattr(error, "orig", None)
        if not self.is_sqlite:
            state, said = getattr(cause, "sqlstate", None), str(cause)
            in_words = state in POSTGRES_TROUBLE and any(words in said for words in NO_ROOM_WORDS)
            return state == POSTGRES_DISK_FULL or in_words
        code = getattr(cause, "sqlite_errorcode", None)
        if code in SQLITE_FULL:
            return True
        of_trouble = isinstance(error, TimeoutError) or (code is not None and code & 0xFF in SQLITE_TROUBLE)
        return of_trouble and self.disk_is_full


def _first_line(error: Exception) -> str:
    # The statement and its parameters (they may hold secrets) follow on the later lines.
    return str(error).splitlines()[0]


def _sqlite(url: sa.URL, threads: int) -> Engine:
    """WAL with synchronous FULL: what was answered survives a power cut.

    Python's driver begins a transaction only at the first write, and two such transactions lose each other's updates;
    so we say BEGIN ourselves. BEGIN IMMEDIATE alone lets a writer wait for seconds while others pass it by; a lock
    taken before it makes a queue.
    """
    in_memory = url.database in (None, "", ":memory:")
    lock = None if in_memory else WriteLock(Path(f"{url.database}.lock"))
    engine = (
        sa.create_engine(url, poolclass=sa.StaticPool, connect_args={"check_same_thread": False})
        if in_memory
        else sa.create_engine(
            url,
            pool_size=threads,
            max_overflow=0,
            pool_timeout=5,
            pool_use_lifo=True,
            connect_args={"timeout": BUSY_S, "check_same_thread": False},
        )
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_S * 1000}", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(db: Connection) -> None:
        if db.get_execution_options().get("only") == "reads":
            return
        if lock is not None:
            try:
                db.connection.info["held"] = lock.acquire(timeout_s=BUSY_S)
            except StillLocked:
                raise TimeoutError(f"another process has been writing for {BUSY_S} s; it may be frozen") from None
            except OSError as e:
                raise TimeoutError(f"the lock beside the database's file cannot be opened: {e}") from e
        db.exec_driver_sql("BEGIN IMMEDIATE")  # where it fails, the connection is given back, and the lock with it

    @event.listens_for(engine, "checkin")
    @event.listens_for(engine, "close")
    def unlock(connection: Any, record: Any) -> None:
        if lock is not None and (held := record.info.pop("held", None)) is not None:
            lock.release(held)

    return engine
