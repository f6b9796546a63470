"""Submitting: all waiting comes before the claim, and after it there is one POST whose outcome is never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from jobs import callback_urls, schedule, steps, store
from jobs.database import DatabaseUnavailable
from jobs.decisions import decide
from jobs.errors import BadReport
from jobs.generation import Generation, load_request
from jobs.models import attempts
from jobs.parts import Parts
from jobs.providers.base import Failure, Provider, Request
from jobs.providers.client import Account, Answered, Lost, NotSent, answer_for_history, json_body
from jobs.records import Attempt, AttemptOutcome, Case, Facts, Move, Note, Outcome, Standing
from jobs.states import Event, State
from jobs.store import Held

SEND_WITHIN_S = 5  # after the last commit; a process that slept longer has no say any more
RESOLVE_WITHIN_S = 5
FULL_PAUSE_S = 5  # until a gateway that is full is looked at again
GATE_PAUSE_S = 1

log = structlog.get_logger()


@dataclass(frozen=True)
class _Plan:
    """One POST that is ready to go: to whom, as which attempt."""

    case: Case
    number: int
    provider: Provider
    account: Account
    request: Request
    generation: Generation
    with_callback: bool


@dataclass(frozen=True)
class _Wait:
    """Why nothing can go now, and for how long."""

    seconds: float
    reason: str
    flagged: str | None = None


def submit(job_id: str, parts: Parts) -> None:
    """Take a due queued job to a gateway."""
    case = steps.due_case(job_id, "jobs.submit", parts)
    if case is None:
        return None
    with parts.database.read() as db:
        now = parts.database.clock(db)
    if decide(case, Facts(), now=now, rules=parts.rules).moves:  # too late to start, or made already
        return steps.move_unheld(case, Facts(), parts)
    if {letter.attempt for letter in case.letters} - set(case.attempts):
        # Only we mint tokens, so a callback for an attempt that this database does not know proves that a backup was
        # put back: the job may have been bought since. A person decides.
        return _postpone(
            case, _Wait(parts.settings.overdue_poll_s, "it was submitted before", "unknown_attempt"), parts
        )
    plan = _plan(case, parts)
    if isinstance(plan, _Wait):
        return _postpone(case, plan, parts)
    with parts.gates.enter(plan.provider.name, "submit") as admitted:
        if not admitted:
            return _postpone(case, _Wait(parts.jitter(GATE_PAUSE_S), "its gateway takes its time"), parts)
        held = _claim(plan, parts)
        if held is not None:
            with steps.holding(held, parts):
                steps.conclude(held, _send(held, plan, parts), parts)
    return None


def lose(job_id: str, parts: Parts) -> None:
    """A job that is due while submitting has lost its worker: unconfirmed, unless provably nothing was sent."""
    case = steps.due_case(job_id, "jobs.lose", parts)
    if case is not None:
        steps.move_unheld(case, Facts(), parts)


def resend_due(case: Case, now: datetime, parts: Parts) -> bool:
    """Whether the current attempt's POST may go out once more, under its idempotency key."""
    attempt = case.current
    if case.job.state is not State.UNCONFIRMED or case.job.cancel_requested_at or attempt is None:
        return False
    at = schedule.resend_at(attempt, now, parts.settings, parts.providers)
    return at is not None and at <= now and parts.settings.account_of(attempt.provider, attempt.account) is not None


def resend(held: Held, parts: Parts) -> Facts:
    """The same POST under the same key. Only an acceptance decides: a refusal may be about this second try alone."""
    attempt = held.case.current
    assert attempt is not None
    account = parts.settings.account_of(attempt.provider, attempt.account)
    assert account is not None
    provider = parts.providers[attempt.provider]
    answer = _post(held, attempt.number, provider, account, _kept_request(attempt), parts)
    if answer is None:
        return Facts()
    facts = read_answer(provider, account, attempt, answer)
    if facts.attempts[attempt.number].get("task_id"):
        return facts
    return Facts(notes=(Note("resent", attempt.number, {"sends": attempt.sends + 1}),))


def read_answer(provider: Provider, account: Account, attempt: Attempt, answer: Answered | NotSent | Lost) -> Facts:
    """What a submit's answer says. Anything that is neither acceptance nor a documented refusal is lost."""
    number = attempt.number
    if isinstance(answer, NotSent):
        unsent = {"outcome": AttemptOutcome.NOT_SENT, "standing": Standing.NONE, "sending_at": None}
        return Facts({number: {**unsent, "error_message": answer.reason}}, trouble=True)
    if isinstance(answer, Lost):
        return _lost(number, {"reason": answer.reason})
    try:
        body = json_body(answer.body)
        acceptance = provider.read_acceptance(answer.status, body)
    except BadReport:
        body = _json_or_none(answer)
    else:
        return Facts({number: {"task_id": acceptance.task_id}})
    said = {"status": answer.status, "body": answer_for_history(answer, account=account)}
    refusal = provider.read_refusal(answer.status, answer.headers, body)
    if refusal is None:
        return _lost(number, {"reason": "neither an acceptance nor a documented refusal", **said})
    refused = {"outcome": AttemptOutcome.REFUSED, "standing": Standing.NONE, **error_columns(refusal.failure)}
    return Facts({number: refused}, notes=(Note("refused", number, said),), pause_s=refusal.pause_s)


def error_columns(failure: Failure) -> dict[str, Any]:
    return {
        "error_code": failure.code,
        "error_message": failure.message,
        "error_retryable": failure.retryable,
    }


def _lost(number: int, detail: Mapping[str, Any]) -> Facts:
    return Facts({number: {"standing": Standing.UNCERTAIN}}, notes=(Note("answer_lost", number, detail),))


def _json_or_none(answer: Answered) -> Any:
    try:
        return json_body(answer.body)
    except BadReport:
        return None


def _plan(case: Case, parts: Parts) -> _Plan | _Wait:
    """Route, pauses, room and name look-up: everything that may take time comes before the claim."""
    request = load_request(case.job.request)
    waits = []
    for name in parts.remaining(case):
        account = parts.settings.accounts[name]
        provider = parts.providers[name]
        if paused := parts.pacing.paused_s(account, "submit"):
            waits.append(_Wait(paused, f"{name} asked for a pause"))
            continue
        with parts.database.read() as db:
            full = _in_flight(db, account) >= parts.settings.max_in_flight
        if full:
            waits.append(_Wait(parts.jitter(FULL_PAUSE_S), f"{name} has {parts.settings.max_in_flight} in flight"))
            continue
        if reason := parts.client.resolve(account, timeout_s=RESOLVE_WITHIN_S):
            waits.append(_Wait(parts.jitter(parts.settings.retry_first_s), f"{name}: {reason}"))
            continue
        number = _next_number(case)
        url = _callback_url(provider, case.job.id, number, parts)
        sent = provider.submit_request(request.generation, url)
        return _Plan(case, number, provider, account, sent, request.generation, url is not None)
    if not waits:
        return _Wait(parts.settings.overdue_poll_s, "no gateway of its route is configured", "no_gateway")
    return min(waits, key=lambda w: w.seconds)


def _postpone(case: Case, wait: _Wait, parts: Parts) -> None:
    log.info("submit_postponed", job=case.job.id, reason=wait.reason, seconds=round(wait.seconds, 1))
    with parts.database.write() as db:
        now = parts.database.clock(db)
        until = now + timedelta(seconds=wait.seconds)
        store.postpone(db, case.job, until=until, now=now, flagged=wait.flagged)


def _in_flight(db: Connection, account: Account) -> int:
    """How many tasks the key has at the gateway: accepted, or perhaps accepted, without a last word."""
    statement = sa.select(sa.func.count()).where(
        attempts.c.provider == account.provider,
        attempts.c.account == account.fingerprint,
        attempts.c.outcome == AttemptOutcome.OPEN,
        attempts.c.accepted_at.is_not(None),
    )
    return int(db.execute(statement).scalar_one())


def _next_number(case: Case) -> int:
    """An attempt is at most one POST; one that was provably not sent is used again."""
    current = case.current
    if current is not None and current.outcome is AttemptOutcome.NOT_SENT:
        return current.number
    return max(case.attempts, default=0) + 1


def _callback_url(provider: Provider, job_id: str, number: int, parts: Parts) -> str | None:
    settings = parts.settings
    if provider.callbacks is None or settings.public_url is None:
        return None
    url = callback_urls.mint(settings.public_url, settings.callback_keys, provider.name, job_id, number)
    return url if len(url) <= provider.callbacks.longest_url else None


def _claim(plan: _Plan, parts: Parts) -> Held | None:
    """Write the attempt, in `submitting`. None: somebody was faster, or it is not known that we have it."""
    job, holder = plan.case.job, parts.holder()
    move = Move(Event.CLAIM, plan.number, {"provider": plan.provider.name})
    try:
        with parts.database.write() as db:
            now = parts.database.clock(db)
            if not store.is_due(job, now=now):
                return None
            outcome = Outcome(
                alarm_at=job.alarm_at,
                moves=(move,),
                job={"attempt": plan.number, "provider": plan.provider.name, "flagged": None},
            )
            hold_s = parts.settings.submit_hold_s
            if store.claim(db, plan.case, holder=holder, hold_s=hold_s, now=now, outcome=outcome) is None:
                return None
            store.add_attempt(db, _attempt_row(plan, now))
            return Held(store.read_case(db, job.id), holder)
    except DatabaseUnavailable:
        # The commit may have happened or not. Only a row that names us lets us go on.
        with parts.database.read() as db:
            case = store.read_case(db, job.id)
        return Held(case, holder) if case.job.holder == holder else None


def _attempt_row(plan: _Plan, now: datetime) -> dict[str, Any]:
    credits, usd = plan.provider.price_credits(plan.generation), plan.provider.price_usd(plan.generation)
    fresh = {column.name: None for column in attempts.columns if column.nullable}
    return fresh | {
        "job_id": plan.case.job.id,
        "number": plan.number,
        "provider": plan.provider.name,
        "base_url": plan.account.base_url,
        "account": plan.account.fingerprint,
        "with_callback": plan.with_callback,
        "request": {
            "method": plan.request.method,
            "path": plan.request.path,
            "body": plan.request.body,
            "headers": dict(plan.request.headers),
        },
        "outcome": AttemptOutcome.OPEN,
        "standing": Standing.NONE,
        "adopted": False,
        "rejected_task_ids": [],
        "sends": 0,
        "estimated_credits": credits,
        "estimated_usd": usd,
        "created_at": now,
    }


def _kept_request(attempt: Attempt) -> Request:
    return Request(**attempt.request)


def _send(held: Held, plan: _Plan, parts: Parts) -> Facts:
    attempt = held.case.attempts[plan.number]
    answer = _post(held, plan.number, plan.provider, plan.account, plan.request, parts)
    if answer is None:
        return Facts(trouble=True)
    facts = read_answer(plan.provider, plan.account, attempt, answer)
    if facts.pause_s:
        parts.pacing.pause(plan.account, "submit", facts.pause_s)
    return facts


def _post(
    held: Held, number: int, provider: Provider, account: Account, request: Request, parts: Parts
) -> Answered | NotSent | Lost | None:
    """Say that a byte may leave, and send within seconds of having said so.

    None: that could not be said. Then the row itself shows whether anything was sent; a word of ours might hit another
    worker's POST, which bears the same number once we are taken for dead.
    """
    begun = parts.monotonic()
    try:
        with parts.database.write() as db:
            now = parts.database.clock(db)
            if not store.mark_sending(db, held, number, hold_s=parts.settings.submit_hold_s, now=now):
                return None
    except DatabaseUnavailable:
        return None
    if parts.monotonic() - begun > SEND_WITHIN_S:
        return NotSent("the process slept before anything was sent")
    headers = {}
    if provider.idempotency_header:
        headers[provider.idempotency_header] = f"{held.job.id}-{number}"
    return parts.client.send(
        provider, account, request, deadline_s=parts.settings.submit_deadline_s, extra_headers=headers
    )
