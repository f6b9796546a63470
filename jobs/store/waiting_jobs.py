"""The queued jobs that wait for a gateway: how many there are, and who is woken to look again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.held_jobs import ASKS
from jobs.machine.states import State
from jobs.store.tables import jobs, lanes


def held_up(db: Connection) -> dict[str, int]:
    """By gateway: how many queued jobs wait for it."""
    gateway = jobs.c.waiting["provider"].as_string()
    is_live = jobs.c.alarm_at.is_not(None)  # all that are queued are; by it SQLite leaves ended jobs alone
    waits = sa.and_(jobs.c.state == State.QUEUED.value, is_live, jobs.c.waiting.is_not(None))
    found = sa.select(gateway, sa.func.count()).where(waits).group_by(gateway)
    return {name: count for name, count in db.execute(found) if name}


def wake_waiting(db: Connection, provider: str, *, now: datetime) -> None:
    """Let the queued jobs that wait for a gateway look again.

    In a transaction of its own: a claim locks its job before the lane, and whoever ends a rest has locked the lane.
    """
    db.execute(sa.update(jobs).where(_waits_for(provider), jobs.c.alarm_at > now).values(**_woken(now)))


def any_to_ask(db: Connection, *, now: datetime) -> bool:
    """Whether there is work for `wake_askers`."""
    return db.execute(sa.select(lanes.c.provider).where(_is_to_be_asked(now)).limit(1)).first() is not None


def wake_askers(db: Connection, *, now: datetime) -> None:
    """For each gateway that is to be asked for free while orders rest, let one of the jobs that wait for it look."""
    for (provider,) in db.execute(sa.select(lanes.c.provider).where(_is_to_be_asked(now)).distinct()).all():
        # One that is held by news of an earlier order asks about that, and nothing else.
        waits = sa.and_(_waits_for(provider), jobs.c.waiting["code"].as_string() != ASKS)
        if db.execute(sa.select(jobs.c.id).where(waits, jobs.c.alarm_at <= now).limit(1)).first():
            continue
        first = sa.select(jobs.c.id).where(waits).order_by(jobs.c.alarm_at, jobs.c.id).limit(1).scalar_subquery()
        db.execute(sa.update(jobs).where(jobs.c.id == first, waits).values(**_woken(now)))


def _is_to_be_asked(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(lanes.c.lane == "submit", lanes.c.ask_at <= now, lanes.c.until > now)


def _waits_for(provider: str) -> sa.ColumnElement[bool]:
    gateway = jobs.c.waiting["provider"].as_string()
    return sa.and_(jobs.c.state == State.QUEUED.value, jobs.c.waiting.is_not(None), gateway == provider)


def _woken(now: datetime) -> dict[str, Any]:
    return {"alarm_at": now, "updated_at": now, "version": jobs.c.version + 1}
