"""A batch as it is looked at again and again: which of its jobs have changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jobs.machine.states import ENDED
from rushes.cli.service.api import Api

CHANGES = ("state", "attempt", "progress", "overdue", "needs_person")


class BatchLooks:
    """The jobs of a batch, by id, as they were when last looked at."""

    def __init__(self, api: Api, name: str) -> None:
        self._api, self._name = api, name
        self.jobs: dict[str, dict[str, Any]] = {}

    def look(self) -> Iterator[dict[str, Any]]:
        """Each job that is new or has changed since the look before. Raises Failure."""
        for job in self._api.each("/v1/jobs", {"batch": self._name}):
            before = self.jobs.get(job["id"])
            self.jobs[job["id"]] = job
            if before is None or any(job.get(name) != before.get(name) for name in CHANGES):
                yield job

    @property
    def is_over(self) -> bool:
        """Whether there are jobs, and all have ended."""
        return bool(self.jobs) and all(job["state"] in ENDED for job in self.jobs.values())
