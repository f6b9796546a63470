"""A job as its client sees it: in the API, in a notice, beside the video in the bucket."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobs.records import Attempt, AttemptOutcome, Case, Standing
from jobs.states import ENDED, State


def job_view(case: Case) -> dict[str, Any]:
    """The whole job as JSON values; times are ISO 8601 in UTC."""
    job, current = case.job, case.current
    return {
        "id": job.id,
        "state": job.state.value,
        "mode": job.mode,
        "provider": job.provider,
        "attempt": job.attempt,
        "task_id": current.task_id if current else None,
        "progress": job.progress,
        "overdue": job.overdue,
        "waiting": _waiting(case),
        "needs_person": job.flagged,
        "cancel_requested": job.cancel_requested_at is not None,
        "error": _error(case),
        "cost": _cost(case),
        "attempts": [_attempt(case, attempt) for attempt in case.attempts.values()],
        "video": _video(case),
        "metadata": dict(job.metadata),
        "created_at": _iso(job.created_at),
        "updated_at": _iso(job.updated_at),
        "ended_at": _iso(job.ended_at),
        "links": {
            "self": f"/v1/jobs/{job.id}",
            "events": f"/v1/jobs/{job.id}/events",
            "video": f"/v1/jobs/{job.id}/video" if job.state is State.ARCHIVED else None,
        },
    }


def _error(case: Case) -> dict[str, Any] | None:
    job = case.job
    if job.error_code is None:
        return None
    return {
        "code": job.error_code,
        "message": job.error_message,
        "retryable": job.error_retryable,
        "provider_code": job.error_said,
    }


def _waiting(case: Case) -> dict[str, Any] | None:
    """Why a queued job was not ordered when it was last looked at, and when it is looked at again."""
    job = case.job
    return {**job.waiting, "until": _iso(job.alarm_at)} if job.waiting and job.state is State.QUEUED else None


def _cost(case: Case) -> dict[str, Any] | None:
    """The current attempt's money."""
    return None if case.current is None else _money(case.current)


def _money(attempt: Attempt) -> dict[str, Any]:
    """Credits are the gateway's own; US dollars where a rate is known."""
    return {
        "standing": attempt.standing.value,
        "estimated_credits": attempt.estimated_credits,
        "estimated_usd": attempt.estimated_usd,
        "estimate_exact": attempt.estimate_exact,
        "reported_credits": attempt.reported_credits,
        "reported_usd": attempt.reported_usd,
    }


def _attempt(case: Case, attempt: Attempt) -> dict[str, Any]:
    """One order, with what became of it and of its money. A link is shown where a paid video was not delivered."""
    return {
        "number": attempt.number,
        "provider": attempt.provider,
        "task_id": attempt.task_id,
        "outcome": attempt.outcome.value,
        "cost": _money(attempt),
        "link": attempt.link if paid_not_delivered(case.job.state, attempt) else None,
        "created_at": _iso(attempt.created_at),
    }


def paid_not_delivered(state: State, attempt: Attempt) -> bool:
    """Whether a gateway made a video and charged it, and the job has ended without it."""
    kept = attempt.outcome in (AttemptOutcome.FINISHED, AttemptOutcome.UNDELIVERED)
    return state in ENDED and kept and attempt.standing is Standing.CHARGED


def _video(case: Case) -> dict[str, Any] | None:
    job = case.job
    if job.state is not State.ARCHIVED:
        return None
    facts = {name: getattr(job, name) for name in ("bytes", "sha256", "duration_s", "width", "height", "fps")}
    return {"bucket": job.bucket, "key": job.archive_key, **facts}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
