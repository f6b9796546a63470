"""The sidecar: the JSON beside a video, from which its job's row can be built again. No keys, no `notify_url`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jobs.machine.job_json import job_json
from jobs.machine.rows import AttemptOutcome, Case, Job, JobChanges, Origin, Standing
from jobs.machine.states import State
from jobs.providers.base import Provider
from jobs.store import attempt_rows, spending
from jobs.store.spending import FREE
from storage.bucket import StoredVideo

REBUILT = "rebuilt"  # in place of the API key that ordered, which no sidecar names


class BadSidecar(Exception):
    """It is not one of ours, or not of this video."""


def write(case: Case, metadata: Mapping[str, str]) -> bytes:
    """What a sidecar says of a job whose video bears this metadata."""
    request = {name: value for name, value in case.job.request.items() if name != "notify_url"}
    view = {name: value for name, value in job_json(case).items() if name not in ("links", "video")}
    return json.dumps({**view, "request": request, "object": dict(metadata)}, ensure_ascii=False, indent=1).encode()


def video_columns(stored: StoredVideo) -> JobChanges:
    """A video's columns of its job's row, from the object's own metadata. Raises KeyError, ValueError."""
    said = stored.metadata
    width, _, height = said["rushes-size"].partition("x")
    return {
        "bytes": stored.bytes,
        "sha256": said["rushes-sha256"],
        "duration_s": float(said["rushes-duration-s"]),
        "width": int(width),
        "height": int(height),
        "fps": float(said["rushes-fps"]),
    }


def rows(
    body: bytes, stored: StoredVideo, *, bucket: str, providers: Mapping[str, Provider], now: datetime
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The rows of an archived job and of its orders, from the sidecar and the video beside it. Raises BadSidecar."""
    try:
        said = json.loads(body)
        if said["id"] != stored.metadata["rushes-job"]:
            raise BadSidecar(f"it is of {said['id']}, the video of {stored.metadata['rushes-job']}")
        number = int(stored.metadata["rushes-attempt"])
        attempts = [_attempt(said, attempt, stored, number, providers) for attempt in said["attempts"]]
        job = _job(said, stored, attempts, number, bucket, now)
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise BadSidecar(f"it cannot be read ({type(e).__name__}: {e})") from e
    return job, attempts


def _job(
    said: Mapping[str, Any],
    stored: StoredVideo,
    attempts: list[dict[str, Any]],
    number: int,
    bucket: str,
    now: datetime,
) -> dict[str, Any]:
    made = {attempt["number"]: attempt for attempt in attempts}[number]
    created_at = datetime.fromisoformat(said["created_at"])
    row: dict[str, Any] = dict.fromkeys(Job.__dataclass_fields__)
    return row | {
        "id": said["id"],
        "state": State.ARCHIVED,
        "version": 0,
        "alarm_at": now if any(attempt["outcome"] is AttemptOutcome.OPEN for attempt in attempts) else None,
        "mode": str(said["mode"]),
        "request": dict(said["request"]),
        "provider": made["provider"],
        "attempt": number,
        "progress": 100,
        "overdue": False,
        "troubles": 0,
        "on_unconfirmed": said["request"].get("on_unconfirmed", "wait"),
        "start_by": created_at,
        "archive_key": stored.key,
        "bucket": bucket,
        **video_columns(stored),
        "notices": 0,
        "metadata": {str(name): str(value) for name, value in said["metadata"].items()},
        "api_key_id": REBUILT,
        "created_at": created_at,
        "updated_at": now,
        "ended_at": now,
    }


def _attempt(
    said: Mapping[str, Any],
    attempt: Mapping[str, Any],
    stored: StoredVideo,
    made: int,
    providers: Mapping[str, Provider],
) -> dict[str, Any]:
    cost, number, created_at = attempt["cost"], int(attempt["number"]), datetime.fromisoformat(attempt["created_at"])
    outcome, standing = AttemptOutcome(attempt["outcome"]), Standing(cost["standing"])
    if number == made:
        outcome, standing = AttemptOutcome.DELIVERED, Standing.CHARGED
    reported = cost["reported_usd"]
    usd = cost["estimated_usd"] if reported is None else reported
    return attempt_rows.new_row(
        said["id"],
        number,
        attempt["provider"],
        Origin.ORDERED,
        base_url=providers[attempt["provider"]].base_url,
        account="",  # no sidecar names a key
        with_callback=False,
        created_at=created_at,
        outcome=outcome,
        standing=standing,
        settled=None if number == made else attempt.get("settled"),
        task_id=(stored.metadata.get("rushes-task") or None) if number == made else attempt["task_id"],
        **{name: cost[name] for name in ("estimated_credits", "estimated_usd", "estimate_exact")},
        **{name: cost[name] for name in ("reported_credits", "reported_usd")},
        reserved_micro_usd=0 if standing in FREE else spending.micro(usd),
        sending_at=created_at,
        sends=1,
        accepted_at=created_at if attempt["task_id"] else None,
    )
