"""Where a job's objects stand in the bucket. The day is the job's, so a transfer past midnight finds the same key."""

import hashlib
import re
from datetime import UTC, datetime

JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
VIDEO, POSTER, SIDECAR = ".mp4", ".jpg", ".json"
CONTESTED, UNPROVEN = "contested/", "unproven/"  # the folders beside the archive, below the prefix
OURS = re.compile(r"videos/\d{4}/\d{2}/\d{2}/([A-Za-z0-9_-]{1,100})\.(?:mp4|jpg|json)")


def video_key(prefix: str, job_id: str, created_at: datetime) -> str:
    """`<prefix>videos/yyyy/mm/dd/<job_id>.mp4`, the day in UTC. The prefix is taken as it is; no slash is added."""
    if not JOB_ID.fullmatch(job_id):
        raise ValueError(f"{job_id!r} cannot stand in a key; letters, digits, _ and - can")
    if created_at.tzinfo is None:
        raise ValueError(f"{created_at} has no time zone, so it has no day in UTC")
    return f"{prefix}videos/{created_at.astimezone(UTC):%Y/%m/%d}/{job_id}{VIDEO}"


def aside_key(prefix: str, provider: str, task_id: str) -> str:
    """Where a task's film is kept while two jobs lay claim to it: `<prefix>contested/<provider>/<digest>.mp4`."""
    digest = hashlib.sha256(task_id.encode()).hexdigest()
    return f"{prefix}{CONTESTED}{provider}/{digest}{VIDEO}"


def unproven_key(prefix: str, sha256: str) -> str:
    """Where bytes stand that the proof refused, once per content: `<prefix>unproven/<sha256>`, as no video is named."""
    return f"{prefix}{UNPROVEN}{sha256}"


def poster_key(video_key: str) -> str:
    return video_key.removesuffix(VIDEO) + POSTER


def sidecar_key(video_key: str) -> str:
    return video_key.removesuffix(VIDEO) + SIDECAR


def job_of(prefix: str, key: str) -> str | None:
    """Whose object stands at a key, by its name; None for a key that no job's object has."""
    found = OURS.fullmatch(key.removeprefix(prefix)) if key.startswith(prefix) else None
    return found[1] if found else None
