"""The judges: one for each state, which says what move a case makes next, if any, and what that writes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from jobs.machine import alarms, lives, schedule
from jobs.machine.alarms import Rules
from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges, JobChanges
from jobs.machine.error_codes import OWN_TROUBLE
from jobs.machine.outcome import Move, Turn, turn_of
from jobs.machine.routing import ABOUT_REQUEST
from jobs.machine.rows import Attempt, AttemptOutcome, Standing
from jobs.machine.states import Event, State

S, E, A = State, Event, AttemptOutcome


def _queued(case: Case, now: datetime, rules: Rules) -> Turn | None:
    """What an earlier attempt made need not be bought; what nobody has started in time is wanted no more."""
    if known := _known_elsewhere(case, rules):
        return known
    held = (a for a in case.attempts.values() if a.is_failed_in_doubt or _is_passed_over(case, a))
    if in_the_way := next((a for a in held if not schedule.may_order_beside(case, a, now, rules.settings)), None):
        return turn_of(E.STAND_BY, in_the_way, {"flagged": None})
    forgotten = next((a for a in case.attempts.values() if a.is_open and a.is_unheeded), None)
    if forgotten is not None:
        uncertain: AttemptChanges = {"standing": Standing.UNCERTAIN}
        since = {"suspected_since": forgotten.created_at.isoformat()}
        return turn_of(E.RESTORE, forgotten, {"flagged": None}, uncertain, detail=since)
    if case.job.cancel_requested_at and not case.has_news:
        return cancelled(case, {})
    if now < case.job.start_by:
        return None
    return Turn(Move(E.GIVE_UP, case.job.attempt), _not_started(case), {})


def _is_passed_over(case: Case, attempt: Attempt) -> bool:
    """Whether it is open yet, and the job had gone back from it to an earlier order, which has come to nothing."""
    return attempt.is_open and not attempt.is_forgotten and attempt.number > case.job.attempt


def cancelled(case: Case, wish: JobChanges, detail: Mapping[str, Any] | None = None) -> Turn:
    """What a wish to cancel makes of a queued job: an order that is open may still be made, and is waited for."""
    job: JobChanges = {"flagged": None, "overdue": False}
    open_ones = [attempt for attempt in case.attempts.values() if attempt.is_open]
    if open_ones:
        newest = max(open_ones, key=lambda attempt: attempt.number)
        return turn_of(E.STAND_BY, newest, {**wish, **job}, detail=detail)
    return Turn(Move(E.CANCEL, case.job.attempt, detail or {}), job, {})


def no_order_of(case: Case, attempt: Attempt, otherwise: Event) -> Event:
    """The move of a job one of whose orders came to nothing: under a wish it is cancelled, unless another may come."""
    if not case.job.cancel_requested_at or case.has_news:
        return otherwise
    others = [a for a in case.attempts.values() if a.number != attempt.number]
    return otherwise if any(a.is_open or a.outcome is A.FINISHED for a in others) else E.CANCEL


def _known_elsewhere(case: Case, rules: Rules) -> Turn | None:
    """Another attempt that made the video, or is making it."""
    open_ones = (a for a in case.attempts.values() if a.is_open and a.task_id)
    running = next((a for a in open_ones if not a.is_failed_in_doubt), None)
    if running is None or _waiting_proof(case):
        return _proof(case, rules)
    job: JobChanges = {**no_error(), "provider": running.provider, "flagged": None, "cancel_requested_at": None}
    return turn_of(E.RECALL, running, job)


def _submitting(case: Case, now: datetime, rules: Rules) -> Turn | None:
    """A submit is over, by its answer or by its holder's death."""
    attempt = _current(case)
    if attempt.outcome is A.REFUSED:
        return _refused(case, attempt, rules)
    if attempt.outcome is A.NOT_SENT or attempt.sending_at is None:
        return _not_sent(case, attempt, now)
    if attempt.task_id is not None and attempt.is_open:
        return _accepted(case, attempt, now)
    lost: AttemptChanges = {} if attempt.lost_at else {"lost_at": now}
    if attempt.is_open:
        lost["standing"] = Standing.UNCERTAIN
    return turn_of(E.LOSE, attempt, attempt_changes=lost)


def _unconfirmed(case: Case, now: datetime, rules: Rules) -> Turn | None:
    attempt = _current(case)
    if attempt.outcome is A.REFUSED:
        return _refused(case, attempt, rules)
    if attempt.outcome is A.NOT_SENT:
        return _not_sent(case, attempt, now)
    if attempt.outcome is A.FINISHED:
        return _finished(attempt, rules)
    if attempt.outcome is A.FAILED:
        return _failed_verdict(case, attempt, now, rules)
    if attempt.task_id is not None and not attempt.is_failed_in_doubt:
        return _accepted(case, attempt, now)
    # A video that was made comes before an order that may have been: its link dies while that one is waited for.
    if known := _known_elsewhere(case, rules) if attempt.is_forgotten else _proof(case, rules):
        return known
    if lives.is_over(case, attempt, now, rules):
        return _unknown_forever(attempt)
    if alarms.may_resubmit(case, rules) and now >= schedule.resubmit_at(attempt, rules.settings):
        return turn_of(E.RESUBMIT, attempt, {"start_by": start_by(case, now, rules)})
    return None


def _generating(case: Case, now: datetime, rules: Rules) -> Turn | None:
    attempt = _current(case)
    if attempt.outcome is A.FINISHED:
        return _finished(attempt, rules)
    if attempt.outcome is A.FAILED:
        return _failed_verdict(case, attempt, now, rules)
    if attempt.task_id is None or attempt.is_failed_in_doubt:
        return turn_of(E.GIVE_BACK, attempt, {"progress": None})
    if not lives.is_over(case, attempt, now, rules):
        return None
    if lives.is_finished_without_link(attempt):
        return turn_of(E.EXPIRE, attempt, _error(attempt, retryable=True), lives.last_word(case, attempt))
    return _unknown_forever(attempt, "task_expired", "The gateway gave no last word while the task could exist.")


def _archiving(case: Case, now: datetime, rules: Rules) -> Turn | None:
    attempt = _current(case)
    if attempt.outcome is A.DELIVERED:
        # Its task may have been given back to its true owner while it was copied: then a person must look.
        flagged = None if attempt.task_id else "foreign_task"
        job: JobChanges = {**no_error(), "progress": 100, "overdue": False, "flagged": flagged, "link_dies_at": None}
        return turn_of(E.STORE, attempt, job)
    if attempt.outcome is A.UNDELIVERED:
        event = E.KEY_CONFLICT if attempt.error_code == "key_conflict" else E.EXPIRE
        return turn_of(event, attempt, {**_error(attempt, retryable=True), "link_dies_at": None})
    if attempt.is_open:
        return turn_of(E.GIVE_BACK, attempt, {"progress": None, "link_dies_at": None})
    return None


def _failed(case: Case, now: datetime, rules: Rules) -> Turn | None:
    return _proof(case, rules)


def _ended(case: Case, now: datetime, rules: Rules) -> Turn | None:
    return None


def _not_started(case: Case) -> JobChanges:
    job = case.job
    limit = "before a link to its inputs would die" if job.start_by == job.inputs_until else "within its start_within_s"
    waited = f" It was waiting: {job.waiting['reason']}." if job.waiting else ""
    message = f"No gateway accepted the job {limit}.{waited}"
    return {"error_code": "not_started", "error_message": message, "error_retryable": True, "error_said": None}


JUDGES: dict[State, Callable[[Case, datetime, Rules], Turn | None]] = {
    S.QUEUED: _queued,
    S.SUBMITTING: _submitting,
    S.UNCONFIRMED: _unconfirmed,
    S.GENERATING: _generating,
    S.ARCHIVING: _archiving,
    S.FAILED: _failed,
    S.ARCHIVED: _ended,
    S.CANCELLED: _ended,
}


def _accepted(case: Case, attempt: Attempt, now: datetime) -> Turn:
    """A wish to cancel lapses here: no gateway can cancel, and what is paid for will be archived."""
    lapsed = {"cancel_lapsed": True} if case.job.cancel_requested_at else {}
    job: JobChanges = {
        **no_error(),
        "provider": attempt.provider,
        "cancel_requested_at": None,
        "flagged": None,
        "overdue": False,
    }
    changes: AttemptChanges = {"standing": Standing.HELD, **({} if attempt.accepted_at else {"accepted_at": now})}
    return turn_of(E.ACCEPT, attempt, job, changes, {"task_id": attempt.task_id, **lapsed})


def _finished(attempt: Attempt, rules: Rules) -> Turn:
    job: JobChanges = {**no_error(), "provider": attempt.provider, "progress": 100, "flagged": None}
    job["cancel_requested_at"] = None
    job["link_dies_at"] = schedule.link_end(attempt, rules.settings, rules.providers)
    return turn_of(E.FINISH, attempt, job, detail={"by": attempt.news_by})


def _failed_verdict(case: Case, attempt: Attempt, now: datetime, rules: Rules) -> Turn:
    detail = {"code": attempt.error_code, "message": attempt.error_message, "by": attempt.news_by}
    if case.job.cancel_requested_at and case.job.state is S.UNCONFIRMED:
        return turn_of(no_order_of(case, attempt, E.DEFER), attempt, detail=detail)
    bought = sum(a.accepted_at is not None for a in case.attempts.values())
    # Whoever made an order that we have forgotten may have made the next one as well.
    again = bool(attempt.error_retryable) and not attempt.is_forgotten
    again = again and bought < rules.settings.max_attempts and bool(rules.remaining(case))
    if (later := _later_one(case, attempt)) and not _waiting_proof(case):
        return turn_of(E.STAND_BY, later, {**no_error(), "progress": None, "flagged": None}, detail=detail)
    if again or _waiting_proof(case):
        return turn_of(
            E.FAIL_RETRYABLE,
            attempt,
            {**no_error(), "progress": None, "start_by": start_by(case, now, rules)},
            {},
            detail,
        )
    return turn_of(E.FAIL, attempt, _error(attempt, retryable=bool(attempt.error_retryable)), {}, detail)


def _refused(case: Case, attempt: Attempt, rules: Rules) -> Turn:
    detail = {"code": attempt.error_code, "message": attempt.error_message}
    if case.job.cancel_requested_at:
        return turn_of(no_order_of(case, attempt, E.DEFER), attempt, detail=detail)
    # A refusal that is about the key (no credit, too many requests) is no reason to fail a job: it waits.
    if (later := _later_one(case, attempt)) and not _waiting_proof(case):
        return turn_of(E.STAND_BY, later, {"flagged": None}, detail=detail)
    if attempt.error_code not in ABOUT_REQUEST or rules.remaining(case) or _waiting_proof(case):
        about_key: JobChanges = {} if attempt.error_code in ABOUT_REQUEST else {"waiting": _waits(attempt)}
        flagged: JobChanges = {"flagged": _FLAGS.get(attempt.error_code or "")}
        return turn_of(E.DEFER, attempt, {**flagged, **about_key}, detail=detail)
    return turn_of(E.REFUSE, attempt, _error(attempt, retryable=False), detail=detail)


def _later_one(case: Case, attempt: Attempt) -> Attempt | None:
    """An open order after this one, to which the job had come back: it may yet be made, so no other one follows."""
    if case.job.state is S.SUBMITTING:
        return None
    others = [each for each in case.attempts.values() if each.is_open and not each.is_forgotten]
    later = [each for each in others if each.number > attempt.number]
    return max(later, key=lambda each: each.number, default=None)


_FLAGS = {"insufficient_credits": "out_of_credit", "unauthorized": "key_refused"}


def _not_sent(case: Case, attempt: Attempt, now: datetime) -> Turn:
    """It goes to the next gateway of its route, as an attempt of its own; this one is not tried for a while.

    A worker that died before it sent says nothing of the gateway: then it goes at once, to whichever is first.
    """
    event = no_order_of(case, attempt, E.DEFER)
    unsent: AttemptChanges = {"outcome": A.NOT_SENT, "standing": Standing.NONE, "closed_at": now}
    reason = attempt.error_message or "nothing was sent"
    why: JobChanges = {"waiting": _waits(attempt)} if attempt.error_code else {}
    return turn_of(event, attempt, why, unsent, {"reason": reason})


def _waits(attempt: Attempt) -> dict[str, str | None]:
    """Why a job is not ordered: what its last order came to. A trouble of our own counts against no gateway."""
    provider = None if attempt.error_code == OWN_TROUBLE else attempt.provider
    return {
        "provider": provider,
        "code": attempt.error_code,
        "reason": f"{attempt.provider}: {attempt.error_message}",
    }


def _unknown_forever(
    attempt: Attempt,
    code: str = "submit_unconfirmed",
    message: str = "The answer to the submit was lost.",
) -> Turn:
    expired: AttemptChanges = {"outcome": A.EXPIRED, "standing": Standing.UNCERTAIN}
    said = f"{message} It may have been charged."
    error: JobChanges = {"error_code": code, "error_message": said, "error_retryable": True, "error_said": None}
    return turn_of(E.EXPIRE, attempt, {**error, "flagged": "uncertain_money"}, expired)


def _waiting_proof(case: Case) -> Attempt | None:
    return next((a for a in case.attempts.values() if a.outcome is A.FINISHED), None)


def _proof(case: Case, rules: Rules) -> Turn | None:
    """An attempt that made the video after all: it is copied, and nothing more is bought."""
    made = _waiting_proof(case)
    if made is None:
        return None
    job: JobChanges = {**no_error(), "provider": made.provider, "progress": 100, "flagged": None}
    job["cancel_requested_at"] = None
    return turn_of(E.PROVE, made, {**job, "link_dies_at": schedule.link_end(made, rules.settings, rules.providers)})


def _current(case: Case) -> Attempt:
    attempt = case.current
    if attempt is None:
        raise LookupError(f"{case.job.id} is {case.job.state} without an attempt.")
    return attempt


def _error(attempt: Attempt, *, retryable: bool) -> JobChanges:
    return {
        "error_code": attempt.error_code,
        "error_message": attempt.error_message,
        "error_retryable": retryable,
        "error_said": attempt.error_said,
    }


def no_error() -> JobChanges:
    return {"error_code": None, "error_message": None, "error_retryable": None, "error_said": None}


def start_by(case: Case, now: datetime, rules: Rules) -> datetime:
    """A further attempt has as long to be accepted as the client gave the first, while its inputs can be fetched."""
    asked = now + timedelta(seconds=case.job.request.get("start_within_s") or rules.settings.start_within_s)
    return min(asked, case.job.inputs_until or asked)
