"""Submitting: all waiting comes before the claim, and after it there is one POST whose outcome is never guessed."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime

from sqlalchemy.engine import Connection

from jobs.machine.breaker import Kind, Word
from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges
from jobs.machine.decisions import decide
from jobs.machine.outcome import Facts, Move, Note, Outcome
from jobs.machine.routing import Obstacle
from jobs.machine.rows import AttemptOutcome
from jobs.machine.states import Event, State
from jobs.steps import late_answers
from jobs.steps.answers import read_answer
from jobs.steps.health import hear
from jobs.steps.planning import Plan, Wait, attempt_row, plan
from jobs.steps.posting import count, journalled, post
from jobs.steps.resending import ask_for_free, goes_first
from jobs.steps.resources import Resources
from jobs.steps.step import Work, at_work, due_case, end_state, move_unleased
from jobs.steps.waiting import End, next_job, postpone, stands_in_line, takes_turns, turn_away
from jobs.store import attempt_rows, availability, cases, due, lanes, leases, spending
from jobs.store.database import DatabaseUnavailable
from jobs.store.leases import Lease
from jobs.store.step_table import LOSE, SUBMIT


class _Hindered(Exception):
    """Seen only in the claim's own transaction: another claim took the room or the budget."""

    def __init__(self, obstacle: Obstacle):
        super().__init__(obstacle.reason)
        self.obstacle = obstacle


def submit(job_id: str, resources: Resources) -> str | None:
    """Take a due queued job to a gateway; then the job whose turn it is, of those that this process turned away.

    It has an alarm of its own, for the case that nobody takes it up.
    """
    end = turn_away(job_id, resources)
    if end is None:
        late_answers.bring_of(job_id, resources)
        end = _submit(job_id, resources)
    if end.waits_at is not None and not resources.bulkheads.are_inside(end.waits_at, "submit"):
        end = _submit(job_id, resources)  # all that it waits for ended before it stood in line
    return None if resources.stopping.is_set() else next_job(end, resources)


def _submit(job_id: str, resources: Resources) -> End:
    with ExitStack() as until_written, at_work(due_case(job_id, SUBMIT, resources), resources) as work:
        if work.found is None:
            return End(is_nothing=True)
        case, now = work.found
        if decide(case, Facts(), now=now, rules=resources.rules).moves:  # too late to start, or made already
            move_unleased(case, Facts(), resources)
            return End(is_nothing=True)
        planned = plan(case, resources, ask=ask_for_free)
        if isinstance(planned, Plan) and goes_first(planned.account, resources):
            planned = plan(case, resources, ask=None)
        if isinstance(planned, Wait):
            return postpone(case, planned, resources)
        name = planned.provider.name
        if come_back_in := until_written.enter_context(resources.bulkheads.enter(name, "submit")):
            if stands_in_line(name, case, resources):
                return End(waits_at=name)
            return postpone(case, takes_turns(name, come_back_in), resources)
        try:
            work.lease = _claim(planned, resources)
        except _Hindered as e:
            return postpone(case, Wait(e.obstacle), resources)
        if work.lease is not None:
            work.facts = _send(work.lease, planned, resources)
        tried: set[str] = set()  # each gateway once, however long it lets one wait
        while work.lease is not None and _goes_on(work, work.lease, tried, resources):
            pass
    return End(is_nothing=True) if work.lease is None else End(sent_to=work.lease.job.provider)


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


def _send(lease: Lease, planned: Plan, resources: Resources) -> Facts:
    attempt, account = lease.case.attempts[planned.number], planned.account
    sent = post(lease, planned.number, planned.provider, account, planned.request, resources)
    if sent is None:
        hear(account, "submit", Word(Kind.OURS, lease.job.id, lease.job.updated_at, lease.holder), resources)
        return Facts(trouble=True)
    facts = journalled(read_answer(planned.provider, account, attempt, sent.answer), attempt, sent, resources)
    count(lease, sent, facts, planned.number, account, resources)
    return facts
