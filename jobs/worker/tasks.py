"""Celery tasks: a name and one call. Their arguments are ids; what to do stands in the row."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from celery import Task, shared_task
from celery.exceptions import Reject

from jobs.errors import BadRequest, IdempotencyKeyReused
from jobs.intake import new_jobs
from jobs.intake.api_keys import CELERY
from jobs.store.database import DatabaseUnavailable
from jobs.store.step_table import STEPS, Step
from jobs.worker import dispatch, results
from jobs.worker.process import working

AWAY_PAUSE_S = 1


def _task(step: Step) -> None:
    @shared_task(name=step.name)
    def run(*job_ids: str) -> None:
        working().crew.do(*(partial(serve, step, job_id) for job_id in job_ids))


def serve(step: Step, job_id: str) -> None:
    """Run a step for this job, and then for those whose turn it is by its end; each has the step's whole time.

    One that has not begun when its process is to stop is left to others: the sweep rings for it again.
    """
    process, turn = working(), job_id
    while turn and not process.resources.stopping.is_set():
        with process.watchdog.watching(step.name):
            turn = dispatch.guarded(step, turn, process.resources) or ""


for _step in STEPS:
    _task(_step)


@shared_task(name="jobs.sweep")
def look() -> None:
    process = working()
    process.sweeper.run(for_s=process.resources.settings.sweep_interval_s)


@shared_task(name="rushes.generate", bind=True, acks_late=True, ignore_result=False)
def generate(self: Task, **request: Any) -> str | dict[str, Any]:
    """The job's id, or the problem of a bad request. The message's task id is the idempotency key."""
    turn = results.take_turn(self, request)
    (answer,) = working().crew.do(partial(_generated, request, key=self.request.id))
    results.make_room(self, request, turn)
    return answer


def _generated(request: Mapping[str, Any], key: str) -> str | dict[str, Any]:
    process = working()
    try:
        case, _ = new_jobs.create(request, process.resources, api_key_id=CELERY, idempotency_key=key)
    except BadRequest as e:
        return {"status": 422, "code": "invalid_request", "title": "The request is not valid.", "errors": e.fields}
    except IdempotencyKeyReused as e:
        return {"status": 422, "code": "idempotency_key_reused", "title": str(e)}
    except DatabaseUnavailable as e:
        process.resources.pause(AWAY_PAUSE_S)
        raise Reject(e, requeue=True) from e
    return case.job.id
