"""What is written on the rows of orders and jobs, by their columns; and what is forgotten of an order's task. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict, cast

from jobs.machine.rows import Attempt, AttemptOutcome, Settled, Standing


class AttemptChanges(TypedDict, total=False):
    """What a step has learnt of an attempt, by the columns of its row; what is not named stays as it is."""

    outcome: AttemptOutcome
    standing: Standing
    task_id: str | None
    adopted: bool
    contested: bool
    rejected_task_ids: list[str]
    last_word: str | None
    news_by: str | None
    news_at: datetime | None
    link: str | None
    error_code: str | None
    error_message: str | None
    error_retryable: bool | None
    error_said: str | None
    reported_credits: float | None
    reported_usd: float | None
    sending_at: datetime | None
    age_unknown: bool
    lost_at: datetime | None
    accepted_at: datetime | None
    last_unfinished_at: datetime | None
    finished_at: datetime | None
    closed_at: datetime | None
    polls: int
    answered_at: datetime | None
    unanswered_since: datetime | None
    settled: Settled | None
    named_task_id: str | None
    named_refused: str | None
    unproven: list[dict[str, Any]]
    accepted_sha256: str | None
    accepted_by: str | None


class JobChanges(TypedDict, total=False):
    """What is written on a job beside its moves, by the columns of its row."""

    attempt: int
    bucket: str
    bytes: int
    sha256: str
    duration_s: float | None
    width: int | None
    height: int | None
    fps: float | None
    accepted_by: str | None
    error_code: str | None
    error_message: str | None
    error_retryable: bool | None
    error_said: str | None

    provider: str | None
    progress: int | None
    overdue: bool
    flagged: str | None
    troubles: int
    holder_deaths: int
    set_aside_until: datetime | None
    cancel_requested_at: datetime | None
    start_by: datetime
    link_dies_at: datetime | None
    waiting: Mapping[str, Any] | None


# What a row says of its order's task, where nothing is known of one.
OF_TASK: AttemptChanges = {
    "adopted": False,
    "contested": False,
    "last_word": None,
    "news_by": None,
    "news_at": None,
    "link": None,
    "error_code": None,
    "error_message": None,
    "error_retryable": None,
    "error_said": None,
    "reported_credits": None,
    "reported_usd": None,
    "accepted_at": None,
    "last_unfinished_at": None,
    "finished_at": None,
    "closed_at": None,
    "answered_at": None,
    "unanswered_since": None,
    "accepted_sha256": None,
    "accepted_by": None,
}


def forgotten_task(attempt: Attempt) -> AttemptChanges:
    """What is to be forgotten of an attempt's task, as it is another order's, or gives way to another task."""
    left = {name: empty for name, empty in OF_TASK.items() if getattr(attempt, name) != empty}
    return cast(AttemptChanges, left)


def rejection(attempt: Attempt, said: AttemptChanges, task_id: str, reason: str) -> AttemptChanges:
    """What is left of a candidate that is not this attempt's task, beside those rejected so far (`said`).

    The person who named it is told why.
    """
    before = said.get("rejected_task_ids", attempt.rejected_task_ids)
    changes: AttemptChanges = {"rejected_task_ids": list(dict.fromkeys([*before, task_id]))}
    if task_id == attempt.named_task_id:
        changes["named_refused"] = reason
    elif "named_refused" in said:
        changes["named_refused"] = said["named_refused"]
    return changes


def with_times(changes: AttemptChanges, now: datetime) -> AttemptChanges:
    """Changes of an attempt, with the times that they imply."""
    values = changes.copy()
    if values.get("task_id"):
        values["accepted_at"] = values.get("accepted_at") or now
        if "outcome" not in values:
            values.setdefault("closed_at", None)  # what was heard before was said of another task
    if values.get("outcome", AttemptOutcome.OPEN) not in (AttemptOutcome.OPEN, AttemptOutcome.NOT_SENT):
        values["closed_at"] = values.get("closed_at") or now
    return values
