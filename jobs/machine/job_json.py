"""A job as its client sees it: in the API, in a notice, beside the video in the bucket."""

from __future__ import annotations

from typing import Any

from jobs.machine.case import Case
from jobs.machine.error_codes import IN_LINE
from jobs.machine.rows import Attempt, AttemptOutcome, Job, Standing
from jobs.machine.states import ENDED, State
from jobs.machine.times import iso
from jobs.request.as_taken import masked

NOT_LOOKED_AT = "no worker has looked at it yet"


def job_json(case: Case, position: int | None = None, *, whole_links: bool = False) -> dict[str, Any]:
    """The whole job as JSON values; times are ISO 8601 in UTC. `position`: its place in line.

    `whole_links`: for those who may order; to all others links to inputs lack what signs them.
    """
    job, current = case.job, case.current
    return {
        "id": job.id,
        "state": job.state.value,
        "accepted_by": job.accepted_by,
        "mode": job.mode,
        "provider": job.provider,
        "attempt": job.attempt,
        "task_id": current.task_id if current else None,
        "progress": job.progress,
        "overdue": job.overdue,
        "waiting": _waiting(case, position),
        "needs_person": job.flagged,
        "cancel_requested": job.cancel_requested_at is not None,
        "error": _error(case),
        "cost": _cost(case),
        "attempts": [_attempt(case, attempt) for attempt in case.attempts.values()],
        "video": _video(case),
        "request": job.taken if whole_links else masked(job.taken),
        "metadata": dict(job.metadata),
        "batch": job.batch,
        "created_at": iso(job.created_at),
        "updated_at": iso(job.updated_at),
        "ended_at": iso(job.ended_at),
        "links": {
            "self": f"/v1/jobs/{job.id}",
            "events": f"/v1/jobs/{job.id}/events",
            "video": f"/v1/jobs/{job.id}/video" if job.state is State.ARCHIVED else None,
            "poster": f"/v1/jobs/{job.id}/poster" if has_poster(job) else None,
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


def _waiting(case: Case, position: int | None) -> dict[str, Any] | None:
    """Why a queued job is not ordered yet, when it is looked at again, and by when a gateway must have accepted it."""
    job = case.job
    if job.state is not State.QUEUED:
        return None
    why = job.waiting or {"provider": None, "code": IN_LINE, "reason": NOT_LOOKED_AT}
    return {**why, "until": iso(job.alarm_at), "position": position, "start_by": iso(job.start_by)}


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
        "settled": attempt.settled and attempt.settled.value,
        "named": _named(attempt),
        "unproven": _unproven(attempt),
        "created_at": iso(attempt.created_at),
    }


def _named(attempt: Attempt) -> dict[str, Any] | None:
    """The task that a person named last, and what came of that."""
    if attempt.named_task_id is None:
        return None
    if attempt.task_id == attempt.named_task_id:
        state, reason = "believed", None
    elif attempt.is_named:
        state, reason = "asking", None
    else:
        state, reason = "refused", attempt.named_refused or f"its task turned out to be {attempt.task_id}"
    return {"task_id": attempt.named_task_id, "state": state, "reason": reason}


def _unproven(attempt: Attempt) -> dict[str, Any] | None:
    """What was refused of its film and is kept aside, as far as a person may yet want it."""
    film = attempt.unproven_film
    if film is None or attempt.outcome not in (AttemptOutcome.FINISHED, AttemptOutcome.UNDELIVERED):
        return None
    shown = {"sha256": film.sha256, "bytes": film.bytes, "reason": film.reason, "kept_at": iso(film.kept_at)}
    return {**shown, "accepted_by": attempt.accepted_by if attempt.accepted_film else None}


def has_poster(job: Job) -> bool:
    """Whether a first frame stands beside the video: there is none of an accepted film that shows none."""
    return job.state is State.ARCHIVED and job.width is not None


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
