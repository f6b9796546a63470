"""A job as its client sees it: in the API, in a notice, beside the video in the bucket."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobs.records import Case
from jobs.states import State


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
        "needs_person": job.flagged,
        "cancel_requested": job.cancel_requested_at is not None,
        "error": _error(case),
        "cost": _cost(case),
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
    return {"code": job.error_code, "message": job.error_message, "retryable": job.error_retryable}


def _cost(case: Case) -> dict[str, Any] | None:
    """The current attempt's money. Credits are the gateway's own; US dollars where a rate is published."""
    current = case.current
    if current is None:
        return None
    return {
        "standing": current.standing.value,
        "estimated_credits": current.estimated_credits,
        "estimated_usd": current.estimated_usd,
        "reported_credits": current.reported_credits,
    }


def _video(case: Case) -> dict[str, Any] | None:
    job = case.job
    if job.state is not State.ARCHIVED:
        return None
    facts = {name: getattr(job, name) for name in ("bytes", "sha256", "duration_s", "width", "height", "fps")}
    return {"bucket": job.bucket, "key": job.archive_key, **facts}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
