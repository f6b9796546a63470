"""Reconciling: ask the gateway about a job's attempts, write what it says on their rows, and let the facts decide.

A callback is a hint: it only makes us ask. What moves a job is the answer to our own query, made with our own key.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa
import structlog

from jobs.machine.outcome import Facts, Pause
from jobs.machine.rows import Attempt, AttemptOutcome, Case
from jobs.machine.states import State
from jobs.providers.client import Answered
from jobs.providers.refusals import retry_after_s
from jobs.steps import forgotten_orders, submission
from jobs.steps.answers import Inquiry, Reply, learn, read_reply
from jobs.steps.resources import Parts
from jobs.steps.step import conclude, due_case, holding
from jobs.store import key_pauses, leases
from jobs.store.leases import Held
from jobs.store.tables import inbox
from storage.errors import LinkUnavailable

BUDGET_PAUSE_S = 1
SETTLED = frozenset({AttemptOutcome.DELIVERED, AttemptOutcome.UNDELIVERED})

log = structlog.get_logger()


def reconcile(job_id: str, parts: Parts) -> None:
    """Ask about a due job that is generating or unconfirmed, or that has ended with an attempt still open."""
    case = due_case(job_id, "jobs.reconcile", parts)
    if case is not None:
        ask(case, parts, hold_s=parts.settings.query_hold_s)


def ask(case: Case, parts: Parts, *, hold_s: float, keep_for: State | None = None) -> Held | None:
    """Claim, ask, conclude. With `keep_for` the hold is kept when the job arrives in that state, and returned."""
    known = forgotten_orders.recognise(case, parts)
    if known is None:
        return None
    case = known
    asked = inquiries(case)
    gateways = sorted({i.attempt.provider for i in asked} | {a.provider for a in [case.current] if a})
    urgent = bool(case.unread) or case.job.state is State.UNCONFIRMED
    if wait := _wait(asked[:1], urgent, parts):
        with parts.database.write() as db:
            now = parts.database.clock(db)
            leases.postpone(db, case.job, until=now + timedelta(seconds=wait), now=now)
        return None
    with parts.gates.enter(gateways[0] if gateways else "none", "query") as come_back_in:
        with parts.database.write() as db:
            now = parts.database.clock(db)
            if come_back_in:
                leases.postpone(db, case.job, until=now + timedelta(seconds=come_back_in), now=now)
                return None
            held = leases.claim(db, case, holder=parts.holder(), hold_s=hold_s, now=now)
        if held is None:
            return None
        kept = None
        with holding(held, parts):
            kept = conclude(held, _round(held, urgent, parts), parts, keep_for=keep_for)
        return kept  # noqa: RET504 - holding() may have swallowed what was raised


def _round(held: Held, urgent: bool, parts: Parts) -> Facts:
    """One round of inquiries, as far as the keys' budgets reach, and the re-send that may be due."""
    asked = inquiries(held.case)
    replies = [_inquire(inquiry, parts) for inquiry in asked[:1]]
    others = asked[1:]
    turn = held.job.version % len(others) if others else 0  # so that each gets its turn where not all do at once
    for inquiry in (*others[turn:], *others[:turn]):
        if not _keep_hold(held, parts) or _wait([inquiry], urgent, parts):
            replies.append(Reply(inquiry, None, inquiry.attempt.last_word, {}, final=False, asked=False))
        else:
            replies.append(_inquire(inquiry, parts))
    _judge_signatures(held, parts)
    with parts.database.read() as db:
        now = parts.database.clock(db)
    facts = learn(held.case, replies, parts.providers, now)
    if not submission.resend_due(held.case, now, parts):
        return facts
    sent = submission.resend(held, parts)
    return replace(facts, attempts={**facts.attempts, **sent.attempts}, notes=(*facts.notes, *sent.notes))


def _keep_hold(held: Held, parts: Parts) -> bool:
    """Push our hold before another query, so that several slow ones do not outlive it. False: it is lost."""
    with parts.database.write() as db:
        now = parts.database.clock(db)
        return leases.push_hold(db, held, hold_s=parts.settings.query_hold_s, now=now)


def fresh_link(attempt: Attempt, parts: Parts) -> str:
    """Ask the gateway for the link of a finished task. Raises LinkUnavailable when it gives none."""
    assert attempt.task_id is not None
    reply = _inquire(Inquiry(attempt, attempt.task_id, candidate=False), parts)
    if reply.report is None or reply.report.link is None:
        raise LinkUnavailable(f"{attempt.provider} gave no fresh link ({reply.word})")
    return reply.report.link


def inquiries(case: Case) -> list[Inquiry]:
    """The queries that a case asks for: open attempts, and whatever has unread news; the current attempt first."""
    unread = {letter.attempt for letter in case.unread}
    asked = []
    for attempt in sorted(case.attempts.values(), key=lambda a: a.number != case.job.attempt):
        if attempt.outcome in SETTLED or not (attempt.is_open or attempt.number in unread):
            continue
        if attempt.task_id is not None:
            asked.append(Inquiry(attempt, attempt.task_id, candidate=False))
        else:
            asked += [Inquiry(attempt, task_id, candidate=True) for task_id in case.candidates(attempt.number)]
    return asked


def _wait(asked: list[Inquiry], urgent: bool, parts: Parts) -> float:
    """Seconds until the keys that are to be used may be used; 0: now."""
    wait = 0.0
    for inquiry in asked:
        account = parts.settings.account_of(inquiry.attempt.provider, inquiry.attempt.account)
        if account is None:
            continue
        with parts.database.read() as db:
            pause = key_pauses.resting(db, account, "query", now=parts.database.clock(db))
        wait = max(wait, pause.seconds if pause else 0.0)
        per_s = parts.providers[account.provider].polling.budget_per_s
        if not wait and not parts.pacing.take_query(account, per_s, urgent=urgent):
            wait = parts.jitter(BUDGET_PAUSE_S)
    return wait


def _inquire(inquiry: Inquiry, parts: Parts) -> Reply:
    """Ask one question with the key that the attempt was sent with."""
    attempt = inquiry.attempt
    provider = parts.providers[attempt.provider]
    account = parts.settings.account_of(attempt.provider, attempt.account)
    if account is None:
        detail = {"account": attempt.account, "hint": f"set RUSHES_{attempt.provider.upper()}_API_KEY_PREVIOUS"}
        return Reply(inquiry, None, "key_gone", detail, final=False)
    account = replace(account, base_url=attempt.base_url)
    request = provider.query_request(inquiry.task_id)
    answer = parts.client.ask(provider, account, request, deadline_s=parts.settings.query_deadline_s)
    if isinstance(answer, Answered) and answer.status == 429:
        asked_s = retry_after_s(answer.headers) or parts.settings.retry_first_s
        submission.rest(account, "query", Pause("rate_limited", asked_s), parts)
    return read_reply(inquiry, provider, account, answer)


def _judge_signatures(held: Held, parts: Parts) -> None:
    """Record whether signed callbacks are genuine. The exposed process holds no gateway key; this one does."""
    for attempt in held.case.attempts.values():
        verify = parts.providers[attempt.provider].verify_callback
        account = parts.settings.account_of(attempt.provider, attempt.account)
        if verify is None or account is None:
            continue
        unjudged = sa.and_(
            inbox.c.job_id == attempt.job_id, inbox.c.attempt == attempt.number, inbox.c.signature.is_(None)
        )
        with parts.database.read() as db:
            letters = db.execute(sa.select(inbox.c.id, inbox.c.body, inbox.c.headers).where(unjudged)).all()
        for letter in letters:
            verdict = "good" if verify(account.api_key, letter.body, letter.headers) else "bad"
            with parts.database.write() as db:
                db.execute(sa.update(inbox).where(inbox.c.id == letter.id).values(signature=verdict))
