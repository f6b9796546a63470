"""The sidecar: the JSON beside a video, from which its job's row can be built again.

No keys, no `notify_url`, and links to inputs without what signs them: whoever may see the bucket may read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jobs import gate
from jobs.machine.case import Case
from jobs.machine.job_json import job_json
from jobs.machine.rows import AttemptOutcome, Job, Money, Origin, Standing
from jobs.machine.states import State
from jobs.providers.base import Provider
from jobs.request import strict_json
from jobs.request.as_taken import as_taken
from jobs.request.generation import Mode
from jobs.steps import object_metadata
from jobs.steps.object_metadata import BadMetadata, Said
from jobs.store import attempt_rows, spending
from storage.bucket import StoredVideo

FIGURES = ("estimated_credits", "estimated_usd", "reported_credits", "reported_usd")
MOST_ATTEMPTS = 100_000  # the receiver takes no number beyond it
REBUILT = "rebuilt"  # in place of the API key that ordered, which no sidecar names


class BadSidecar(Exception):
    """It is not one of ours, or not of this video."""


def write(case: Case, metadata: Mapping[str, str]) -> bytes:
    """What a sidecar says of a job whose video bears this metadata."""
    view = {name: value for name, value in job_json(case).items() if name not in ("links", "video")}
    request = {name: value for name, value in view["request"].items() if name != "notify_url"}
    view["accepted_by"] = metadata.get("rushes-accepted-by")  # the row says so only once the video is there
    return json.dumps({**view, "request": request, "object": dict(metadata)}, ensure_ascii=False, indent=1).encode()


def rows(
    body: bytes, stored: StoredVideo, *, bucket: str, providers: Mapping[str, Provider], now: datetime
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The rows of an archived job and of its orders, from the sidecar and the video beside it. Raises BadSidecar."""
    try:
        said, video = strict_json.loads(body), object_metadata.read(stored)
        if said["id"] != video.job_id:
            raise BadSidecar(f"it is of {said['id']}, the video of {video.job_id}")
        attempts = [_attempt(said, attempt, video, providers) for attempt in said["attempts"]]
        job = _job(said, stored, attempts, video.attempt, bucket, now)
    except (BadMetadata, ValueError, KeyError, TypeError, AttributeError) as e:
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
    request = as_taken(said["request"], notify_url=None)
    created_at = _moment(said["created_at"])
    row: dict[str, Any] = dict.fromkeys(Job.__dataclass_fields__)
    return row | {
        "id": said["id"],
        "state": State.ARCHIVED,
        "version": 0,
        "alarm_at": now if any(attempt["outcome"] is AttemptOutcome.OPEN for attempt in attempts) else None,
        "mode": Mode(said["mode"]).value,
        "request": request,
        "provider": made["provider"],
        "attempt": number,
        "progress": 100,
        "overdue": False,
        "troubles": 0,
        "holder_deaths": 0,
        "on_unconfirmed": "resubmit" if said["request"].get("on_unconfirmed") == "resubmit" else "wait",
        "start_by": created_at,
        "archive_key": stored.key,
        "bucket": bucket,
        **object_metadata.video_columns(stored),
        "notices": 0,
        "metadata": {str(name): str(value) for name, value in said["metadata"].items()},
        "batch": gate.name(request["batch"]),
        "api_key_id": REBUILT,
        "created_at": created_at,
        "updated_at": now,
        "ended_at": now,
    }


def _attempt(
    said: Mapping[str, Any],
    attempt: Mapping[str, Any],
    video: Said,
    providers: Mapping[str, Provider],
) -> dict[str, Any]:
    cost, number, created_at = attempt["cost"], int(attempt["number"]), _moment(attempt["created_at"])
    if not 0 < number < MOST_ATTEMPTS:
        raise ValueError(f"order {number}")
    outcome, standing = AttemptOutcome(attempt["outcome"]), Standing(cost["standing"])
    task_id, settled = gate.name(attempt["task_id"]), attempt.get("settled")
    if number == video.attempt:
        outcome, standing, task_id, settled = AttemptOutcome.DELIVERED, Standing.CHARGED, video.task_id, None
    figures = {name: gate.amount(cost[name]) for name in FIGURES}
    money = Money(standing, settled, **figures)
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
        settled=settled,
        task_id=task_id,
        estimate_exact=bool(cost["estimate_exact"]),
        **figures,
        reserved_micro_usd=spending.taken(money),
        sending_at=created_at,
        sends=1,
        accepted_at=created_at if task_id else None,
    )


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value} names no time zone")
    return moment
