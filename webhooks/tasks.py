"""This room's Celery task: a name and one call."""

from __future__ import annotations

from celery import shared_task

from jobs.process import working
from webhooks import delivery


@shared_task(name="webhooks.notify")
def notify(job_id: str) -> None:
    process = working()
    with process.watchdog.watching("webhooks.notify"):
        delivery.notify(job_id, process.parts)
