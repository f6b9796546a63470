"""How the service is doing: what it works on now, and what ended lately, how fast.

Live jobs are few, and an index finds them. Of those that have ended, the newest so many are read, by the same index as
lists are, so that a look costs the same in a database of millions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.states import ENDED, LIVE, State
from jobs.reports import callbacks, percentiles
from jobs.store.tables import Instant, jobs

READ = 5000  # jobs of each end that are looked into
LINKS_SHOWN = 5
LONGEST_LIVE = timedelta(days=3)  # a job that ended within the span began at most so long before it


class Span(StrEnum):
    """How far back is looked."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


LASTS: Mapping[Span, timedelta] = {
    Span.HOUR: timedelta(hours=1),
    Span.DAY: timedelta(days=1),
    Span.WEEK: timedelta(days=7),
}
# Of the columns of a chart: whole numbers of each span.
STEPS: Mapping[Span, timedelta] = {
    Span.HOUR: timedelta(minutes=2),
    Span.DAY: timedelta(minutes=30),
    Span.WEEK: timedelta(hours=4),
}


class Pace(NamedTuple):
    """From the request to the archived video, of one gateway's jobs: the median, and what 19 of 20 keep within."""

    provider: str
    archived: int
    p50_s: float
    p95_s: float


class Step(NamedTuple):
    """A column of the chart: how many jobs ended within it, by state."""

    begins_at: datetime
    ended: Mapping[State, int]


class Dying(NamedTuple):
    """A video that is not copied yet, and when its link dies."""

    job_id: str
    provider: str | None
    link_dies_at: datetime
    troubles: int


@dataclass(frozen=True)
class Overview:
    """`since`: how far back what has ended was read, which is the whole span unless `READ` jobs ended since."""

    since: datetime
    live: Mapping[State, int]
    ended: Mapping[State, int]
    steps: Sequence[Step]
    paces: Sequence[Pace]
    callbacks: Sequence[Mapping[str, Any]]
    dying: Sequence[Dying]


def read(db: Connection, span: Span, *, keep_callbacks_d: float, now: datetime) -> Overview:
    """All of it, at one time. Of callbacks it is told no further back than they are kept: see `callbacks.figures`."""
    begins_at = now - LASTS[span]
    newest = {state: _newest(state, begins_at) for state in State if state in ENDED}
    # Where one state's jobs were too many to read, the others' are counted no further back.
    since = max([begins_at, *(at for rows in newest.values() if (at := _reaches_to(db, rows)) is not None)])
    steps = _steps(db, [sa.select(rows).where(rows.c.ended_at >= since) for rows in newest.values()], span, now)
    return Overview(
        since=since,
        live=_live(db),
        ended=sum((Counter(step.ended) for step in steps), Counter[State]()),
        steps=steps,
        paces=_paces(db, newest[State.ARCHIVED], since),
        callbacks=callbacks.figures(db, since=max(since, callbacks.kept_since(keep_callbacks_d, now)), until=now),
        dying=_dying(db),
    )


def _newest(state: State, since: datetime) -> sa.Subquery:
    """The newest `READ` jobs that ended in this state."""
    lately = sa.and_(jobs.c.state == state.value, jobs.c.created_at >= since - LONGEST_LIVE, jobs.c.ended_at >= since)
    columns = (jobs.c.state, jobs.c.provider, jobs.c.created_at, jobs.c.ended_at)
    newest = sa.select(*columns).where(lately).order_by(jobs.c.created_at.desc(), jobs.c.id.desc())
    return newest.limit(READ).subquery()


def _reaches_to(db: Connection, newest: sa.Subquery) -> datetime | None:
    """The earliest end of these, if there may be others; None: these are all."""
    count, earliest = db.execute(sa.select(sa.func.count(), sa.func.min(newest.c.ended_at, type_=Instant))).one()
    return earliest if count == READ else None


def _steps(db: Connection, ended: Sequence[sa.Select[Any]], span: Span, now: datetime) -> list[Step]:
    """The span in equal parts, oldest first, those without any end included."""
    begins_at, width, each = now - LASTS[span], STEPS[span], sa.union_all(*ended).subquery()
    count = math.ceil((now - begins_at) / width)
    begin = sa.literal(begins_at, Instant)
    after_s = percentiles.seconds(begin, each.c.ended_at, is_sqlite=db.dialect.name == "sqlite")
    number = (sa.cast(after_s, sa.Integer) // int(width.total_seconds())).label("number")
    found = [Counter[State]() for _ in range(count)]
    for state, place, many in db.execute(sa.select(each.c.state, number, sa.func.count()).group_by("state", "number")):
        found[min(max(place, 0), count - 1)][State(state)] += many
    return [Step(begins_at + place * width, counted) for place, counted in enumerate(found)]


def _paces(db: Connection, archived: sa.Subquery, since: datetime) -> list[Pace]:
    """By gateway, of the jobs that were archived since."""
    lately = sa.select(archived).where(archived.c.ended_at >= since).subquery()
    lasted = percentiles.seconds(lately.c.created_at, lately.c.ended_at, is_sqlite=db.dialect.name == "sqlite")
    return [Pace(name, *ranks) for name, ranks in sorted(percentiles.ranks(db, lately, lasted).items())]


def _live(db: Connection) -> dict[State, int]:
    counted = (
        sa.select(jobs.c.state, sa.func.count())
        .where(jobs.c.state.in_([state.value for state in LIVE]))
        .group_by(jobs.c.state)
    )
    return {State(state): count for state, count in db.execute(counted)}


def _dying(db: Connection) -> list[Dying]:
    copied = sa.and_(jobs.c.state == State.ARCHIVING.value, jobs.c.link_dies_at.is_not(None))
    columns = (jobs.c.id, jobs.c.provider, jobs.c.link_dies_at, jobs.c.troubles)
    nearest = sa.select(*columns).where(copied).order_by(jobs.c.link_dies_at).limit(LINKS_SHOWN)
    return [Dying(*row) for row in db.execute(nearest)]
