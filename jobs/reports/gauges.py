"""What is measured by looking at rows, whenever somebody asks for it.

Nothing here reads a table of jobs from end to end, but the count of those that have ended, which is kept for a while.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs import measures
from jobs.machine.error_codes import REASONS
from jobs.machine.states import ENDED, LIVE, State
from jobs.measures import Measure
from jobs.reports import attention, callbacks, costs
from jobs.reports.attention_items import Looking
from jobs.settings import Settings
from jobs.store import heartbeats, lanes, orders_out, spending, unknown_words, waiting_jobs
from jobs.store.core import Core
from jobs.store.tables import jobs

WORTH = 100  # times as long as it took a count of ended jobs holds: a million of them take a second to count


class Sample(NamedTuple):
    """One value, under the values of its measure's labels, in their order."""

    measure: Measure
    labels: tuple[str, ...]
    value: float


class EndedJobs:
    """How many jobs have ended, by state and gateway, as counted lately in this process. Safe for threads.

    A few are counted each time. Many are counted seldom, so that it takes no more than a hundredth of a processor.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic):
        self._monotonic = monotonic
        self._counting = threading.Lock()
        self._counted: dict[tuple[str, str], int] = {}
        self._until = float("-inf")

    def read(self, db: Connection) -> dict[tuple[str, str], int]:
        with self._counting:
            began = self._monotonic()
            if began >= self._until:
                self._counted = _jobs_in(db, ENDED)
                self._until = self._monotonic() + WORTH * (self._monotonic() - began)
            return self._counted


def read(db: Connection, core: Core, ended: EndedJobs) -> Iterator[Sample]:
    """Every gauge, as it stands now."""
    settings, now = core.settings, core.database.clock(db)
    found = {(state.value, ""): 0 for state in State} | _jobs_in(db, LIVE) | ended.read(db)
    for labels, count in found.items():
        yield Sample(measures.JOBS, labels, count)
    counts = attention.counts(db, Looking(settings, core.providers, now))
    for reason in REASONS:
        yield Sample(measures.NEEDS_PERSON, (reason,), counts[reason])
    yield from _lanes(db, settings, now)
    for name, count in waiting_jobs.held_up(db).items():
        yield Sample(measures.HELD_UP, (name,), count)
    yield from _accounts(db, core, now)
    yield from _ages(db, core, now)
    for name, ends in callbacks.of_last_day(db, keep_d=settings.keep_callbacks_d, now=now).items():
        if ends.loss_ratio is not None:
            yield Sample(measures.CALLBACK_LOSS, (name,), ends.loss_ratio)
    for name, words in unknown_words.seen(db).items():
        for word, times in words.items():
            yield Sample(measures.UNKNOWN_ANSWERS, (name, word), times)


def _jobs_in(db: Connection, states: Iterable[State]) -> dict[tuple[str, str], int]:
    by = (jobs.c.state, sa.func.coalesce(jobs.c.provider, ""))
    counted = sa.select(*by, sa.func.count()).where(jobs.c.state.in_([state.value for state in states])).group_by(*by)
    return {(state, provider): count for state, provider, count in db.execute(counted)}


def _lanes(db: Connection, settings: Settings, now: datetime) -> Iterator[Sample]:
    for account, lane_name, lane in lanes.unwell(db, settings):
        is_present = account == settings.accounts.get(account.provider)
        labels = (account.provider, lane_name if is_present else f"previous_{lane_name}", lane.reason or "")
        yield Sample(measures.REST_S, labels, lane.rests_s(now))
        if lane.since is not None:
            yield Sample(measures.REST_SINCE, labels, lane.since.timestamp())


def _accounts(db: Connection, core: Core, now: datetime) -> Iterator[Sample]:
    """What each gateway with a key has under way, and what it was paid today (UTC)."""
    settings, today = core.settings, spending.day_of(now)
    sums = {(each.provider, each.line): each for each in costs.sums(db, since=today, until=today)}
    for name, account in settings.accounts.items():
        out = orders_out.out(db, account, lanes.read(db, account, "submit"), settings, now=now)
        yield Sample(measures.IN_FLIGHT, (name,), out.in_flight)
        yield Sample(measures.UNANSWERED, (name,), out.unanswered)
        for line in costs.LINES:
            found = sums.get((name, line))
            yield Sample(measures.TODAY_USD, (name, line), found.usd if found else 0)
            yield Sample(measures.TODAY_ORDERS, (name, line), found.attempts if found else 0)
        if (daily_usd := settings.terms[name].daily_usd) is not None:
            yield Sample(measures.BUDGET_USD, (name,), daily_usd)
        yield Sample(measures.QUERY_BUDGET, (name,), core.providers[name].polling.budget_per_s)


def _ages(db: Connection, core: Core, now: datetime) -> Iterator[Sample]:
    """How old what waits is, and how long ago those were seen who work on it."""
    oldest_due = min(filter(None, (_oldest_alarm(db, state, now) for state in State)), default=now)
    yield Sample(measures.OLDEST_DUE_S, (), (now - oldest_due).total_seconds())
    is_live = jobs.c.alarm_at.is_not(None)  # as both are; by it SQLite leaves ended jobs alone
    asked = sa.select(sa.func.min(jobs.c.created_at)).where(_is(State.QUEUED), is_live)
    asked_at = db.execute(asked).scalar_one() or now
    yield Sample(measures.QUEUE_AGE_S, (), (now - asked_at).total_seconds())
    links = _is(State.ARCHIVING), is_live, jobs.c.link_dies_at.is_not(None)
    dies_at = db.execute(sa.select(sa.func.min(jobs.c.link_dies_at)).where(*links)).scalar_one()
    if dies_at is not None:
        yield Sample(measures.LINK_LIFE_LEFT_S, (), (dies_at - now).total_seconds())
    for role, seen_s in heartbeats.last_seen_s(db, core.database).items():
        if role == heartbeats.SWEPT:
            yield Sample(measures.SWEEP_AGE_S, (), seen_s)
        elif role != heartbeats.SPOOL_FULL:
            yield Sample(measures.PROCESS_AGE_S, (role,), seen_s)


def _oldest_alarm(db: Connection, state: State, now: datetime) -> datetime | None:
    """The alarm that rang first, of the jobs in a state that nobody holds. One look into the index."""
    free = sa.or_(jobs.c.leased_until.is_(None), jobs.c.leased_until <= now)
    rung = sa.select(jobs.c.alarm_at).where(_is(state), jobs.c.alarm_at <= now, free)
    found: datetime | None = db.execute(rung.order_by(jobs.c.alarm_at).limit(1)).scalar_one_or_none()
    return found


def _is(state: State) -> sa.ColumnElement[bool]:
    return jobs.c.state == state.value
