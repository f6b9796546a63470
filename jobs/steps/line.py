"""Jobs that this process has turned away because others' orders were on their way: who is done hands its turn on.

A memory that may be lost at any time. The rows say that these jobs wait, and their alarms bring them back without it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from jobs.machine.rows import Job

MOST = 1_000  # jobs at one gateway; those that come later have their alarms


class Line:
    """Waiting jobs by gateway, taken in turn between API keys and first come, first served within one. For threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, OrderedDict[str, OrderedDict[str, None]]] = {}

    def join(self, gateway: str, job: Job) -> None:
        """Wait for a turn at this gateway; a job that waits already keeps its place."""
        with self._lock:
            by_key = self._waiting.setdefault(gateway, OrderedDict())
            if sum(map(len, by_key.values())) < MOST:
                by_key.setdefault(job.api_key_id, OrderedDict()).setdefault(job.id)

    def next(self, gateway: str) -> str | None:
        """The job whose turn it is, which waits no longer; None: nobody waits here."""
        with self._lock:
            by_key = self._waiting.get(gateway)
            if not by_key:
                return None
            key, jobs = by_key.popitem(last=False)
            job_id, _ = jobs.popitem(last=False)
            if jobs:
                by_key[key] = jobs  # behind the other keys
            return job_id
