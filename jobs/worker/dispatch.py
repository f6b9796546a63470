"""Runs steps: one whose doorbell rang, or every due one in place."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Sequence
from functools import cache

import structlog

from jobs import measures
from jobs.errors import UnknownJob
from jobs.steps import late_answers
from jobs.steps.resources import Resources
from jobs.steps.step import fence
from jobs.store import heartbeats, waiting_jobs
from jobs.store.database import DatabaseUnavailable
from jobs.store.due import due_rows
from jobs.store.step_table import OF_JOBS, STEPS, Step

log = structlog.get_logger()


@cache
def runner(step: Step) -> Callable[[str, Resources], str | None]:
    """The function that the table names. It may live in a room above this one, which nothing here imports."""
    found: Callable[[str, Resources], str | None] = pkgutil.resolve_name(step.runs)
    return found


def run_in_place(resources: Resources, steps: Sequence[Step] = STEPS, *, limit: int = 1000) -> int:
    """Run every due step here and now, without Celery; returns how many ran. For cron, and for a lost Valkey."""
    ran = late_answers.bring(resources)
    have_gateways_asked(resources)
    for step in steps:
        with resources.database.read() as db:
            now = resources.database.clock(db)
            found = due_rows(db, step, limit=limit, now=now)
        for row in found:
            guarded(step, row.id, resources)
            ran += 1
    heartbeats.beat(resources.database, heartbeats.SWEPT, heartbeats.SWEPT)
    return ran


def have_gateways_asked(resources: Resources) -> None:
    """Once a minute, one of those who wait for a gateway that was silent looks whether it still is."""
    with resources.database.read() as db:
        if not waiting_jobs.any_to_ask(db, now=resources.database.clock(db)):
            return
    with resources.database.write() as db:
        waiting_jobs.wake_askers(db, now=resources.database.clock(db))


def guarded(step: Step, job_id: str, resources: Resources) -> str | None:
    """Run one step; whatever it raises is logged, and its row is set aside, so that the others go on.

    The job that this one has handed its turn on to, for the same step.
    """
    tallies, began = resources.database.tallies, resources.monotonic()
    try:
        turn = runner(step)(job_id, resources)
    except DatabaseUnavailable as e:
        tallies.count(measures.STEP_FAILURES, step.name)
        log.warning("database_unavailable", step=step.name, job=job_id, reason=str(e))
    except UnknownJob:  # rung for before a backup was put back
        log.warning("unknown_job", step=step.name, job=job_id)
    except Exception:
        tallies.count(measures.STEP_FAILURES, step.name)
        log.exception("step_raised", step=step.name, job=job_id)
        if step in OF_JOBS:
            fence(job_id, resources)
    else:
        return turn
    finally:
        tallies.observe(measures.STEP_S, resources.monotonic() - began, step.name)
    return None
