"""What a person found out about an order: its task, that it was not made, or what became of its money.

What is known at once is answered at once, and changes nothing. A task that a person names is only a hint, as a
callback's is: a worker asks the gateway with our own key, and believes it or not by what that answers.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from jobs.errors import NotClosed, NotLost, TaskKnown, TaskTaken, UnderWay, UnknownOrder
from jobs.intake.changes import grant
from jobs.machine import settlement
from jobs.machine.alarms import Rules
from jobs.machine.case import Case
from jobs.machine.changes import OF_TASK, AttemptChanges, JobChanges
from jobs.machine.decisions import decide
from jobs.machine.judges import no_order_of, start_by
from jobs.machine.outcome import Facts, Inquired, Note, Outcome, turn_of
from jobs.machine.rows import Attempt, AttemptOutcome, Settled, Standing
from jobs.machine.states import Event, State
from jobs.store import cases, late_facts, leases
from jobs.store.core import Core
from jobs.store.due import is_leased

SETTLE = Event.SETTLE.value  # the line of history that says what a person said, whether it moves the job or not
MAY_BE_LOST = frozenset({AttemptOutcome.OPEN, AttemptOutcome.EXPIRED, AttemptOutcome.NOT_MADE})
UNKNOWN: AttemptChanges = {  # an order that had a task by hearsay, until a person named another one
    **OF_TASK,
    "outcome": AttemptOutcome.OPEN,
    "standing": Standing.UNCERTAIN,
    "task_id": None,
}
WITHOUT_LAST_WORD = frozenset({AttemptOutcome.OPEN, AttemptOutcome.NOT_SENT})


def name_task(job_id: str, number: int, task_id: str, core: Core, *, api_key_id: str | None = None) -> Case:
    """Keep a task id that a person found for an order whose answer was lost, and let a worker ask about it at once.

    Naming the same one again while it is asked about, or after it was believed, changes nothing. A task that another
    order has by callbacks alone, contested or not, is the order's for which a person names it; and it takes the place
    of one that callbacks alone have told of this order. Raises UnknownJob, UnknownOrder, UnderWay, TaskKnown, NotLost,
    TaskTaken, DatabaseUnavailable.
    """
    with core.database.read() as db:
        bearer = late_facts.bearer_of(db, _order(cases.read_case(db, job_id), number), task_id)

    def judge(case: Case, now: datetime, rules: Rules) -> Outcome | None:
        attempt = _order(case, number)
        is_believed = attempt.task_id == task_id and not attempt.contested
        if attempt.named_task_id == task_id and (attempt.is_named or is_believed):
            return None
        said = Note(SETTLE, number, {"task_id": task_id, "api_key": api_key_id})
        if attempt.task_id == task_id and (attempt.contested or attempt.is_by_hearsay):
            proven: AttemptChanges = {"contested": False, "adopted": False, "named_task_id": task_id}
            return replace(decide(case, Facts({number: proven}, notes=(said,)), now=now, rules=rules), alarm_at=now)
        if not attempt.hears:
            _refuse_unless_lost(attempt)
        _refuse_if_sent_just_now(case, attempt, now, rules)
        if bearer is not None and (why := _why_kept(bearer)):
            raise TaskTaken(f"{task_id} is the task of order {bearer.number} of {bearer.job_id}: {why}.")
        named: AttemptChanges = {"named_task_id": task_id, "named_refused": None, "unanswered_since": None}
        if attempt.task_id is not None:
            before = {(number, attempt.task_id): Inquired(False, now, is_rival=True)}  # if the person errs, its own yet
            facts = Facts({number: {**UNKNOWN, **named}}, inquired=before, notes=(said,))
            return replace(decide(case, facts, now=now, rules=rules), alarm_at=now)
        return Outcome(alarm_at=now, facts=Facts({number: named}, notes=(said,)))

    return grant(job_id, judge, core)


def settle(job_id: str, number: int, said: Settled, core: Core, *, api_key_id: str | None = None) -> Case:
    """Take a person's word for an order's fate: that it was not made, or whether it was charged.

    Saying the same again changes nothing. Raises UnknownJob, UnknownOrder, DatabaseUnavailable; of one that is said not
    to have been made UnderWay, TaskKnown, NotLost; of its money NotClosed.
    """
    detail = {"said": said.value, "api_key": api_key_id}

    def judge_order(case: Case, now: datetime, rules: Rules) -> Outcome | None:
        attempt = _order(case, number)
        if attempt.settled is said and attempt.outcome is AttemptOutcome.NOT_MADE and not attempt.is_named:
            return None
        _refuse_unless_lost(attempt)
        _refuse_if_sent_just_now(case, attempt, now, rules)
        # A step that holds the job may be sending this order again, or may just have heard of it.
        if is_leased(case.job, now=now):
            raise UnderWay(f"A worker is at {job_id} just now; say it again in a moment.")
        return not_made(case, attempt, detail, now, rules)

    def judge_money(case: Case, now: datetime, rules: Rules) -> Outcome | None:
        attempt = _order(case, number)
        if attempt.outcome in WITHOUT_LAST_WORD:
            raise NotClosed(
                f"Order {number} is {attempt.outcome}: its gateway may yet say what became of it. Name its task, or say"
                " that it was not made."
            )
        if attempt.settled is said:
            return None
        changes: AttemptChanges = {"standing": settlement.STANDINGS[said], "settled": said}
        flagged: JobChanges = {"flagged": settlement.flag_left(case, number)}
        facts = Facts({number: changes}, notes=(Note(SETTLE, number, detail),))
        return Outcome(alarm_at=case.job.alarm_at, job=flagged, facts=facts)

    if said is Settled.NOT_MADE:
        return grant(job_id, judge_order, core, leases.move_unleased)
    return grant(job_id, judge_money, core)


def not_made(case: Case, attempt: Attempt, detail: dict[str, Any], now: datetime, rules: Rules) -> Outcome:
    """It is over for good: never sent again, and nothing was bought. A job that waited for its answer goes on."""
    changes: AttemptChanges = {
        "outcome": AttemptOutcome.NOT_MADE,
        "standing": settlement.STANDINGS[Settled.NOT_MADE],
        "settled": Settled.NOT_MADE,
        "named_task_id": None,
        "named_refused": None,
    }
    job: JobChanges = {"flagged": settlement.flag_left(case, attempt.number)}
    said = Note(SETTLE, attempt.number, detail)
    if case.job.state is not State.UNCONFIRMED or attempt.number != case.job.attempt:
        outcome = decide(case, Facts({attempt.number: changes}, notes=(said,)), now=now, rules=rules)
        return replace(outcome, job={**job, **outcome.job})
    event = no_order_of(case, attempt, Event.SETTLE)
    if event is Event.CANCEL:
        facts, fresh = Facts(notes=(said,)), job
    else:
        facts, fresh = Facts(), {**job, "start_by": start_by(case, now, rules)}
    return decide(case, facts, now=now, rules=rules, wish=turn_of(event, attempt, fresh, changes, detail))


def _why_kept(bearer: Attempt) -> str | None:
    """Why no person may name a bearer's task for another order; None: they may, as only callbacks have told it."""
    if not bearer.adopted:
        return "its gateway answered that order with it"
    if bearer.task_id == bearer.named_task_id and not bearer.contested:
        return "a person has named it for that order"
    return None


def _order(case: Case, number: int) -> Attempt:
    if number not in case.attempts:
        raise UnknownOrder(f"{case.job.id} has no order {number}; its orders are {list(case.attempts) or 'none'}.")
    return case.attempts[number]


def _refuse_unless_lost(attempt: Attempt) -> None:
    if attempt.task_id is not None:
        raise TaskKnown(f"Order {attempt.number} was accepted by {attempt.provider} as task {attempt.task_id}.")
    if attempt.outcome not in MAY_BE_LOST:
        raise NotLost(f"The answer to order {attempt.number} was not lost: it is {attempt.outcome}.")


def _refuse_if_sent_just_now(case: Case, attempt: Attempt, now: datetime, rules: Rules) -> None:
    """Its first answer may be under way, or that to a re-send: either may name the task within moments."""
    job, provider = case.job, rules.providers[attempt.provider]
    if attempt.number != job.attempt:
        return
    is_resent = job.state is State.UNCONFIRMED and provider.idempotency_header and is_leased(job, now=now)
    if job.state is State.SUBMITTING or is_resent:
        raise UnderWay(f"Order {attempt.number} is on its way to {attempt.provider} just now; ask again in a moment.")
