"""Following jobs to their ends, for `submit --wait` and `jobs watch`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushes.cli.service.api import Api
from rushes.cli.terminal import failures, output
from rushes.cli.terminal.failures import Failure, told_when_interrupted

Show = Callable[[dict[str, Any]], None]


def follow(api: Api, *job_ids: str, timeout_s: float | None, show: Show) -> dict[str, dict[str, Any]]:
    """The jobs at their ends, by id; every change is shown. Raises Failure when time is up."""
    jobs = {}
    with told_when_interrupted(lambda: goes_on(*job_ids)):
        for job in api.watch(*job_ids, timeout_s=timeout_s):
            jobs[job["id"]] = job
            show(job)
    return jobs


def goes_on(*job_ids: str) -> str:
    """How to come back to jobs that nobody watches any more."""
    one = job_ids[0] if len(job_ids) == 1 else "the jobs"
    return f"{one} {'goes' if len(job_ids) == 1 else 'go'} on without us: `rushes jobs watch {' '.join(job_ids)}`"


def note(job: dict[str, Any]) -> None:
    """One line about a job, on stderr."""
    by = f" at {job['provider']}" if job["provider"] else ""
    progress = f", {job['progress']} %" if job["progress"] is not None and job["state"] == "generating" else ""
    overdue = ", overdue" if job["overdue"] else ""
    waiting = f": {job['waiting']['reason']}" if job.get("waiting") else ""
    output.note(f"{job['id']}  {job['state']}{by}{progress}{overdue}{waiting}")


def judge(job: dict[str, Any]) -> None:
    """Raise Failure unless the job has ended as a video."""
    if job["state"] != "archived":
        error = job["error"] or {}
        said = f": {error.get('code')}: {error.get('message')}" if error else ""
        hint = f"`rushes jobs show {job['id']}` has its history"
        raise Failure(f"{job['id']} is {job['state']}{said}", failures.JOB_FAILED, hint=hint)
