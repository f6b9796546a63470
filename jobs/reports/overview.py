"""How the service is doing: what it works on now, and what ended lately, how fast.

Live jobs are few, and an index finds them. Of those that have ended, the newest so many are read, by the same index as
lists are, so that a look costs the same in a database of millions.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.states import ENDED, LIVE, State
from jobs.reports import callbacks
from jobs.store.tables import jobs

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


class End(NamedTuple):
    """A job that ended."""

    state: State
    provider: str | None
    created_at: datetime
    ended_at: datetime


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
    by_state = {state: _ended(db, state, begins_at) for state in State if state in ENDED}
    # Where one state's jobs were too many to read, the others' are counted no further back.
    since = max([begins_at, *(rows[-1].ended_at for rows in by_state.values() if len(rows) == READ)])
    ends = [end for rows in by_state.values() for end in rows if end.ended_at >= since]
    return Overview(
        since=since,
        live=_live(db),
        ended=Counter(end.state for end in ends),
        steps=steps(ends, begins_at, span, now),
        paces=paces(ends),
        callbacks=callbacks.figures(db, since=max(since, callbacks.kept_since(keep_callbacks_d, now)), until=now),
        dying=_dying(db),
    )


def paces(ends: Sequence[End]) -> list[Pace]:
    """By gateway, of the jobs that were archived. Pure."""
    lasted = defaultdict[str, list[float]](list)
    for end in ends:
        if end.state is State.ARCHIVED and end.provider is not None:
            lasted[end.provider].append((end.ended_at - end.created_at).total_seconds())
    return [
        Pace(provider, len(each), _percentile(each, 50), _percentile(each, 95))
        for provider, each in sorted((name, sorted(each)) for name, each in lasted.items())
    ]


def steps(ends: Sequence[End], begins_at: datetime, span: Span, now: datetime) -> list[Step]:
    """The span in equal parts, those without any end included. Pure."""
    width = STEPS[span]
    count = math.ceil((now - begins_at) / width)
    found = [Counter[State]() for _ in range(count)]
    for end in ends:
        found[min(int((end.ended_at - begins_at) / width), count - 1)][end.state] += 1
    return [Step(begins_at + number * width, each) for number, each in enumerate(found)]


def _percentile(ordered: Sequence[float], share: int) -> float:
    """The nearest rank: a time that some job really took."""
    return ordered[max(math.ceil(len(ordered) * share / 100) - 1, 0)]


def _live(db: Connection) -> dict[State, int]:
    counted = (
        sa.select(jobs.c.state, sa.func.count())
        .where(jobs.c.state.in_([state.value for state in LIVE]))
        .group_by(jobs.c.state)
    )
    return {State(state): count for state, count in db.execute(counted)}


def _ended(db: Connection, state: State, since: datetime) -> list[End]:
    """The newest that ended in this state, the newest request first."""
    columns = (jobs.c.state, jobs.c.provider, jobs.c.created_at, jobs.c.ended_at)
    lately = sa.and_(jobs.c.state == state.value, jobs.c.created_at >= since - LONGEST_LIVE, jobs.c.ended_at >= since)
    newest = sa.select(*columns).where(lately).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(READ)
    found = (End(State(row.state), row.provider, row.created_at, row.ended_at) for row in db.execute(newest))
    return sorted(found, key=lambda end: end.ended_at, reverse=True)


def _dying(db: Connection) -> list[Dying]:
    copied = sa.and_(jobs.c.state == State.ARCHIVING.value, jobs.c.link_dies_at.is_not(None))
    columns = (jobs.c.id, jobs.c.provider, jobs.c.link_dies_at, jobs.c.troubles)
    nearest = sa.select(*columns).where(copied).order_by(jobs.c.link_dies_at).limit(LINKS_SHOWN)
    return [Dying(*row) for row in db.execute(nearest)]
