"""What stands in the way of an order just now: a key that rests, too much in flight, a day's budget that is spent."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.routing import Obstacle
from jobs.machine.rows import AttemptOutcome
from jobs.providers.client import Account
from jobs.settings import Settings
from jobs.store import lanes, spending
from jobs.store.tables import attempts

FULL_PAUSE_S = 5  # until a gateway that is full is looked at again
BUDGET_PAUSE_S = 900  # the next day may be far, but the budget may be raised and orders may be given back
WORDS = {
    "rate_limited": "asked for a pause",
    "insufficient_credits": "is out of credit",
    "unauthorized": "refused the key",
}


def obstacle(
    db: Connection, account: Account, usd: float | None, settings: Settings, *, now: datetime
) -> Obstacle | None:
    """Why this key cannot take an order of that price now; None when it can."""
    name = account.provider
    if cooldown := lanes.left(db, account, "submit", now=now):
        words = WORDS.get(cooldown.reason, cooldown.reason)
        return Obstacle(cooldown.reason, f"{name} {words}; its key rests", cooldown.seconds, name)
    if in_flight(db, account) >= settings.max_in_flight:
        return full(name, settings)
    daily_usd = settings.terms[name].daily_usd
    if daily_usd is not None:
        left = daily_usd - spending.spent_usd(db, name, spending.day_of(now))
        if spending.micro(usd) > spending.micro(left):
            return over_budget(name, daily_usd, now)
    return None


def full(name: str, settings: Settings) -> Obstacle:
    return Obstacle("full", f"{name} has {settings.max_in_flight} in flight", FULL_PAUSE_S, name)


def over_budget(name: str, daily_usd: float, now: datetime) -> Obstacle:
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
    wait_s = min((midnight - now).total_seconds(), BUDGET_PAUSE_S)
    return Obstacle("over_budget", f"{name} would pass its ${daily_usd:.2f} of the day (UTC)", wait_s, name)


def in_flight(db: Connection, account: Account) -> int:
    """How many tasks the key has at the gateway: accepted, or being submitted, without a last word."""
    statement = sa.select(sa.func.count()).where(
        attempts.c.provider == account.provider,
        attempts.c.account == account.fingerprint,
        attempts.c.outcome == AttemptOutcome.OPEN.value,
        sa.or_(attempts.c.accepted_at.is_not(None), attempts.c.lost_at.is_(None)),
    )
    return int(db.execute(statement).scalar_one())
