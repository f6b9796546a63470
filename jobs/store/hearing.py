"""What exchanges with gateways say of their lanes. Where it is the network that fails, no gateway is to blame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine import breaker
from jobs.machine.breaker import Kind, Lane, LaneName, Word
from jobs.machine.rows import AttemptOutcome
from jobs.providers.client import Account
from jobs.settings import Settings
from jobs.store import lanes, orders_out
from jobs.store.spending import day_of
from jobs.store.tables import attempts


def hear(db: Connection, account: Account, name: LaneName, word: Word, settings: Settings, *, now: datetime) -> bool:
    """Let an exchange count for its lane. Where it is the network that fails, no gateway is to blame.

    True: it makes the lane well again, or lets one order go; those who wait for that may look (`wake_waiting`).
    """
    if word.kind is Kind.UNREACHED:
        _lock_all(db, settings.accounts, name)
    before = lanes.lock(db, account, name)
    is_full = name == "submit" and _owes(db, account, before, word, settings, now) >= settings.max_unconfirmed
    after = breaker.hear(before, word, is_full=is_full, now=now)
    if after == before:
        return False
    is_blamed = word.kind is Kind.UNREACHED and after.reason == breaker.UNREACHABLE
    if not (is_blamed and _excuse_all(db, account, name, after, settings, now)):
        lanes.write(db, account, name, after)
    return (after.is_well and not before.is_well) or (after.may_risk and not before.may_risk)


def hear_unreached(db: Connection, account: Account, word: Word, settings: Settings, *, now: datetime) -> None:
    """Before anything was claimed it shows that no connection can be made. Where it was time to probe, that was it."""
    _lock_all(db, settings.accounts, "submit")  # as `hear` does: one lock before these might wait for it the other way
    lane = lanes.lock(db, account, "submit")
    if not lane.is_well and not lane.rests_s(now) and not lane.probed_s(now, longest_s=settings.submit_lease_s):
        lanes.write(db, account, "submit", lane.probe(word.by, now, for_s=0))
    hear(db, account, "submit", word, settings, now=now)


def _owes(db: Connection, account: Account, lane: Lane, word: Word, settings: Settings, now: datetime) -> int:
    """How many orders the key's gateway owes answers to; the one that it has just refused is none of them any more.

    One that was sent again is: what is refused may be the second try alone.
    """
    owed = orders_out.out(db, account, lane, settings, now=now).unanswered
    is_refusal = word.kind is Kind.ALIVE and not word.is_question and not word.is_free
    return owed - 1 if is_refusal else owed


def _lock_all(db: Connection, accounts: Mapping[str, Account], name: LaneName) -> None:
    """Every gateway's lane, always in the same order: two who do so do not lock each other out."""
    for _, account in sorted(accounts.items()):
        lanes.lock(db, account, name)


def _excuse_all(
    db: Connection, account: Account, name: LaneName, blamed: Lane, settings: Settings, now: datetime
) -> bool:
    """Where several gateways cannot be reached, and none answers, it is the network: none of them rests for long.

    `blamed`: what the lane of `account` would be. The others may be well and unused, or rest for reasons of their own,
    which stay as they are. False: it is not the network, as far as can be told, and nothing is written.
    """
    others = [other for other in settings.accounts.values() if other != account]
    found = [(other, lane) for other in others if _is_out_of_reach(lane := lanes.read(db, other, name), now)]
    if not found:
        return False
    found.append((account, blamed))
    # Since two of them are: one may have been ill for long before the network went.
    since = sorted(lane.since or now for _, lane in found)[-2]
    if len(found) <= len(others) and _has_any_answered(db, since, now):
        return False
    for each, lane in found:
        lanes.write(db, each, name, replace(lane.rest(breaker.NO_NETWORK, breaker.FIRST_REST_S, now), rest_s=0.0))
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
