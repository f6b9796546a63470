"""How the service is doing: what it works on now, and what ended lately, how fast.

Live jobs are few, and an index finds them. Of those that have ended, the last so many are read, so that a look costs
the same in a database of millions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.states import LIVE, State
from jobs.reports import callbacks, percentiles
from jobs.reports.percentiles import DIGITS
from jobs.store.column_types import Instant
from jobs.store.prepared import at
from jobs.store.tables import jobs

READ = 5000  # jobs that have ended that are looked into
LINKS_SHOWN = 5
_LIVE = (
    sa.select(jobs.c.state, sa.func.count())
    .where(jobs.c.state.in_([state.value for state in LIVE]))
    .group_by(jobs.c.state)
)
_DYING = (
    sa.select(jobs.c.id, jobs.c.provider, jobs.c.link_dies_at, jobs.c.troubles)
    .where(jobs.c.state == State.ARCHIVING.value, jobs.c.link_dies_at.is_not(None))
    .order_by(jobs.c.link_dies_at)
    .limit(LINKS_SHOWN)
)


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
    """`since`: how far back what has ended was read: the whole span, unless `READ` jobs ended in it."""

    since: datetime
    live: Mapping[State, int]
    ended: Mapping[State, int]
    steps: Sequence[Step]
    paces: Sequence[Pace]
    callbacks: Sequence[Mapping[str, Any]]
    dying: Sequence[Dying]


def read(db: Connection, span: Span, *, keep_callbacks_d: float, now: datetime) -> Overview:
    """All of it, at one time. Of callbacks it is told no further back than they are kept: see `callbacks.figures`."""
    steps, since = _steps(db, span, now)
    return Overview(
        since=since,
        live=_live(db),
        ended=sum((Counter(step.ended) for step in steps), Counter[State]()),
        steps=steps,
        paces=_paces(db, since),
        callbacks=callbacks.figures(db, since=max(since, callbacks.kept_since(keep_callbacks_d, now)), until=now),
        dying=_dying(db),
    )


def _steps(db: Connection, span: Span, now: datetime) -> tuple[list[Step], datetime]:
    """The span in equal parts, oldest first, those without any end included; and how far back the ends were read."""
    begins_at, width = now - LASTS[span], STEPS[span]
    count = math.ceil((now - begins_at) / width)
    found = [Counter[State]() for _ in range(count)]
    given = {"since": begins_at, "read": READ, "width_s": int(width.total_seconds())}
    rows = db.execute(_ends(db.dialect.name == "sqlite"), given).all()
    for state, place, many, _ in rows:
        found[min(max(place, 0), count - 1)][State(state)] += many
    # There may be others before the earliest of so many.
    is_cut = sum(row.many for row in rows) == READ
    since = min(row.earliest for row in rows) if is_cut else begins_at
    return [Step(begins_at + place * width, counted) for place, counted in enumerate(found)], since


@cache
def _ends(is_sqlite: bool) -> sa.Select[Any]:
    """By state and part of the span: how many of the last jobs ended then, and the earliest end."""
    each = _last(jobs.c.state, jobs.c.ended_at)
    after_s = percentiles.seconds(at("since"), each.c.ended_at, is_sqlite=is_sqlite)
    number = (sa.cast(after_s, sa.Integer) // sa.bindparam("width_s", type_=sa.Integer)).label("number")
    earliest = sa.func.min(each.c.ended_at, type_=Instant).label("earliest")
    return sa.select(each.c.state, number, sa.func.count().label("many"), earliest).group_by(each.c.state, "number")


def _paces(db: Connection, since: datetime) -> list[Pace]:
    """By gateway, of the jobs that were archived since."""
    found = db.execute(_lasted(db.dialect.name == "sqlite"), {"since": since, "read": READ})
    return sorted(Pace(name, many, round(half, DIGITS), round(most, DIGITS)) for name, many, half, most in found)


@cache
def _lasted(is_sqlite: bool) -> sa.Select[Any]:
    """What `Pace` has, of the archived ones among the last jobs."""
    each = _last(jobs.c.state, jobs.c.provider, jobs.c.created_at, jobs.c.ended_at)
    lasted = percentiles.seconds(each.c.created_at, each.c.ended_at, is_sqlite=is_sqlite)
    archived = sa.select(each.c.provider, lasted.label("s")).where(each.c.state == State.ARCHIVED.value)
    rows = percentiles.numbered(archived.where(each.c.provider.is_not(None)), ("s",), is_sqlite=is_sqlite)
    return sa.select(rows.c.provider, *percentiles.ranks(rows, "s", is_sqlite=is_sqlite)).group_by(rows.c.provider)


def _last(*columns: sa.Column[Any]) -> sa.Subquery:
    """The last `read` jobs that have ended since `since`."""
    lately = sa.select(*columns).where(jobs.c.ended_at >= at("since"))
    return lately.order_by(jobs.c.ended_at.desc()).limit(sa.bindparam("read", type_=sa.Integer)).subquery()


def _live(db: Connection) -> dict[State, int]:
    return {State(state): count for state, count in db.execute(_LIVE)}


def _dying(db: Connection) -> list[Dying]:
    return [Dying(*row) for row in db.execute(_DYING)]
