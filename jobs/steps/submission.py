"""Submitting: all waiting comes before the claim, and after it there is one POST whose outcome is never guessed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.engine import Connection

from jobs.machine import schedule
from jobs.machine.decisions import decide
from jobs.machine.outcome import Facts, Move, Note, Outcome, Pause
from jobs.machine.routing import Obstacle
from jobs.machine.rows import Attempt, Case
from jobs.machine.states import Event, State
from jobs.providers.base import Provider, Request
from jobs.providers.client import Account, Answered, Lost, NotSent
from jobs.steps.answers import read_answer
from jobs.steps.planning import Plan, Wait, attempt_row, plan
from jobs.steps.resources import Parts
from jobs.steps.step import conclude, due_case, holding, move_unheld
from jobs.store import attempt_rows, availability, cases, due, key_pauses, leases, spending
from jobs.store.database import DatabaseUnavailable
from jobs.store.key_pauses import Lane
from jobs.store.leases import Held

SEND_WITHIN_S = 5  # after the last commit; a process that slept longer has no say any more

log = structlog.get_logger()


class _Hindered(Exception):
    """Seen only in the claim's own transaction: another claim took the room or the budget."""

    def __init__(self, obstacle: Obstacle):
        super().__init__(obstacle.reason)
        self.obstacle = obstacle


def submit(job_id: str, parts: Parts) -> None:
    """Take a due queued job to a gateway."""
    case = due_case(job_id, "jobs.submit", parts)
    if case is None:
        return None
    with parts.database.read() as db:
        now = parts.database.clock(db)
    if decide(case, Facts(), now=now, rules=parts.rules).moves:  # too late to start, or made already
        return move_unheld(case, Facts(), parts)
    order = plan(case, parts)
    if isinstance(order, Wait):
        return _postpone(case, order, parts)
    with parts.gates.enter(order.provider.name, "submit") as come_back_in:
        if come_back_in:
            name = order.provider.name
            slow = Obstacle("slow", f"{name} takes its time", come_back_in, name)
            return _postpone(case, Wait(slow), parts)
        try:
            held = _claim(order, parts)
        except _Hindered as e:
            return _postpone(case, Wait(e.obstacle), parts)
        if held is not None:
            with holding(held, parts):
                conclude(held, _send(held, order, parts), parts)
    return None


def lose(job_id: str, parts: Parts) -> None:
    """A job that is due while submitting has lost its worker: unconfirmed, unless provably nothing was sent."""
    case = due_case(job_id, "jobs.lose", parts)
    if case is not None:
        move_unheld(case, Facts(), parts)


def resend_due(case: Case, now: datetime, parts: Parts) -> bool:
    """Whether the current attempt's POST may go out once more, under its idempotency key."""
    attempt = case.current
    if case.job.state is not State.UNCONFIRMED or case.job.cancel_requested_at or attempt is None:
        return False
    at = schedule.resend_at(case, now, parts.settings, parts.providers)
    return at is not None and at <= now and parts.settings.account_of(attempt.provider, attempt.account) is not None


def resend(held: Held, parts: Parts) -> Facts:
    """The same POST under the same key. Only an acceptance decides: a refusal may be about this second try alone."""
    attempt = held.case.current
    assert attempt is not None
    account = parts.settings.account_of(attempt.provider, attempt.account)
    assert account is not None
    account = replace(account, base_url=attempt.base_url)
    provider = parts.providers[attempt.provider]
    answer = _post(held, attempt.number, provider, account, _kept_request(attempt), parts)
    if answer is None:
        return Facts()
    facts = read_answer(provider, account, attempt, answer)
    if facts.attempts[attempt.number].get("task_id"):
        return facts
    return Facts(notes=(Note("resent", attempt.number, {"sends": attempt.sends + 1}),))


def _postpone(case: Case, wait: Wait, parts: Parts) -> None:
    found = wait.obstacle
    log.info("submit_postponed", job=case.job.id, reason=found.reason, seconds=round(found.wait_s, 1))
    waiting = {"provider": found.provider, "code": found.code, "reason": found.reason}
    with parts.database.write() as db:
        now = parts.database.clock(db)
        until = now + timedelta(seconds=found.wait_s)
        leases.postpone(db, case.job, until=until, now=now, flagged=wait.flagged, waiting=waiting)


def _claim(order: Plan, parts: Parts) -> Held | None:
    """Write the attempt, in `submitting`, and reserve its price.

    None: somebody was faster, or it is not known that we have it. Raises _Hindered.
    """
    job, holder = order.case.job, parts.holder()
    move = Move(Event.CLAIM, order.number, {"provider": order.provider.name})
    routed = Note("routed", order.number, order.choice.as_json())
    try:
        with parts.database.write() as db:
            now = parts.database.clock(db)
            if not due.is_due(job, now=now):
                return None
            outcome = Outcome(
                alarm_at=job.alarm_at,
                moves=(move,),
                job={"attempt": order.number, "provider": order.provider.name, "flagged": None},
                facts=Facts(notes=(routed,)),
            )
            hold_s = parts.settings.submit_hold_s
            if leases.claim(db, order.case, holder=holder, hold_s=hold_s, now=now, outcome=outcome) is None:
                return None
            _reserve(db, order, now, parts)
            attempt_rows.add_attempt(db, attempt_row(order, now))
            return Held(cases.read_case(db, job.id), holder)
    except DatabaseUnavailable:
        # The commit may have happened or not. Only a row that names us lets us go on.
        with parts.database.read() as db:
            case = cases.read_case(db, job.id)
        return Held(case, holder) if case.job.holder == holder else None


def _reserve(db: Connection, order: Plan, now: datetime, parts: Parts) -> None:
    """Take the order's room and price, in the claim's transaction. Raises _Hindered, which undoes the claim."""
    name, settings = order.provider.name, parts.settings
    daily_usd = settings.terms[name].daily_usd
    if not spending.reserve(db, name, spending.day_of(now), spending.micro(order.estimate.usd), daily_usd):
        raise _Hindered(availability.over_budget(name, daily_usd or 0, now))
    if availability.in_flight(db, order.account) >= settings.max_in_flight:
        raise _Hindered(availability.full(name, settings))


def _kept_request(attempt: Attempt) -> Request:
    return Request(**attempt.request)


def _send(held: Held, order: Plan, parts: Parts) -> Facts:
    attempt = held.case.attempts[order.number]
    answer = _post(held, order.number, order.provider, order.account, order.request, parts)
    if answer is None:
        return Facts(trouble=True)
    facts = read_answer(order.provider, order.account, attempt, answer)
    if facts.pause:
        rest(order.account, "submit", facts.pause, parts)
    return facts


def rest(account: Account, lane: Lane, pause: Pause, parts: Parts) -> None:
    """Let a key rest. Should the database be away just now, the gateway will have to ask once more."""
    try:
        with parts.database.write() as db:
            key_pauses.rest(db, account, lane, pause, now=parts.database.clock(db))
    except DatabaseUnavailable:
        log.warning("pause_not_kept", provider=account.provider, lane=lane)


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
            if not leases.mark_sending(db, held, number, hold_s=parts.settings.submit_hold_s, now=now):
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
