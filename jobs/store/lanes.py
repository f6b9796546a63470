"""The lanes' rows: which rest, who probes, how many orders are out without an answer. The rules are `machine/breaker`.

In the database, so that all processes share them, a flushed broker forgets none, and whoever claims an order sees
them in the claim's own transaction, under a lock on the lane's row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection, Row

from jobs.machine import breaker
from jobs.machine.breaker import Kind, Lane, LaneName, Word
from jobs.machine.held_jobs import ASKS
from jobs.machine.rows import AttemptOutcome, Origin
from jobs.machine.states import State
from jobs.machine.times import CLOCK_SET_BACK, iso_s
from jobs.providers.client import Account
from jobs.request.generation import Mode
from jobs.settings import Settings
from jobs.store.column_types import Instant
from jobs.store.database import Database, upsert
from jobs.store.prepared import at, of
from jobs.store.spending import day_of
from jobs.store.tables import attempts, jobs, lanes

LANES: tuple[LaneName, ...] = ("submit", "query")
PROBED_PAUSE_S = 5.0  # until somebody whom a probe keeps waiting looks again
RUNS_FOR = 12  # times the expected time: an hour
# As the indexes have them: SQLite takes a partial index for a condition that it knows word for word.
IS_OPEN, IS_UNCERTAIN = sa.text("attempts.outcome = 'open'"), sa.text("attempts.standing = 'uncertain'")
EARLIEST = datetime.min.replace(tzinfo=UTC)
COLUMNS = [lanes.c[name] for name in Lane.__dataclass_fields__]
_LOSSES = COLUMNS.index(lanes.c.losses)  # which is NULL where there is no row
_IS = of(lanes.c.provider, lanes.c.account, lanes.c.lane)
_READ, _CHANGE = sa.select(*COLUMNS).where(_IS), sa.update(lanes).where(_IS)
_LOCK = _READ.with_for_update()
_EVERY = sa.select(lanes.c.provider, lanes.c.account, lanes.c.lane, *COLUMNS)

log = structlog.get_logger()


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


def read(db: Connection, account: Account, name: LaneName) -> Lane:
    """The lane as it stands; one without a row is well."""
    row = db.execute(_READ, _of(account, name)).one_or_none()
    return Lane() if row is None else Lane(*row)


def every(db: Connection) -> Callable[[Account, LaneName], Lane]:
    """All lanes as they stand, read at once: who looks at many asks this for each."""
    found = {tuple(row[:3]): Lane(*row[3:]) for row in db.execute(_EVERY)}
    return lambda account, name: found.get((account.provider, account.fingerprint, name), Lane())


def lock(db: Connection, account: Account, name: LaneName) -> Lane:
    """The lane, and nobody else may change it until the transaction ends."""
    row = db.execute(_LOCK, _of(account, name)).one_or_none()
    if row is None:
        key = {"provider": account.provider, "account": account.fingerprint, "lane": name}
        db.execute(_new(db.dialect.name), key)
        row = db.execute(_LOCK, _of(account, name)).one()
    return Lane(*row)


def write(db: Connection, account: Account, name: LaneName, lane: Lane) -> None:
    """Write a lane that was locked. The log hears of every rest that begins or ends, whoever is the cause."""
    before = read(db, account, name)
    db.execute(_CHANGE, _of(account, name) | asdict(lane))
    _tell(account, name, before, lane)


def unwell(db: Connection, settings: Settings) -> list[tuple[Account, LaneName, Lane]]:
    """The lanes that rest, or that nobody has tried since: each key's in use, by gateway, the present key's first.

    A previous key orders nothing: its questions alone are of interest.
    """
    by_key = [(account, LANES) for account in settings.accounts.values()]
    by_key += [(account, LANES[1:]) for account in settings.previous_accounts.values()]
    lane = every(db)
    found = [(account, name, lane(account, name)) for account, names in by_key for name in names]
    return sorted((each for each in found if not each[2].is_well), key=lambda each: each[0].provider)


def hear(db: Connection, account: Account, name: LaneName, word: Word, settings: Settings, *, now: datetime) -> bool:
    """Let an exchange count for its lane. Where it is the network that fails, no gateway is to blame.

    True: it makes the lane well again, or lets one order go; those who wait for that may look (`wake_waiting`).
    """
    if word.kind is Kind.UNREACHED:
        _lock_all(db, settings.accounts, name)
    before = lock(db, account, name)
    is_full = name == "submit" and _owes(db, account, before, word, settings, now) >= settings.max_unconfirmed
    after = breaker.hear(before, word, is_full=is_full, now=now)
    if after == before:
        return False
    is_blamed = word.kind is Kind.UNREACHED and after.reason == breaker.UNREACHABLE
    if not (is_blamed and _excuse_all(db, account, name, after, settings, now)):
        write(db, account, name, after)
    return (after.is_well and not before.is_well) or (after.may_risk and not before.may_risk)


def hear_unreached(db: Connection, account: Account, word: Word, settings: Settings, *, now: datetime) -> None:
    """Before anything was claimed it shows that no connection can be made. Where it was time to probe, that was it."""
    _lock_all(db, settings.accounts, "submit")  # as `hear` does: one lock before these might wait for it the other way
    lane = lock(db, account, "submit")
    if not lane.is_well and not lane.rests_s(now) and not lane.probed_s(now, longest_s=settings.submit_lease_s):
        write(db, account, "submit", lane.probe(word.by, now, for_s=0))
    hear(db, account, "submit", word, settings, now=now)


def _owes(db: Connection, account: Account, lane: Lane, word: Word, settings: Settings, now: datetime) -> int:
    """How many orders the key's gateway owes answers to; the one that it has just refused is none of them any more.

    One that was sent again is: what is refused may be the second try alone.
    """
    owed = out(db, account, lane, settings, now=now).unanswered
    is_refusal = word.kind is Kind.ALIVE and not word.is_question and not word.is_free
    return owed - 1 if is_refusal else owed


def out(db: Connection, account: Account, lane: Lane, settings: Settings, *, now: datetime) -> Out:
    """How many orders of the key are out."""
    since = lane.accepted_at or EARLIEST
    if since > now + CLOCK_SET_BACK:
        since = EARLIEST  # the clock was set back since: no order could be told to be younger
    key = {"of_provider": account.provider, "of_account": account.fingerprint, "since": since}
    return _out_of(db.execute(_out(), {**key, **_ages(settings, now)}).all())


def look(db: Connection, account: Account, settings: Settings, database: Database) -> Look:
    """All that an order's way depends on, in one statement."""
    key = {**_of(account, "submit"), "earliest": EARLIEST}
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
    accepted = sa.select(lanes.c.accepted_at).where(_IS, lanes.c.accepted_at <= ahead).scalar_subquery()
    counts = _counts(when, sa.func.coalesce(accepted, at("earliest"))).subquery()
    lane = sa.select(*COLUMNS).where(_IS).subquery()
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


def admit_query(
    db: Connection, account: Account, by: str, settings: Settings, *, has_news: bool, now: datetime
) -> float:
    """Let a claim's first question pass, in the claim's own transaction: 0, and after a rest it is the probe.

    Else in how many seconds to come back. While the lane rests, news is asked about one at a time.
    """
    if read(db, account, "query").is_well:
        return 0.0
    lane = lock(db, account, "query")
    if lane.is_well:
        return 0.0
    if not has_news and (wait_s := lane.wait_s(now)):
        return wait_s
    if probed_s := lane.probed_s(now, longest_s=settings.query_lease_s):
        return min(probed_s, PROBED_PAUSE_S)
    asking = lane.silent(now) if lane.may_ask(now) else lane
    write(db, account, "query", asking.probe(by, now, for_s=settings.query_lease_s))
    return 0.0


def held_up(db: Connection) -> dict[str, int]:
    """By gateway: how many queued jobs wait for it."""
    gateway = jobs.c.waiting["provider"].as_string()
    is_live = jobs.c.alarm_at.is_not(None)  # all that are queued are; by it SQLite leaves ended jobs alone
    waits = sa.and_(jobs.c.state == State.QUEUED.value, is_live, jobs.c.waiting.is_not(None))
    found = sa.select(gateway, sa.func.count()).where(waits).group_by(gateway)
    return {name: count for name, count in db.execute(found) if name}


def rest(db: Connection, account: Account, name: LaneName, reason: str, seconds: float, *, now: datetime) -> None:
    """Let a lane rest on somebody's word."""
    write(db, account, name, lock(db, account, name).rest(reason, seconds, now))


def resume(db: Connection, account: Account) -> None:
    """End the rests of a key's lanes, as a person has mended what was wrong. One order may go, whatever is out."""
    for name in LANES:
        write(db, account, name, replace(lock(db, account, name).well(), may_risk=name == "submit"))


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


def _lock_all(db: Connection, accounts: Mapping[str, Account], name: LaneName) -> None:
    """Every gateway's lane, always in the same order: two who do so do not lock each other out."""
    for _, account in sorted(accounts.items()):
        lock(db, account, name)


def _excuse_all(
    db: Connection, account: Account, name: LaneName, blamed: Lane, settings: Settings, now: datetime
) -> bool:
    """Where several gateways cannot be reached, and none answers, it is the network: none of them rests for long.

    `blamed`: what the lane of `account` would be. The others may be well and unused, or rest for reasons of their own,
    which stay as they are. False: it is not the network, as far as can be told, and nothing is written.
    """
    others = [other for other in settings.accounts.values() if other != account]
    found = [(other, lane) for other in others if _is_out_of_reach(lane := read(db, other, name), now)]
    if not found:
        return False
    found.append((account, blamed))
    # Since two of them are: one may have been ill for long before the network went.
    since = sorted(lane.since or now for _, lane in found)[-2]
    if len(found) <= len(others) and _has_any_answered(db, since, now):
        return False
    for each, lane in found:
        write(db, each, name, replace(lane.rest(breaker.NO_NETWORK, breaker.FIRST_REST_S, now), rest_s=0.0))
    return True


def _has_any_answered(db: Connection, since: datetime, now: datetime) -> bool:
    """Whether any gateway has answered what left after `since`, an order or a question: then there is a network."""
    is_heard = sa.or_(attempts.c.accepted_at.is_not(None), attempts.c.outcome == AttemptOutcome.REFUSED.value)
    answered = sa.or_(sa.and_(attempts.c.sending_at > since, is_heard), attempts.c.answered_at > since)
    of_late = attempts.c.day >= day_of(now - timedelta(days=1))  # there is an index of days
    return db.execute(sa.select(attempts.c.number).where(of_late, answered).limit(1)).first() is not None


def _is_out_of_reach(lane: Lane, now: datetime) -> bool:
    """Whether no connection could be made just now; a rest that was over long ago says nothing of today."""
    is_over_s = 0.0 if lane.until is None else (now - lane.until).total_seconds()
    return lane.reason in breaker.OUT_OF_REACH and is_over_s <= breaker.LONGEST_REST_S


def _tell(account: Account, name: LaneName, before: Lane, after: Lane) -> None:
    said = {"provider": account.provider, "account": account.fingerprint, "lane": name}
    since = after.since and iso_s(after.since)
    if after.is_well and not before.is_well:
        log.info("lane_well", **said, after=before.reason)
    elif not after.is_well and after.began_at != before.began_at:
        seconds = round(((after.until or after.began_at) - after.began_at).total_seconds()) if after.began_at else 0
        log.warning("lane_rests", **said, reason=after.reason, since=since, seconds=seconds)
    elif after.may_risk and not before.may_risk:
        log.info("lane_answers", **said, after=before.reason)


def _runs_s(mode: Mode, settings: Settings) -> float:
    """How long a task of this mode can run at a healthy gateway, in seconds: a lost order takes room for as long."""
    return RUNS_FOR * settings.expected_s * (2 if mode is Mode.EDIT else 1)


def _named(row: str) -> sa.Label[str]:
    return sa.literal(row).label("row")


def _count(which: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.count().filter(which)


@cache
def _new(dialect: str) -> sa.Insert:
    return upsert(dialect, lanes).on_conflict_do_nothing()


def _of(account: Account, name: LaneName) -> dict[str, Any]:
    return {"of_provider": account.provider, "of_account": account.fingerprint, "of_lane": name}
