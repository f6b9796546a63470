"""Why a person should look at a job: what moves have said, else what the rows show, for as long as they do. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from jobs.machine import schedule
from jobs.machine.case import Case
from jobs.machine.rows import ACCEPTED, FREE, Attempt, AttemptOutcome
from jobs.machine.schedule import Providers
from jobs.machine.states import ENDED, State
from jobs.providers.base import ReportState
from jobs.settings import Settings

TROUBLES_FLAGGED = 5  # failures of our own in a row
OVERDUE_DAY = timedelta(days=1)  # past the time at which a task was expected
HOLDER_DIED = "holder_died"  # said by whoever sets the job aside
UNKNOWN = "unknown:"  # how the last word begins where no table of ours has the gateway's
# By the last word of a task that is waited for, or of a transfer; and by what a job failed of.
_FLAGS = {
    (State.GENERATING, "finished_without_link"): "no_link",
    (State.GENERATING, "link_forbidden"): "link_forbidden",
    (State.ARCHIVING, "transfer:LinkForbidden"): "link_forbidden",
    **{(State.ARCHIVING, f"{doing}:BucketRefuses"): "bucket_refuses" for doing in ("transfer", "not_kept", ACCEPTED)},
    (State.ARCHIVING, "not_kept:Refused"): "film_not_kept",
    **{(State.ARCHIVING, f"{doing}:SpoolFull"): "disk_full" for doing in ("transfer", ACCEPTED)},
    (State.ARCHIVING, "transfer:LinkDenied"): "link_denied",
    (State.FAILED, "no_link"): "no_link",
    (State.FAILED, "link_forbidden"): "link_forbidden",
}
PRESSING = frozenset({"bucket_refuses", "disk_full"})  # whatever else is so: nothing is kept of a paid film meanwhile
OF_TASKS = frozenset(_FLAGS.values()) | {"unknown_word", "overdue_day"}
SHOWN = OF_TASKS | {
    "troubled",
    "absurd_cost",
    "contested_task",
    "unproven_film",
    "other_length",
}  # by rows; every other one is said by a move, and outranks these


def shown(case: Case, now: datetime, settings: Settings, providers: Providers) -> str | None:
    """The flag of a job, as its rows stand now."""
    job, flagged = case.job, case.job.flagged
    if flagged is not None and flagged not in SHOWN:
        return flagged
    # It stays until a move takes it back, of which a job that has ended has none.
    was_troubled = flagged == "troubled" and (job.state not in ENDED or job.troubles)
    of_task = _of_task(case, now, settings)
    if _is_contested(case, now, settings, providers) and of_task not in PRESSING:
        flagged = "contested_task"
    elif of_task is not None:
        flagged = of_task
    elif acceptable(case) is not None:
        flagged = "unproven_film"
    elif job.troubles >= TROUBLES_FLAGGED or was_troubled:
        flagged = "troubled"
    elif any(a.money.is_doubted and a.standing not in FREE for a in case.attempts.values()):
        flagged = "absurd_cost"
    elif job.state is State.ARCHIVED and _is_of_another_length(case):
        flagged = "other_length"
    else:
        flagged = None
    return flagged


def acceptable(case: Case) -> Attempt | None:
    """The order of which a person may take what the proof refused: the one that is copied, or one that failed so."""
    current = case.current
    if case.job.state is State.ARCHIVING and current is not None:
        return None if current.unproven_film is None or current.accepted_film else current
    if case.job.state is not State.FAILED:
        return None
    lost = (a for a in case.attempts.values() if a.outcome is AttemptOutcome.UNDELIVERED and a.unproven_film)
    return max(lost, key=lambda a: a.number, default=None)


def _is_contested(case: Case, now: datetime, settings: Settings, providers: Providers) -> bool:
    """Whether one of its orders, and one of another job's, lay claim to the same task by hearsay, or it has two.

    Of two that can live no longer nobody can say any more which it was.
    """
    undecided = [each for each in case.attempts.values() if case.is_undecided(each.number)]
    return any(each.contested or now < schedule.heard_until(each, settings, providers) for each in undecided)


def _is_of_another_length(case: Case) -> bool:
    """Whether the archived film is longer or shorter than what was ordered, where the order fixes that."""
    seconds, ordered = case.job.duration_s, case.job.ordered
    return seconds is not None and ordered is not None and not ordered.is_as_long(seconds)


def _of_task(case: Case, now: datetime, settings: Settings) -> str | None:
    """What the gateway says of the task that the job waits for, or of its link."""
    job, current = case.job, case.current
    if current is None:
        return None
    word = current.last_word or ""
    if job.state is State.FAILED:
        word = current.error_code or "" if current.outcome is AttemptOutcome.UNDELIVERED else ""
    flagged = _FLAGS.get((job.state, word))
    if flagged is not None or job.state is not State.GENERATING:
        return flagged
    if word.startswith(UNKNOWN):
        flagged = "unknown_word"
    elif job.flagged in OF_TASKS - {"overdue_day"} and word not in set(ReportState):
        flagged = job.flagged  # nothing else has been said since
    elif _is_a_day_late(current, job.mode, now, settings):
        flagged = "overdue_day"
    return flagged


def of_order(attempt: Attempt, mode: str, now: datetime, settings: Settings) -> str | None:
    """What a person should know of an open order for which its job no longer waits, or never did."""
    if attempt.finished_at is not None and attempt.error_code in OF_TASKS:
        return attempt.error_code
    if (attempt.last_word or "").startswith(UNKNOWN):
        return "unknown_word"
    return "overdue_day" if _is_a_day_late(attempt, mode, now, settings) else None


def _is_a_day_late(attempt: Attempt, mode: str, now: datetime, settings: Settings) -> bool:
    accepted = attempt.accepted_at
    return accepted is not None and now >= schedule.expected_end(mode, accepted, settings) + OVERDUE_DAY
