"""What a client may wish of a job that it has: to be cancelled, or tried again. Neither ever risks money unasked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.engine import Connection

from jobs.errors import MayBePaid, NotFailed, NothingLeft, TooLate
from jobs.machine.alarms import Rules
from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges, JobChanges
from jobs.machine.decisions import decide
from jobs.machine.flags import HOLDER_DIED
from jobs.machine.judges import cancelled, no_error, start_by
from jobs.machine.outcome import Facts, Move, Note, Outcome, Turn, turn_of
from jobs.machine.rows import Attempt, AttemptOutcome, Standing
from jobs.machine.schedule import link_end
from jobs.machine.states import UNANSWERED, Event, State
from jobs.store import cases, leases
from jobs.store.core import Core

MAYBE_PAID = frozenset({Standing.HELD, Standing.CHARGED, Standing.UNCERTAIN})

Judge = Callable[[Case, datetime, Rules], Outcome | None]


class Write(Protocol):
    """A guarded write of `leases`. False: the row has moved."""

    def __call__(self, db: Connection, case: Case, outcome: Outcome, *, now: datetime) -> Case | None: ...


def cancel(job_id: str, core: Core, *, api_key_id: str | None = None) -> Case:
    """Cancel a queued job; ask that one on its way to a gateway be cancelled if it turns out not to be accepted.

    So for one of which a gateway is asked about an order that it may have taken.

    Asking again changes nothing. History names the key that asks. Raises UnknownJob, TooLate (no gateway can cancel),
    DatabaseUnavailable.
    """

    def judge(case: Case, now: datetime, rules: Rules) -> Outcome | None:
        return _cancelled(case, now, rules, {"api_key": api_key_id})

    return grant(job_id, judge, core)


def retry(job_id: str, core: Core, *, accept_double_charge: bool = False, api_key_id: str | None = None) -> Case:
    """Try a failed job again: its copying if that is what failed, else with a new order. Take up one that is set aside.

    History names the key that asks. Raises UnknownJob, NotFailed, MayBePaid (say `accept_double_charge` to order all
    the same), NothingLeft, DatabaseUnavailable.
    """
    detail = {"api_key": api_key_id, **({"accept_double_charge": True} if accept_double_charge else {})}

    def judge(case: Case, now: datetime, rules: Rules) -> Outcome:
        return _retried(case, now, rules, accept_double_charge, detail)

    return grant(job_id, judge, core)


def grant(job_id: str, judge: Judge, core: Core, write: Write = leases.write_wish) -> Case:
    """Judge the row as it stands, write, and ring; the job after it.

    A wish never touches a lease: the holder reads again, as with any news. One that cannot bear a holder has `write`
    see to that.
    """
    while True:
        with core.database.write() as db:
            case = cases.read_case(db, job_id)
            now = core.database.clock(db)
            outcome = judge(case, now, core.rules)
            written = case if outcome is None else write(db, case, outcome, now=now)
            if written is None:
                continue
        core.ring_for(written, notices=case.job.notices)
        return written


def _cancelled(case: Case, now: datetime, rules: Rules, detail: Mapping[str, Any]) -> Outcome | None:
    job = case.job
    if job.state is State.CANCELLED or job.cancel_requested_at:
        return None
    if job.state in UNANSWERED:
        said = Note("cancel_requested", job.attempt, detail)
        return Outcome(alarm_at=now, job={"cancel_requested_at": now}, facts=Facts(notes=(said,)))
    running = next((a for a in case.attempts.values() if lives(a)), None)
    if job.state is not State.QUEUED or running is not None:
        raise TooLate(_too_late(case, running or case.current))
    if case.has_news:  # of an order that may have been made: it is asked about first
        said = Note("cancel_requested", job.attempt, detail)
        return Outcome(alarm_at=now, job={"cancel_requested_at": now}, facts=Facts(notes=(said,)))
    wish = cancelled(case, {"cancel_requested_at": now}, detail)
    waits = wish.move.event is Event.STAND_BY
    notes = (Note("cancel_requested", job.attempt, detail),) if waits else ()
    return decide(case, Facts(notes=notes), now=now, rules=rules, wish=wish)


def lives(attempt: Attempt) -> bool:
    """Whether a gateway is known to make, or to have made, the video of this attempt."""
    return attempt.outcome is AttemptOutcome.FINISHED or (attempt.is_open and attempt.task_id is not None)


def _too_late(case: Case, paid: Attempt | None) -> str:
    job = case.job
    if job.state is State.FAILED:
        return "The job has failed; there is nothing to cancel."
    if paid is None:
        return f"The job is {job.state}."
    price = paid.money.usd
    cost = "" if price is None else f" for ${price:.2f}"
    if job.state is State.ARCHIVED:
        return f"The video is archived; {paid.provider} was paid{cost}."
    return f"{paid.provider} has accepted the job{cost}, and no gateway can cancel; the video will be archived."


def _retried(case: Case, now: datetime, rules: Rules, accept_double_charge: bool, detail: Mapping[str, Any]) -> Outcome:
    job, current = case.job, case.current
    if job.state is not State.FAILED and job.flagged == HOLDER_DIED:
        taken_up: JobChanges = {"flagged": None, "holder_deaths": 0, "set_aside_until": None}
        return Outcome(alarm_at=now, job=taken_up, facts=Facts(notes=(Note("taken_up", job.attempt, detail),)))
    if job.state is not State.FAILED:
        raise NotFailed(f"The job is {job.state}; only a failed one can be tried again.")
    if current and current.outcome is AttemptOutcome.UNDELIVERED and not accept_double_charge:
        anew: AttemptChanges = {"accepted_sha256": None, "accepted_by": None}
        return decide(case, Facts(), now=now, rules=rules, wish=copied_again(current, rules, detail, anew))
    if not accept_double_charge:
        _refuse_if_paid(case)
    if not rules.remaining(case):
        raise NothingLeft("Every gateway of the job's route has refused this request; change it and send a new job.")
    limit = start_by(case, now, rules)
    if limit <= now:
        raise NothingLeft("Links to the job's inputs are dead by now; send a new job with fresh ones.")
    wish = Turn(Move(Event.RETRY, job.attempt, detail), {**_FRESH, "start_by": limit, "link_dies_at": None}, {})
    # An order that a restored backup may have forgotten is one that may be paid; the client has accepted that.
    doubted: dict[int, AttemptChanges] = {
        a.number: {"standing": Standing.UNCERTAIN} for a in case.attempts.values() if _is_forgotten(a)
    }
    return decide(case, Facts(doubted), now=now, rules=rules, wish=wish)


_FRESH: JobChanges = {
    **no_error(),
    "progress": None,
    "overdue": False,
    "flagged": None,
    "cancel_requested_at": None,
    "holder_deaths": 0,
    "set_aside_until": None,
}


def copied_again(attempt: Attempt, rules: Rules, detail: Mapping[str, Any], more: AttemptChanges) -> Turn:
    """The move of a failed job whose order was not delivered: it is copied once more."""
    again: AttemptChanges = {
        "outcome": AttemptOutcome.FINISHED,
        "last_word": None,
        "unanswered_since": None,
        "error_code": None,
        "error_message": None,
        "error_retryable": None,
        "error_said": None,
    }
    link_dies_at = link_end(attempt, rules.settings, rules.providers)
    job: JobChanges = {**_FRESH, "provider": attempt.provider, "progress": 100, "link_dies_at": link_dies_at}
    return turn_of(Event.RETRY_TRANSFER, attempt, job, {**again, **more}, detail)


def _is_forgotten(attempt: Attempt) -> bool:
    """Whether a backup may have forgotten it, and nobody knows what became of it: the end of a wait is no knowledge."""
    is_unknown = attempt.outcome is AttemptOutcome.EXPIRED and attempt.is_unheeded and attempt.settled is None
    return attempt.is_forgotten and (attempt.is_open or is_unknown)


def _refuse_if_paid(case: Case) -> None:
    maybe = [a for a in case.attempts.values() if a.standing in MAYBE_PAID or _is_forgotten(a)]
    if maybe:
        told = ", ".join(f"attempt {a.number} at {a.provider} ({_doubt(a)})" for a in maybe)
        raise MayBePaid(f"Money may have been taken: {told}. Send accept_double_charge: true to order once more.")


def _doubt(attempt: Attempt) -> str:
    return "it may have been made before a backup was put back" if _is_forgotten(attempt) else attempt.standing.value
