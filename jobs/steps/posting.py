"""One POST of an order: the mark before it, and what its answer is written down as before anything else."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

import structlog
from sqlalchemy.engine import Connection

from jobs.machine.breaker import Kind
from jobs.machine.outcome import ANSWERED, Facts, PostAnswer
from jobs.machine.rows import Attempt
from jobs.providers.base import Provider, Request
from jobs.providers.client import Account, Answered, Lost, NotSent
from jobs.steps.health import Exchange, hear, word_of_order
from jobs.steps.resources import Resources
from jobs.store import availability, leases
from jobs.store.database import DatabaseUnavailable
from jobs.store.leases import Lease

SEND_WITHIN_S = 5  # after the last commit; a process that slept longer has no say any more

log = structlog.get_logger()


class LaneBars(Exception):
    """Seen only in the transaction that marks a lost order as sent again: its lane does not let it pass."""


class Sent(NamedTuple):
    """What a POST came to, and when its first byte may have left."""

    answer: Answered | NotSent | Lost
    left_at: datetime


def post(
    lease: Lease,
    number: int,
    provider: Provider,
    account: Account,
    request: Request,
    resources: Resources,
    *,
    until: datetime | None = None,
    again: bool = False,
) -> Sent | None:
    """Say that a byte may leave, and send within seconds of having said so; `until`: not later than that.

    `again`: a lost order, which has not passed its lane by a claim of its own. Raises LaneBars.

    None: that could not be said. Then the row itself shows whether anything was sent; a word of ours might hit another
    worker's POST, which bears the same number once we are taken for dead.
    """
    begun = resources.monotonic()
    try:
        with resources.database.write() as db:
            now = resources.database.clock(db)
            if until is not None and now >= until:
                return None
            if again:
                _pass_lane(db, lease, account, resources, now)
            if not leases.mark_sending(db, lease, number, lease_s=resources.settings.submit_lease_s, now=now):
                return None
    except DatabaseUnavailable:
        return None
    if resources.monotonic() - begun > SEND_WITHIN_S:
        return Sent(NotSent("the process slept before anything was sent", ours=True), now)
    headers = {}
    if provider.idempotency_header:
        headers[provider.idempotency_header] = lease.case.attempts[number].idempotency_key
    deadline_s = resources.settings.submit_deadline_s
    return Sent(resources.client.send(provider, account, request, deadline_s=deadline_s, extra_headers=headers), now)


def journalled(facts: Facts, attempt: Attempt, sent: Sent, resources: Resources) -> Facts:
    """What an answer said, in the journal before anything else: the database may be away by now."""
    said = facts.attempts.get(attempt.number)
    if not said:
        return facts
    of = (attempt.job_id, attempt.number, attempt.provider, attempt.account, attempt.sends + 1, sent.left_at)
    told = next((dict(note.detail) for note in facts.notes if note.event == ANSWERED), None)
    answer = PostAnswer(*of, said, attempt.base_url, told)
    resources.journal.keep(answer)
    return replace(facts, answer=answer)


def count(
    lease: Lease, sent: Sent, facts: Facts, number: int, account: Account, resources: Resources, *, again: bool = False
) -> None:
    """Let the answer to a POST count for the lane of its key, and log the ones that were lost."""
    exchange = Exchange(lease.job.id, sent.left_at, lease.holder)
    word = replace(word_of_order(exchange, sent.answer, facts, number), is_free=again)
    if word.kind is Kind.LOST:
        reason = f"HTTP {sent.answer.status}" if isinstance(sent.answer, Answered) else sent.answer.reason
        log.warning("answer_lost", job=lease.job.id, attempt=number, provider=account.provider, reason=reason)
    hear(account, "submit", word, resources)


def _pass_lane(db: Connection, lease: Lease, account: Account, resources: Resources, now: datetime) -> None:
    """In the order of locks that all keep: job, lane. Raises LaneBars."""
    leases.lock_row(db, lease.job.id)
    if not availability.admit_resend(db, account, lease.holder, resources.settings, now=now):
        raise LaneBars
