"""This room's Celery task: a name and one call."""

from __future__ import annotations

from celery import shared_task

from jobs.worker.dispatch import guarded
from jobs.worker.process import working
from jobs.worker.sweep import NOTIFY
from webhooks import delivery


@shared_task(name="webhooks.notify")
def notify(job_id: str) -> None:
    process = working()
    with process.watchdog.watching(NOTIFY):
        guarded(NOTIFY, job_id, process.resources, delivery.notify)
