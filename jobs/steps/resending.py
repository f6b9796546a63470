"""Lost orders that are sent again: the same POST under the same key, at gateways that honour one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from jobs.machine import schedule
from jobs.machine.breaker import LONGEST_REST_S, Kind, Word
from jobs.machine.case import Case
from jobs.machine.outcome import Facts, Note
from jobs.machine.rows import Attempt
from jobs.machine.states import State
from jobs.providers.base import Request
from jobs.providers.client import Account
from jobs.steps import health
from jobs.steps.answers import read_answer
from jobs.steps.health import hear
from jobs.steps.posting import LaneBars, count, journalled, post
from jobs.steps.resources import Resources
from jobs.steps.step import at_work
from jobs.store import attempt_rows, cases, lanes, leases, setting_aside
from jobs.store.leases import Lease

LOST_LOOKED_AT = 50  # lost orders of a key, to find those that are due to be sent again
RESENDS_AT_ONCE = 3  # of these are tried, until one can be sent: others may be at work on them


def resend(lease: Lease, now: datetime, resources: Resources) -> Facts | None:
    """The same POST under the same key, where it is time and the lane of its gateway lets it pass; else None."""
    attempt = lease.case.current
    account = None if attempt is None else resources.settings.account_of(attempt.provider, attempt.account)
    if attempt is None or account is None or not _is_to_be_sent_again(lease.case, now, resources):
        return None
    with resources.bulkheads.enter(attempt.provider, "submit") as come_back_in:
        if come_back_in:
            return None
        try:
            return _resend(lease, attempt, account, resources)
        except LaneBars:
            return None


def _is_to_be_sent_again(case: Case, now: datetime, resources: Resources) -> bool:
    if case.job.state is not State.UNCONFIRMED or case.job.cancel_requested_at:
        return False
    at = schedule.resend_at(case, now, resources.settings, resources.providers)
    return at is not None and at <= now


def _resend(lease: Lease, attempt: Attempt, account: Account, resources: Resources) -> Facts:
    """Only an acceptance decides: a refusal may be about this second try alone. Raises LaneBars."""
    account = replace(account, base_url=attempt.base_url)
    provider = resources.providers[attempt.provider]
    until = schedule.key_end(attempt, resources.settings, resources.providers)
    sent = post(lease, attempt.number, provider, account, _kept_request(attempt), resources, until=until, again=True)
    if sent is None:
        hear(account, "submit", Word(Kind.OURS, lease.job.id, lease.job.updated_at, lease.holder), resources)
        return Facts()
    facts = read_answer(provider, account, attempt, sent.answer)
    if facts.attempts[attempt.number].get("task_id"):
        facts = journalled(facts, attempt, sent, resources)
    count(lease, sent, facts, attempt.number, account, resources, again=True)
    if facts.answer is not None:
        return facts
    return Facts(notes=(Note("resent", attempt.number, {"sends": attempt.sends + 1}),))


def ask_for_free(account: Account, resources: Resources) -> bool:
    """Ask what costs nothing. A lost order that is due to be sent again tells of orders themselves, a question less."""
    is_answered = _send_one_again(account, resources)
    return health.ask_for_free(account, resources) if is_answered is None else is_answered


def goes_first(account: Account, resources: Resources) -> bool:
    """Whether a lost order was sent again before a new one was risked, as after the longest rest one goes unasked."""
    if resources.providers[account.provider].idempotency_header is None:
        return False
    with resources.database.read() as db:
        lane = lanes.read(db, account, "submit")
    is_risk = lane.rest_s >= LONGEST_REST_S and not lane.may_risk
    return is_risk and _send_one_again(account, resources) is not None


def _send_one_again(account: Account, resources: Resources) -> bool | None:
    """At a rest's end, send a lost order of the key again that is due to be: whether it was answered. None: none is."""
    if resources.providers[account.provider].idempotency_header is None:
        return None
    for case in _due_again(account, resources)[:RESENDS_AT_ONCE]:
        with at_work(None, resources) as work:
            holder = resources.new_lease_holder()
            with resources.database.write() as db:
                now = resources.database.clock(db)
                lease_s = resources.settings.submit_lease_s
                work.lease = leases.claim(db, case, holder=holder, lease_s=lease_s, now=now)
            if work.lease is None:
                continue
            work.facts = resend(work.lease, now, resources) or Facts()
        if work.facts.notes or work.facts.attempts:
            with resources.database.read() as db:
                lane = lanes.read(db, account, "submit")
            return lane.is_well or lane.may_risk
    return None


def _due_again(account: Account, resources: Resources) -> list[Case]:
    """The lost orders of a key that are due to be sent again, once its rest is over. News of one comes before that."""
    key_life = schedule.key_life(account.provider, resources.settings, resources.providers)
    with resources.database.read() as db:
        now = resources.database.clock(db)
        if lanes.read(db, account, "submit").rests_s(now):
            return []
        lost = attempt_rows.lost_orders(db, account, since=now - key_life, limit=LOST_LOOKED_AT)
        found = cases.read_cases(db, lost)
    rested = [case for case in found if not case.has_news and setting_aside.aside_until(case.job, now) is None]
    return [case for case in rested if _is_to_be_sent_again(case, now, resources)]


def _kept_request(attempt: Attempt) -> Request:
    return Request(**attempt.request)
