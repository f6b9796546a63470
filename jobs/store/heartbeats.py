"""Who was seen alive when. Being alive is judged by rows that were written, not by processes that exist."""

from __future__ import annotations

import os
import socket
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.times import CLOCK_SET_BACK
from jobs.store.database import Database, upsert
from jobs.store.tables import heartbeats

SWEPT = "swept"  # name and role of the beat that says when a sweep last looked
SPOOL_FULL = "spool_full"  # role of the beat of a transfer whose disk has no room for a film
MISSED = 3  # heartbeats, until a process counts as gone
GRACE_S = 5


def process_name(role: str) -> str:
    """Who a holder or a heartbeat is: role, host and process id."""
    return f"{role}@{_host()}:{os.getpid()}"


def _host() -> str:
    return socket.gethostname()[:32]


def believed_s(sweep_interval_s: float) -> float:
    """For how many seconds after its last heartbeat a process is believed to live."""
    return MISSED * sweep_interval_s + GRACE_S


def other_hosts(db: Connection, database: Database, role: str, within_s: float) -> list[str]:
    """The hosts where processes of a role live, if none of them is this one; else none."""
    now = database.clock(db)
    lately = sa.select(heartbeats.c.name).where(
        heartbeats.c.role == role,
        heartbeats.c.seen_at > now - timedelta(seconds=within_s),
        heartbeats.c.seen_at <= now + CLOCK_SET_BACK,
    )
    hosts = {name.partition("@")[2].rpartition(":")[0] for name in db.execute(lately).scalars()}
    return [] if _host() in hosts else sorted(hosts)


def beat(database: Database, name: str, role: str) -> None:
    """Say that somebody is alive: a process by its own name, the sweep by its role's. Or that a spool is full."""
    with database.write() as db:
        row = {"name": name, "role": role, "seen_at": database.clock(db)}
        insert = upsert(db.dialect.name, heartbeats).values(**row)
        db.execute(insert.on_conflict_do_update(index_elements=["name"], set_=row))


def last_seen_s(db: Connection, database: Database) -> dict[str, float]:
    """Seconds since each role was last seen.

    A beat from the future was written before the clock was set back; when that was, nobody can say. It counts for
    nothing, since who lives beats anew within seconds.
    """
    now = database.clock(db)
    latest = sa.select(heartbeats.c.role, sa.func.max(heartbeats.c.seen_at).label("at")).group_by(heartbeats.c.role)
    believed = latest.where(heartbeats.c.seen_at <= now + CLOCK_SET_BACK)
    return {row.role: (now - row.at).total_seconds() for row in db.execute(believed)}
