"""Orders at EvoLink whose answers were lost, what callbacks tell of them, and what comes of that."""

from __future__ import annotations

from typing import Any

import requests
import sqlalchemy as sa
from workshop import RUN, Workshop

from jobs import callback_urls
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.store import tables

PROVIDER = "evolink"


def lost(workshop: Workshop, sandbox: Any, **request: Any) -> str:
    """A job whose order was made, and nobody knows it."""
    sandbox.fault(PROVIDER, "lose_callback")
    sandbox.fault(PROVIDER, "lose_answer", how="reset")
    job_id = workshop.create(provider=PROVIDER, **request)
    RUN["jobs.submit"](job_id, workshop.resources)
    assert workshop.state(job_id) is State.UNCONFIRMED
    return job_id


def tell(workshop: Workshop, job_id: str, task_id: str) -> None:
    url = callback_urls.mint(str(workshop.settings.public_url), workshop.settings.callback_keys, PROVIDER, job_id, 1)
    assert requests.post(url, json={"id": task_id, "status": "completed"}, timeout=5).ok


def adopts(workshop: Workshop, job_id: str, task_id: str) -> None:
    """Tell a job's order of a task, and sweep until it bears it."""
    tell(workshop, job_id, task_id)
    workshop.await_(lambda: workshop.sweep() is not None and bears(workshop, job_id) == task_id, "it is adopted")


def elsewhere(workshop: Workshop, sandbox: Any, **request: Any) -> str:
    """A task that another installation has made with the same key: no row bears it."""
    job_id = lost(workshop, sandbox, **request)
    with workshop.database.write() as db:
        for table in (tables.events, tables.attempts, tables.hearsay):
            db.execute(sa.delete(table).where(table.c.job_id == job_id))
        db.execute(sa.delete(tables.jobs).where(tables.jobs.c.id == job_id))
    task_id: str = sandbox.tasks(PROVIDER)[-1]["task_id"]
    return task_id


def happens(workshop: Workshop, job_id: str, event: str) -> None:
    """Sweep until the job's history has that line."""
    workshop.await_(lambda: workshop.sweep() is not None and event in workshop.history(job_id), event, job_id=job_id)


def kept(workshop: Workshop, job_id: str) -> None:
    """Sweep until the job's film is kept aside."""
    workshop.await_(lambda: workshop.sweep() is not None and "kept_aside" in workshop.history(job_id), "it is kept")


def told_on_both(workshop: Workshop, *both: str) -> None:
    """Sweep until both jobs say that the other lays claim to its task."""

    def is_told() -> bool:
        workshop.sweep()
        return {workshop.case(job_id).job.flagged for job_id in both} == {"contested_task"}

    workshop.await_(is_told, "it is told on both")


def bears(workshop: Workshop, job_id: str) -> str | None:
    return workshop.case(job_id).attempts[1].task_id


def renumber(workshop: Workshop, job_id: str) -> None:
    """The first order becomes the second one, and another one, which has come to nothing, bears its number."""
    first, of_job = tables.attempts.c, tables.jobs.c
    with workshop.database.write() as db:
        row = dict(db.execute(sa.select(tables.attempts).where(first.job_id == job_id)).mappings().one())
        other = {"outcome": AttemptOutcome.EXPIRED, "standing": Standing.UNCERTAIN, "task_id": "another"}
        db.execute(sa.update(tables.attempts).where(first.job_id == job_id).values(**other))
        db.execute(sa.insert(tables.attempts).values(**{**row, "number": 2}))
        db.execute(sa.update(tables.jobs).where(of_job.id == job_id).values(attempt=2, version=of_job.version + 1))
