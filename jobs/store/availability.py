"""What stands in the way of an order just now: a key that rests, too much in flight, a day's budget that is spent."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from jobs.machine import breaker
from jobs.machine.breaker import Lane, LaneName
from jobs.machine.error_codes import TAKES_TURNS
from jobs.machine.routing import Obstacle
from jobs.machine.times import iso_s
from jobs.providers.client import Account
from jobs.settings import Settings
from jobs.store import lanes, orders_out, spending
from jobs.store.orders_out import Look, Out

FULL_PAUSE_S = 5  # until a gateway that is full, or takes orders one by one, is looked at again
BUDGET_PAUSE_S = 900  # the next day may be far, but the budget may be raised and orders may be given back
WORDS = {
    "rate_limited": "{} asked for a pause",
    "insufficient_credits": "{} is out of credit",
    "unauthorized": "{} refused the key",
    breaker.NO_ANSWER: "{} does not answer {}s",
    breaker.UNREACHABLE: "{} cannot be reached",
    breaker.NO_NETWORK: "no gateway can be reached from here",
    breaker.UNCONFIRMED: "{} owes answers to orders",
    breaker.BY_HAND: "{} was told to rest",
}


def obstacle(db: Connection, account: Account, usd: float | None, settings: Settings, looked: Look) -> Obstacle | None:
    """Why this key cannot take an order of that price now, as its lane was when looked at; None when it can."""
    name, now = account.provider, looked.now
    if found := lane_obstacle(account, looked.lane, looked.out, settings, now):
        return found
    daily_usd, day = settings.terms[name].daily_usd, spending.day_of(now)
    if daily_usd is not None:
        left = daily_usd - spending.spent_usd(db, name, day)
        if spending.micro(usd) > spending.micro(left):
            return over_budget(name, daily_usd, now, spending.uncertain_usd(db, name, day))
    return None


def admit(db: Connection, account: Account, by: str, settings: Settings, *, now: datetime) -> Obstacle | None:
    """Let a claim pass, in its own transaction: None, and after a rest the claim is the probe. Else what hinders it."""
    lane = lanes.lock(db, account, "submit")
    out = orders_out.out(db, account, lane, settings, now=now)
    if found := lane_obstacle(account, lane, out, settings, now):
        return found
    if out.unanswered >= settings.max_unconfirmed:
        # One order more begins the next rest itself: should its worker die at it, none follows before that is over.
        lane = lane.rest(breaker.UNCONFIRMED, max(lane.rest_s, breaker.FIRST_REST_S), now)
    if not lane.is_well or lane.may_risk:
        probe = lane.probe(by, now, for_s=settings.submit_lease_s)
        lanes.write(db, account, "submit", replace(probe, may_risk=False))
    return None


def admit_resend(db: Connection, account: Account, by: str, settings: Settings, *, now: datetime) -> bool:
    """Let a lost order be sent again, in the transaction that marks it as sent. It is counted already and buys nothing.

    It is a POST all the same: none goes in a rest, one alone after it, and no more at once than may be on their way.
    Where the lane is to be probed, or as many answers are owed as may be, it is the probe.
    """
    lane = lanes.lock(db, account, "submit")
    if lane.rests_s(now) or lane.probed_s(now, longest_s=settings.submit_lease_s):
        return False
    out = orders_out.out(db, account, lane, settings, now=now)
    if out.under_way >= settings.max_unconfirmed:
        return False
    if not lane.is_well or out.unanswered >= settings.max_unconfirmed:
        lanes.write(db, account, "submit", lane.probe(by, now, for_s=settings.submit_lease_s))
    return True


def lane_obstacle(account: Account, lane: Lane, out: Out, settings: Settings, now: datetime) -> Obstacle | None:
    """What a key's lane and the orders that are out hold against one more. Pure."""
    name, said = account.provider, lane_words(account.provider, "submit", lane, settings, now)
    # First, as its answer may end the rest that it has begun.
    if lane.probed_s(now, longest_s=settings.submit_lease_s):
        return Obstacle(lane.reason or breaker.UNCONFIRMED, said, FULL_PAUSE_S, name)
    if rests_s := lane.rests_s(now):
        return Obstacle(lane.reason or "", said, rests_s, name, may_ask=lane.may_ask(now))
    if out.under_way >= settings.max_unconfirmed:
        said = f"{name} has {out.under_way} orders on their way, and more are not risked at once"
        return Obstacle(TAKES_TURNS, said, FULL_PAUSE_S, name)
    may_pass = lane.may_risk or lane.rest_s >= breaker.LONGEST_REST_S
    if out.unanswered >= settings.max_unconfirmed and not may_pass:
        said = f"{name} owes the answers to {out.unanswered} orders; no more are risked until it answers"
        return Obstacle(breaker.UNCONFIRMED, said, FULL_PAUSE_S, name, may_ask=not out.under_way)
    if out.in_flight >= settings.max_in_flight:
        return full(name, settings)
    return None


def lane_words(provider: str, name: LaneName, lane: Lane, settings: Settings, now: datetime) -> str:
    """What a lane that is not well suffers from, and how far its rest has come, as every face tells it. Pure."""
    what, lease_s = ("order", settings.submit_lease_s) if name == "submit" else ("question", settings.query_lease_s)
    why = WORDS.get(lane.reason or "", "{}").format(provider, what)
    if lane.probed_s(now, longest_s=lease_s):
        return f"{why}; one {what} tries it now"
    if not (rests_s := lane.rests_s(now)):
        return f"{why}; its rest is over, and the next {what} tries it"
    since = f" since {iso_s(lane.since)}" if lane.since else ""
    return f"{why}; {what}s rest{since} until {iso_s(now + timedelta(seconds=rests_s))}"


def full(name: str, settings: Settings) -> Obstacle:
    return Obstacle("full", f"{name} has {settings.max_in_flight} in flight", FULL_PAUSE_S, name)


def over_budget(name: str, daily_usd: float, now: datetime, uncertain_usd: float) -> Obstacle:
    """The day's budget is spent. `uncertain_usd`: what of it may never have been charged."""
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
    wait_s = min((midnight - now).total_seconds(), BUDGET_PAUSE_S)
    said = f"{name} would pass its ${daily_usd:.2f} of the day (UTC)"
    if uncertain_usd:
        said += f"; whether ${uncertain_usd:.2f} of what is spent was charged, nobody knows"
    return Obstacle("over_budget", said, wait_s, name)
