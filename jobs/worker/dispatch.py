"""Runs steps: one whose doorbell rang, or every due one in place."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from jobs.errors import UnknownJob
from jobs.steps import archiving, reconciliation, submission
from jobs.steps.resources import Parts
from jobs.steps.step import fence
from jobs.store import heartbeats
from jobs.store.database import DatabaseUnavailable
from jobs.store.due import due_jobs, due_notices
from jobs.worker.sweep import NOTIFY, SWEPT

log = structlog.get_logger()

RUN: dict[str, Callable[[str, Parts], None]] = {
    "jobs.transfer": archiving.transfer,
    "jobs.lose": submission.lose,
    "jobs.reconcile": reconciliation.reconcile,
    "jobs.submit": submission.submit,
}


def run_in_place(parts: Parts, notify: Callable[[str, Parts], None], *, limit: int = 1000) -> int:
    """Run every due step here and now, without Celery; returns how many ran. For cron, and for a lost Valkey.

    `notify` sends a job's due notices: the room above this one knows how.
    """
    ran = 0
    for step, run in {**RUN, NOTIFY: notify}.items():
        with parts.database.read() as db:
            now = parts.database.clock(db)
            found = (
                due_notices(db, limit=limit, now=now) if step == NOTIFY else due_jobs(db, step, limit=limit, now=now)
            )
        for row in found:
            guarded(step, row.id, parts, run)
            ran += 1
    heartbeats.beat(parts.database, SWEPT, SWEPT)
    return ran


def guarded(step: str, job_id: str, parts: Parts, run: Callable[[str, Parts], None]) -> None:
    """Run one step; whatever it raises is logged, and its row is set aside, so that the others go on."""
    try:
        run(job_id, parts)
    except DatabaseUnavailable as e:
        log.warning("database_unavailable", step=step, job=job_id, reason=str(e))
    except UnknownJob:  # rung for before a backup was put back
        log.warning("unknown_job", step=step, job=job_id)
    except Exception:
        log.exception("step_raised", step=step, job=job_id)
        if step in RUN:
            fence(job_id, parts)
