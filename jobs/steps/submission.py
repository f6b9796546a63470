"""Submitting: all waiting comes before the claim, and after it there is one POST whose outcome is never guessed."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from sqlalchemy.engine import Connection

from jobs.errors import BadRequest
from jobs.machine import routing, schedule
from jobs.machine.breaker import LONGEST_REST_S, Kind, Word
from jobs.machine.changes import AttemptChanges
from jobs.machine.decisions import decide
from jobs.machine.error_codes import TAKES_TURNS
from jobs.machine.outcome import ANSWERED, Facts, Move, Note, Outcome, PostAnswer
from jobs.machine.routing import Obstacle
from jobs.machine.rows import Attempt, AttemptOutcome, Case
from jobs.machine.states import Event, State
from jobs.providers.base import Provider, Request
from jobs.providers.client import Account, Answered, Lost, NotSent
from jobs.steps import health, late_answers
from jobs.steps.answers import read_answer
from jobs.steps.health import Exchange, hear, word_of_order
from jobs.steps.planning import Plan, Wait, attempt_row, plan
from jobs.steps.resources import Resources
from jobs.steps.step import Work, at_work, due_case, end_state, move_unleased
from jobs.store import attempt_rows, availability, cases, due, lanes, leases, setting_aside, spending
from jobs.store.database import DatabaseUnavailable
from jobs.store.leases import Lease
from jobs.store.step_table import LOSE, SUBMIT

SEND_WITHIN_S = 5  # after the last commit; a process that slept longer has no say any more
LOST_LOOKED_AT = 50  # lost orders of a key, to find those that are due to be sent again
SAYS_SO_AFTER_S = 3  # in line; the sweep, which cannot know, rings at once and again after five seconds
RESENDS_AT_ONCE = 3  # of these are tried, until one can be sent: others may be at work on them

log = structlog.get_logger()


class _Hindered(Exception):
    """Seen only in the claim's own transaction: another claim took the room or the budget."""

    def __init__(self, obstacle: Obstacle):
        super().__init__(obstacle.reason)
        self.obstacle = obstacle


class _LaneBars(Exception):
    """Seen only in the transaction that marks a lost order as sent again: its lane does not let it pass."""


class _Sent(NamedTuple):
    """What a POST came to, and when its first byte may have left."""

    answer: Answered | NotSent | Lost
    left_at: datetime


class _End(NamedTuple):
    """How a try ended: the gateway that it was sent to, or where it waits for others' orders; neither: otherwise.

    `is_nothing`: the row wants no order now, or somebody else is at it.
    """

    sent_to: str | None = None
    waits_at: str | None = None
    is_nothing: bool = False


def submit(job_id: str, resources: Resources) -> str | None:
    """Take a due queued job to a gateway; then the job whose turn it is, of those that this process turned away.

    It has an alarm of its own, for the case that nobody takes it up.
    """
    end = _turn_away(job_id, resources)
    if end is None:
        late_answers.bring_of(job_id, resources)
        end = _submit(job_id, resources)
    if end.waits_at is not None and not resources.bulkheads.are_inside(end.waits_at, "submit"):
        end = _submit(job_id, resources)  # all that it waits for ended before it stood in line
    return None if resources.stopping.is_set() else _next(end, resources)


def _next(end: _End, resources: Resources) -> str | None:
    """Who goes on: at the gateway of the order that has just ended, or wherever there is room if it came to nothing."""
    if end.sent_to is not None:
        return resources.line.next(end.sent_to)
    if not end.is_nothing:
        return None
    with_room = (name for name in resources.settings.accounts if not resources.bulkheads.is_full(name, "submit"))
    return next(filter(None, map(resources.line.next, with_room)), None)


def _turn_away(job_id: str, resources: Resources) -> _End | None:
    """Have a job wait before it is planned, where every gateway that could take it is full in this process.

    A new one stands in line from here on. None: it is to be tried.
    """
    is_full, line = resources.bulkheads.is_full, resources.line
    if not any(is_full(name, "submit") for name in resources.settings.accounts):
        return None
    waiting = line.waits(job_id)
    case = waiting.case if waiting else _new(job_id, resources)
    route = [] if case is None else _route(case, resources)
    if case is None or not route or not all(is_full(name, "submit") for name in route):
        return None
    name = waiting.gateway if waiting else route[0]
    if _stands_in_line(name, case, resources):
        return _End(waits_at=name)
    end = _postpone(case, _takes_turns(name, resources.bulkheads.come_back_in(name, "submit")), resources)
    return end if end.waits_at else None  # it has moved since, or its time to start is over


def _stands_in_line(name: str, case: Case, resources: Resources) -> bool:
    """Whether there is nothing to write yet: its turn may come soon, and its alarm stays as it is.

    Once it has stood there for seconds, its row says so, and has a later alarm.
    """
    stood_s = resources.line.join(name, case)
    return stood_s is not None and stood_s < SAYS_SO_AFTER_S


def _new(job_id: str, resources: Resources) -> Case | None:
    with resources.database.read() as db:
        return cases.read_new(db, job_id)


def _route(case: Case, resources: Resources) -> list[str]:
    """The gateways that may take a job, whatever has come of its orders; none where none can any more."""
    try:
        return routing.route(resources.candidates(case.job.wanted))
    except BadRequest:
        return []


def _takes_turns(name: str, come_back_in: float) -> Wait:
    return Wait(Obstacle(TAKES_TURNS, f"{name} takes its time", come_back_in, name))


def _submit(job_id: str, resources: Resources) -> _End:
    with ExitStack() as until_written, at_work(due_case(job_id, SUBMIT, resources), resources) as work:
        if work.found is None:
            return _End(is_nothing=True)
        case, now = work.found
        if decide(case, Facts(), now=now, rules=resources.rules).moves:  # too late to start, or made already
            move_unleased(case, Facts(), resources)
            return _End(is_nothing=True)
        planned = plan(case, resources, ask=_ask_for_free)
        if isinstance(planned, Plan) and _goes_first(planned.account, resources):
            planned = plan(case, resources, ask=None)
        if isinstance(planned, Wait):
            return _postpone(case, planned, resources)
        name = planned.provider.name
        if come_back_in := until_written.enter_context(resources.bulkheads.enter(name, "submit")):
            if _stands_in_line(name, case, resources):
                return _End(waits_at=name)
            return _postpone(case, _takes_turns(name, come_back_in), resources)
        try:
            work.lease = _claim(planned, resources)
        except _Hindered as e:
            return _postpone(case, Wait(e.obstacle), resources)
        if work.lease is not None:
            work.facts = _send(work.lease, planned, resources)
        tried: set[str] = set()  # each gateway once, however long it lets one wait
        while work.lease is not None and _goes_on(work, work.lease, tried, resources):
            pass
    return _End(is_nothing=True) if work.lease is None else _End(sent_to=work.lease.job.provider)


def _goes_on(work: Work, lease: Lease, tried: set[str], resources: Resources) -> bool:
    """Send an order of which provably nothing left to the next gateway of its route, as an attempt of its own.

    One transaction gives it up here and claims it there, and its reservation moves with it. False: it was sent, or
    nothing else can take it now; the end of the step sees to it.
    """
    unsent = lease.case.attempts[lease.job.attempt]
    said = work.facts.attempts.get(unsent.number, {})
    if said.get("outcome") is not AttemptOutcome.NOT_SENT:
        return False
    tried.add(unsent.provider)
    with resources.database.write() as db:
        now = resources.database.clock(db)
        # Planning takes its time, and without a lease somebody would call the order lost.
        if not leases.renew_lease(db, lease, lease_s=resources.settings.submit_lease_s, now=now):
            return False
    changes: AttemptChanges = {**said, "closed_at": now}
    attempts = {**lease.case.attempts, unsent.number: replace(unsent, **changes)}
    # Look-ups alone: asked for free, each gateway might take half a minute, and no lease lasts for all of that.
    planned = plan(replace(lease.case, attempts=attempts), resources, leave_out=tried, ask=None)
    if isinstance(planned, Wait):
        return False
    with resources.bulkheads.enter(planned.provider.name, "submit") as come_back_in:
        if come_back_in:
            return False
        try:
            onward = _claim(planned, resources, instead_of=(lease, work.facts))
        except _Hindered:
            return False
        if onward is None:
            return False
        if work.facts.answer is not None:
            resources.journal.drop(work.facts.answer)
        work.lease, work.facts = onward, _send(onward, planned, resources)
    return True


def lose(job_id: str, resources: Resources) -> None:
    """A job that is due while submitting has lost its worker: unconfirmed, unless provably nothing was sent."""
    found = due_case(job_id, LOSE, resources)
    if found is not None:
        move_unleased(found.case, Facts(), resources)


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
        except _LaneBars:
            return None


def _is_to_be_sent_again(case: Case, now: datetime, resources: Resources) -> bool:
    if case.job.state is not State.UNCONFIRMED or case.job.cancel_requested_at:
        return False
    at = schedule.resend_at(case, now, resources.settings, resources.providers)
    return at is not None and at <= now


def _resend(lease: Lease, attempt: Attempt, account: Account, resources: Resources) -> Facts:
    """Only an acceptance decides: a refusal may be about this second try alone. Raises _LaneBars."""
    account = replace(account, base_url=attempt.base_url)
    provider = resources.providers[attempt.provider]
    until = schedule.key_end(attempt, resources.settings, resources.providers)
    sent = _post(lease, attempt.number, provider, account, _kept_request(attempt), resources, until=until, again=True)
    if sent is None:
        hear(account, "submit", Word(Kind.OURS, lease.job.id, lease.job.updated_at, lease.holder), resources)
        return Facts()
    facts = read_answer(provider, account, attempt, sent.answer)
    if facts.attempts[attempt.number].get("task_id"):
        facts = _journalled(facts, attempt, sent, resources)
    _count(lease, sent, facts, attempt.number, account, resources, again=True)
    if facts.answer is not None:
        return facts
    return Facts(notes=(Note("resent", attempt.number, {"sends": attempt.sends + 1}),))


def _ask_for_free(account: Account, resources: Resources) -> bool:
    """Ask what costs nothing. A lost order that is due to be sent again tells of orders themselves, a question less."""
    is_answered = _send_one_again(account, resources)
    return health.ask_for_free(account, resources) if is_answered is None else is_answered


def _goes_first(account: Account, resources: Resources) -> bool:
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


def _postpone(case: Case, wait: Wait, resources: Resources) -> _End:
    found = wait.obstacle
    log.info("submit_postponed", job=case.job.id, reason=found.reason, seconds=round(found.wait_s, 1))
    waiting = {"provider": found.provider, "code": found.code, "reason": found.reason}
    with resources.database.write() as db:
        now = resources.database.clock(db)
        if now >= case.job.start_by:
            return _End()
        until = now + timedelta(seconds=found.wait_s)
        job = leases.postpone(db, case.job, until=until, now=now, flagged=wait.flagged, waiting=waiting)
    if job is None or found.code != TAKES_TURNS or found.provider is None:
        return _End()
    resources.line.join(found.provider, replace(case, job=job))
    return _End(waits_at=found.provider)


def _claim(planned: Plan, resources: Resources, *, instead_of: tuple[Lease, Facts] | None = None) -> Lease | None:
    """Write the attempt, in `submitting`, and reserve its price.

    `instead_of`: our lease of an attempt that was not sent, and what we know of it, which is written before. None:
    somebody was faster, or it is not known that we have it. Raises _Hindered.
    """
    case, holder = planned.case, resources.new_lease_holder()
    move = Move(Event.CLAIM, planned.number, {"provider": planned.provider.name})
    routed = Note("routed", planned.number, planned.choice.as_json())
    try:
        with resources.database.write() as db:
            now = resources.database.clock(db)
            if instead_of is not None:
                _lock_onward(db, instead_of[0], planned, now)
                given_up = _give_up(db, *instead_of, now, resources)
                if given_up is None:
                    return None
                case = given_up
            job = case.job
            if not due.may_start(job, now=now):
                return None
            outcome = Outcome(
                alarm_at=job.alarm_at,
                moves=(move,),
                job={"attempt": planned.number, "provider": planned.provider.name, "flagged": None},
                facts=Facts(notes=(routed,)),
            )
            lease_s = resources.settings.submit_lease_s
            lease = leases.claim(db, case, holder=holder, lease_s=lease_s, now=now, outcome=outcome)
            if lease is None:
                return None
            if found := availability.admit(db, planned.account, holder, resources.settings, now=now):
                raise _Hindered(found)
            _reserve(db, planned, now, resources)
            ordered = attempt_rows.add_attempt(db, attempt_row(planned, now))
            return replace(lease, case=replace(lease.case, attempts={**lease.case.attempts, ordered.number: ordered}))
    except DatabaseUnavailable:
        # The commit may have happened or not. Only a row that names us lets us go on.
        with resources.database.read() as db:
            case = cases.read_case(db, case.job.id)
        return Lease(case, holder) if case.job.lease_holder == holder else None


def _lock_onward(db: Connection, lease: Lease, planned: Plan, now: datetime) -> None:
    """Lock what moves from one gateway to the next, in the order that all others keep: job, lane, days."""
    leases.lock_row(db, lease.job.id)
    lanes.lock(db, planned.account, "submit")
    unsent = lease.case.attempts[lease.job.attempt]
    spending.lock_days(db, {(unsent.provider, unsent.day), (planned.provider.name, spending.day_of(now))})


def _give_up(db: Connection, lease: Lease, facts: Facts, now: datetime, resources: Resources) -> Case | None:
    """Write that nothing was sent and let go of the lease; the queued case. None: it is not to be ordered on.

    News comes before another order: it may show that an earlier one made the video.
    """
    ours = leases.reread(db, lease)
    if ours is None or ours.case.has_news:
        return None
    outcome = decide(ours.case, facts, now=now, rules=resources.rules)
    goes_on = end_state(ours.case, outcome) is State.QUEUED and outcome.alarm_at is not None and outcome.alarm_at <= now
    return leases.finish_step(db, ours, outcome, now=now) if goes_on else None


def _reserve(db: Connection, planned: Plan, now: datetime, resources: Resources) -> None:
    """Take the order's price, in the claim's transaction. Raises _Hindered, which undoes the claim."""
    name = planned.provider.name
    daily_usd = resources.settings.terms[name].daily_usd
    day = spending.day_of(now)
    if not spending.reserve(db, name, day, spending.micro(planned.estimate.usd), daily_usd):
        uncertain_usd = spending.uncertain_usd(db, name, day)
        raise _Hindered(availability.over_budget(name, daily_usd or 0, now, uncertain_usd))


def _kept_request(attempt: Attempt) -> Request:
    return Request(**attempt.request)


def _send(lease: Lease, planned: Plan, resources: Resources) -> Facts:
    attempt, account = lease.case.attempts[planned.number], planned.account
    sent = _post(lease, planned.number, planned.provider, account, planned.request, resources)
    if sent is None:
        hear(account, "submit", Word(Kind.OURS, lease.job.id, lease.job.updated_at, lease.holder), resources)
        return Facts(trouble=True)
    facts = _journalled(read_answer(planned.provider, account, attempt, sent.answer), attempt, sent, resources)
    _count(lease, sent, facts, planned.number, account, resources)
    return facts


def _journalled(facts: Facts, attempt: Attempt, sent: _Sent, resources: Resources) -> Facts:
    """What an answer said, in the journal before anything else: the database may be away by now."""
    said = facts.attempts.get(attempt.number)
    if not said:
        return facts
    of = (attempt.job_id, attempt.number, attempt.provider, attempt.account, attempt.sends + 1, sent.left_at)
    told = next((dict(note.detail) for note in facts.notes if note.event == ANSWERED), None)
    answer = PostAnswer(*of, said, attempt.base_url, told)
    resources.journal.keep(answer)
    return replace(facts, answer=answer)


def _count(
    lease: Lease, sent: _Sent, facts: Facts, number: int, account: Account, resources: Resources, *, again: bool = False
) -> None:
    """Let the answer to a POST count for the lane of its key, and log the ones that were lost."""
    exchange = Exchange(lease.job.id, sent.left_at, lease.holder)
    word = replace(word_of_order(exchange, sent.answer, facts, number), is_free=again)
    if word.kind is Kind.LOST:
        reason = f"HTTP {sent.answer.status}" if isinstance(sent.answer, Answered) else sent.answer.reason
        log.warning("answer_lost", job=lease.job.id, attempt=number, provider=account.provider, reason=reason)
    hear(account, "submit", word, resources)


def _pass_lane(db: Connection, lease: Lease, account: Account, resources: Resources, now: datetime) -> None:
    """In the order of locks that all keep: job, lane. Raises _LaneBars."""
    leases.lock_row(db, lease.job.id)
    if not availability.admit_resend(db, account, lease.holder, resources.settings, now=now):
        raise _LaneBars


def _post(
    lease: Lease,
    number: int,
    provider: Provider,
    account: Account,
    request: Request,
    resources: Resources,
    *,
    until: datetime | None = None,
    again: bool = False,
) -> _Sent | None:
    """Say that a byte may leave, and send within seconds of having said so; `until`: not later than that.

    `again`: a lost order, which has not passed its lane by a claim of its own. Raises _LaneBars.

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
        return _Sent(NotSent("the process slept before anything was sent", ours=True), now)
    headers = {}
    if provider.idempotency_header:
        headers[provider.idempotency_header] = lease.case.attempts[number].idempotency_key
    deadline_s = resources.settings.submit_deadline_s
    return _Sent(resources.client.send(provider, account, request, deadline_s=deadline_s, extra_headers=headers), now)
