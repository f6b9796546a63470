"""Which facts a pipeline is told, and the row that says so. Sending them is the webhooks room's business."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from ulid import ULID

from jobs.models import notices
from jobs.records import Case, Job
from jobs.states import State
from jobs.view import job_view

TOLD = {
    State.ARCHIVED: "job.archived",
    State.FAILED: "job.failed",
    State.CANCELLED: "job.cancelled",
    State.UNCONFIRMED: "job.unconfirmed",
}


def due_for(job: Job, state: State) -> str | None:
    """The type of notice that a job's arrival in a state asks for; None: nobody is to be told."""
    return TOLD.get(state) if job.notify_url else None


def write(db: Connection, case: Case, kind: str, *, now: datetime) -> None:
    """Write the notice in the transaction that made the fact; it carries the whole job as it stands there."""
    job = case.job
    body = {"type": kind, "timestamp": now.isoformat(), "sequence": job.notices, "data": job_view(case)}
    db.execute(
        sa.insert(notices).values(
            id=f"ntc_{ULID()}",
            job_id=job.id,
            sequence=job.notices,
            type=kind,
            url=job.notify_url,
            body=body,
            version=0,
            alarm_at=now,
            created_at=now,
        )
    )
