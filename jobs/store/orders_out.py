"""How many orders of a gateway's key are out: in flight, on their way, or lost. Counted beside their lane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from jobs.machine.breaker import Lane
from jobs.machine.rows import Origin
from jobs.machine.times import CLOCK_SET_BACK
from jobs.providers.client import Account
from jobs.request.generation import Mode
from jobs.settings import Settings
from jobs.store.column_types import Instant
from jobs.store.database import Database
from jobs.store.lanes import COLUMNS, IS_LANE, key_of
from jobs.store.prepared import at, of
from jobs.store.tables import attempts, jobs, lanes

RUNS_FOR = 12  # times the expected time: an hour
# As the indexes have them: SQLite takes a partial index for a condition that it knows word for word.
IS_OPEN, IS_UNCERTAIN = sa.text("attempts.outcome = 'open'"), sa.text("attempts.standing = 'uncertain'")
EARLIEST = datetime.min.replace(tzinfo=UTC)
_LOSSES = COLUMNS.index(lanes.c.losses)  # which is NULL where there is no row


@dataclass(frozen=True)
class Out:
    """A key's orders that are out: `in_flight` takes room; `on_way` and `lost` have no answer yet.

    `lost`: since the last acceptance, until somebody knows what became of them. `resent`: lost ones that are being sent
    again just now; they count as lost, whenever that was. Orders that a restored backup only suspects are in none of
    these.
    """

    in_flight: int
    on_way: int
    lost: int
    resent: int

    @property
    def unanswered(self) -> int:
        return self.on_way + self.lost

    @property
    def under_way(self) -> int:
        """How many requests for a video are on their way to the gateway, or back, at this moment."""
        return self.on_way + self.resent


class Look(NamedTuple):
    """The lane of a key's orders, and those that are out, at a time of the database's."""

    lane: Lane
    out: Out
    now: datetime


def out(db: Connection, account: Account, lane: Lane, settings: Settings, *, now: datetime) -> Out:
    """How many orders of the key are out."""
    since = lane.accepted_at or EARLIEST
    if since > now + CLOCK_SET_BACK:
        since = EARLIEST  # the clock was set back since: no order could be told to be younger
    key = {"of_provider": account.provider, "of_account": account.fingerprint, "since": since}
    return _out_of(db.execute(_out(), {**key, **_ages(settings, now)}).all())


def look(db: Connection, account: Account, settings: Settings, database: Database) -> Look:
    """All that an order's way depends on, in one statement."""
    key = {**key_of(account, "submit"), "earliest": EARLIEST}
    if database.tells_time:
        ages = {name: timedelta(seconds=age_s) for name, age_s in _ages_s(settings).items()}
        rows = db.execute(_look(tells_time=True), {**key, **ages, "ahead": CLOCK_SET_BACK}).all()
        now = rows[0].now
    else:
        now = database.clock(db)
        times = {**_ages(settings, now), "ahead": now + CLOCK_SET_BACK}
        rows = db.execute(_look(tells_time=False), {**key, **times}).all()
    lane = rows[0][4 : 4 + len(COLUMNS)]
    return Look(Lane() if lane[_LOSSES] is None else Lane(*lane), _out_of(rows), now)


def _out_of(rows: Sequence[Row[Any]]) -> Out:
    counted = {name: rest[:3] for name, *rest in map(tuple, rows)}
    (accepted, sent, _), (may_be_running, unknown, again) = counted["open"], counted["lost"]
    return Out(accepted + sent + may_be_running, sent, unknown, again)


def _ages_s(settings: Settings) -> dict[str, float]:
    """How long what began lives, or runs, in seconds, by the names of `_counts`."""
    usual_s, edit_s = (_runs_s(mode, settings) for mode in (Mode.TEXT, Mode.EDIT))
    return {"lives_after": settings.submit_lease_s, "runs_after": usual_s, "edit_runs_after": edit_s}


def _ages(settings: Settings, now: datetime) -> dict[str, datetime]:
    return {"now": now} | {name: now - timedelta(seconds=age_s) for name, age_s in _ages_s(settings).items()}


@cache
def _out() -> sa.CompoundSelect[Any]:
    return _counts(at, at("since"))


@cache
def _look(*, tells_time: bool) -> sa.Select[Any]:
    """The counts, the lane beside them, and the time where the database is to tell it."""
    now: sa.ColumnElement[Any] = sa.func.clock_timestamp() if tells_time else at("now")

    def when(name: str) -> sa.ColumnElement[Any]:
        if not tells_time:
            return at(name)
        return now if name == "now" else now - sa.bindparam(name, type_=sa.Interval)

    ahead = now + sa.bindparam("ahead", type_=sa.Interval) if tells_time else at("ahead")
    # Set back, the clock can tell of no order that it is younger.
    accepted = sa.select(lanes.c.accepted_at).where(IS_LANE, lanes.c.accepted_at <= ahead).scalar_subquery()
    counts = _counts(when, sa.func.coalesce(accepted, at("earliest"))).subquery()
    lane = sa.select(*COLUMNS).where(IS_LANE).subquery()
    told = [sa.type_coerce(sa.func.clock_timestamp(), Instant).label("now")] if tells_time else []
    return sa.select(*counts.c, *lane.c, *told).select_from(counts.outerjoin(lane, sa.true()))


def _counts(when: Callable[[str], sa.ColumnElement[Any]], since: sa.ColumnElement[Any]) -> sa.CompoundSelect[Any]:
    """Counts as of one moment; which row is which, they say themselves: SQL promises no order.

    `since`: the last acceptance. `when`: a time by its name; what began before `…_after` lives, or runs, no more.
    """
    of_key = of(attempts.c.provider, attempts.c.account)
    lost_at, is_accepted = attempts.c.lost_at, attempts.c.accepted_at.is_not(None)
    may_run = sa.case(
        (jobs.c.mode == Mode.EDIT.value, lost_at > when("edit_runs_after")), else_=lost_at > when("runs_after")
    )
    on_way = sa.and_(~is_accepted, lost_at.is_(None), attempts.c.origin == Origin.ORDERED.value)
    # The end of a wait is no knowledge: an order that expired without an answer is as lost as it was before.
    lost = sa.and_(~is_accepted, lost_at.is_not(None), attempts.c.origin == Origin.ORDERED.value)
    # Its POST is under way once more: it was marked as sent, and who did so has its job yet.
    may_live = attempts.c.sending_at > when("lives_after")
    resent = sa.and_(attempts.c.sending_at > lost_at, may_live, jobs.c.leased_until > when("now"))
    unknown = sa.or_(lost_at > since, resent)
    return sa.union_all(
        sa.select(_named("open"), _count(is_accepted), _count(on_way), sa.literal(0).label("none")).where(
            of_key, IS_OPEN
        ),
        sa.select(_named("lost"), _count(may_run), _count(unknown), _count(resent))
        .select_from(attempts.join(jobs))
        .where(of_key, IS_UNCERTAIN, lost),
    )


def _runs_s(mode: Mode, settings: Settings) -> float:
    """How long a task of this mode can run at a healthy gateway, in seconds: a lost order takes room for as long."""
    return RUNS_FOR * settings.expected_s * (2 if mode is Mode.EDIT else 1)


def _named(row: str) -> sa.Label[str]:
    return sa.literal(row).label("row")


def _count(which: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.count().filter(which)
