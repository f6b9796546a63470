"""What a person should see at first sight of the task that a job waits for, and of its link. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from jobs.machine import schedule
from jobs.machine.rows import Case
from jobs.machine.states import ENDED, State
from jobs.providers.base import ReportState
from jobs.settings import Settings

# By the last word that history has of a task that is waited for, and of a transfer.
_FLAGS = {
    (State.GENERATING, "finished_without_link"): "no_link",
    (State.GENERATING, "link_forbidden"): "link_forbidden",
    (State.ARCHIVING, "transfer:LinkForbidden"): "link_forbidden",
}
UNKNOWN = "unknown:"  # how that word begins where no table of ours has the gateway's
FLAGS = frozenset(_FLAGS.values()) | {"unknown_word", "overdue_day"}
OVERDUE_DAY = timedelta(days=1)  # past the time at which the task was expected


def shown(case: Case, flagged: str | None, now: datetime, settings: Settings) -> str | None:
    """The flag of a job that has this one so far: one of a task comes and goes with what is said of the task.

    It outranks our own troubles, and leaves every other flag alone. It stays on a job that has ended with it.
    """
    if case.job.state in ENDED or flagged not in FLAGS | {None, "troubled"}:
        return flagged
    of_task = _of_task(case, flagged, now, settings)
    return of_task or (None if flagged in FLAGS else flagged)


def _of_task(case: Case, flagged: str | None, now: datetime, settings: Settings) -> str | None:
    word = (case.current.last_word if case.current else None) or ""
    known = _FLAGS.get((case.job.state, word))
    if known is not None or case.job.state is not State.GENERATING:
        return known
    if word.startswith(UNKNOWN):
        flagged = "unknown_word"
    elif flagged in FLAGS - {"overdue_day"} and word not in set(ReportState):
        pass  # nothing else has been said since
    else:
        flagged = "overdue_day" if _is_a_day_late(case, now, settings) else None
    return flagged


def _is_a_day_late(case: Case, now: datetime, settings: Settings) -> bool:
    accepted = case.current.accepted_at if case.current else None
    return accepted is not None and now >= schedule.expected_end(case.job.mode, accepted, settings) + OVERDUE_DAY
