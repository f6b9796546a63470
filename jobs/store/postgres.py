"""Connections to PostgreSQL, be it the server itself or a pooler before it (PgBouncer, and what providers offer).

A pooler in transaction mode gives each transaction another server connection. So nothing of ours outlives one there:
no start options, no session settings, no prepared statements. Limits go with each transaction instead.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import InvalidatePoolError

_TIME = "SELECT clock_timestamp()"
_ASK_TIME = sa.text(_TIME)
PING_AFTER_S = 2  # of rest
CONNECT_S = 3
LIMITS = {"statement_timeout": "10s", "lock_timeout": "3s", "idle_in_transaction_session_timeout": "30s"}
_BEGIN = {None: "BEGIN", "reads": "BEGIN READ ONLY", "snapshot": "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"}
_POOLED, _BEGUN_AT = "is_pooled", "begun_at"


def engine_of(url: sa.URL, threads: int) -> Engine:
    """The engine for a URL.

    The execution option `only` says what a transaction does: `reads` or `snapshot`. On a direct connection there is
    no transaction around reads: it would cost two round trips. Through a pooler there is one, to hold the limits.
    """
    engine = sa.create_engine(
        url,
        pool_size=threads,  # those of a burst stay: each new one costs the server a process, and plans all anew
        max_overflow=0,
        pool_timeout=5,
        pool_use_lifo=True,  # what a connection has prepared and planned is of use to it alone
        connect_args={
            "autocommit": True,  # each BEGIN is our own
            # A server that sleeps until it is asked wants longer, and its address says so.
            **({} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_S}),
        },
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "checkin", _note_rest)

    @event.listens_for(engine, "checkout")
    def ping_rested(connection: Any, record: Any, _: Any) -> None:
        """Ask connections that have idled whether they live; SQLAlchemy's pre-ping would ask busy ones every time."""
        if time.monotonic() - record.info.get("rests_since", -math.inf) < PING_AFTER_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as e:
            raise InvalidatePoolError from e  # the others are as old: all are made anew

    return engine


def write_file(db: Connection) -> None:
    """Have the server write half a megabyte to a temporary file, which a full disk refuses. It is gone at once.

    Rows would do as well as long as no page has room for them; there is no telling when that is.
    """
    db.exec_driver_sql("SET LOCAL work_mem = '64kB'; SELECT count(*) FROM generate_series(1, 30000)")


def room(db: Connection) -> int:
    """How many connections the server has for all who are no superusers, us among them."""
    asked = "current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
    return int(db.exec_driver_sql(f"SELECT {asked}").scalar_one())


def is_pooled(db: Connection) -> bool:
    """Whether a pooler stands between this connection and the server."""
    pooled: bool = db.connection.info[_POOLED]
    return pooled


def _set_up(connection: Any, record: Any) -> None:
    """Find out who answers. A pooler names a process id of its own at the start, for it serves by many processes."""
    (pid,) = connection.execute("SELECT pg_backend_pid()", prepare=False).fetchone()
    record.info[_POOLED] = pid != connection.info.backend_pid
    if record.info[_POOLED]:
        connection.prepare_threshold = None
    else:
        connection.execute(_limits("SET"), prepare=False)


def clock(db: Connection) -> datetime:
    """The server's time. A transaction that writes was told it as it began, and asks from the second time on."""
    begun_at: datetime | None = db.connection.info.pop(_BEGUN_AT, None)
    return (begun_at or db.execute(_ASK_TIME).scalar_one()).astimezone(UTC)


def _begin(db: Connection) -> None:
    only = db.get_execution_options().get("only")
    limits = f"; {_limits('SET LOCAL')}" if is_pooled(db) else ""
    if only is None:  # each of them asks for the time first: on the way of the BEGIN it costs no trip of its own
        db.connection.info[_BEGUN_AT] = db.exec_driver_sql(f"{_TIME}; {_BEGIN[only]}{limits}").scalar_one()
    elif limits or only != "reads":
        db.exec_driver_sql(f"{_BEGIN[only]}{limits}")


def _limits(how: str) -> str:
    return "; ".join(f"{how} {name} = '{limit}'" for name, limit in LIMITS.items())


def _note_rest(connection: Any, record: Any) -> None:
    record.info["rests_since"] = time.monotonic()
    record.info.pop(_BEGUN_AT, None)  # of a transaction that never asked
