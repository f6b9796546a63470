"""Runs steps: one whose doorbell rang, or every due one in place."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from jobs.errors import UnknownJob
from jobs.steps import archiving, reconciliation, submission
from jobs.steps.resources import Resources
from jobs.steps.step import fence
from jobs.store import heartbeats
from jobs.store.database import DatabaseUnavailable
from jobs.store.due import due_jobs, due_notices
from jobs.worker.sweep import NOTIFY, SWEPT

log = structlog.get_logger()

RUN: dict[str, Callable[[str, Resources], None]] = {
    "jobs.transfer": archiving.transfer,
    "jobs.lose": submission.lose,
    "jobs.reconcile": reconciliation.reconcile,
    "jobs.submit": submission.submit,
}


def run_in_place(resources: Resources, notify: Callable[[str, Resources], None], *, limit: int = 1000) -> int:
    """Run every due step here and now, without Celery; returns how many ran. For cron, and for a lost Valkey.

    `notify` sends a job's due notices: the room above this one knows how.
    """
    ran = 0
    for step, run in {**RUN, NOTIFY: notify}.items():
        with resources.database.read() as db:
            now = resources.database.clock(db)
            found = (
                due_notices(db, limit=limit, now=now) if step == NOTIFY else due_jobs(db, step, limit=limit, now=now)
            )
        for row in found:
            guarded(step, row.id, resources, run)
            ran += 1
    heartbeats.beat(resources.database, SWEPT, SWEPT)
    return ran


def guarded(step: str, job_id: str, resources: Resources, run: Callable[[str, Resources], None]) -> None:
    """Run one step; whatever it raises is logged, and its row is set aside, so that the others go on."""
    try:
        run(job_id, resources)
    except DatabaseUnavailable as e:
        log.warning("database_unavailable", step=step, job=job_id, reason=str(e))
    except UnknownJob:  # rung for before a backup was put back
        log.warning("unknown_job", step=step, job=job_id)
    except Exception:
        log.exception("step_raised", step=step, job=job_id)
        if step in RUN:
            fence(job_id, resources)
