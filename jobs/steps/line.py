"""Jobs that this process has turned away because others' orders were on their way: who is done hands its turn on.

A memory that may be lost at any time. The rows say that these jobs wait, and their alarms bring them back without it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from jobs.machine.case import Case

MOST = 1_000  # jobs at one gateway; those that come later have their alarms


class Waiting(NamedTuple):
    """A job in the line of a gateway, as it stood when it was turned away."""

    gateway: str
    case: Case
    since: float


class Line:
    """Waiting jobs by gateway, taken in turn between API keys and first come, first served within one. For threads."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._monotonic = monotonic
        self._waiting: dict[str, OrderedDict[str, OrderedDict[str, Waiting]]] = {}
        self._places: dict[str, tuple[str, str]] = {}  # of a job: at which gateway, and by which API key

    def join(self, gateway: str, case: Case) -> float | None:
        """Wait for a turn at this gateway; a job that waits there already keeps its place. `case`: as it stands now.

        Gives for how many seconds it has stood there. None: the line is full.
        """
        job = case.job
        with self._lock:
            place = (gateway, job.api_key_id)
            if self._places.get(job.id, place) != place:
                self._leave(job.id)
            by_key = self._waiting.setdefault(gateway, OrderedDict())
            if job.id not in self._places and sum(map(len, by_key.values())) >= MOST:
                return None
            of_key, now = by_key.setdefault(job.api_key_id, OrderedDict()), self._monotonic()
            since = of_key[job.id].since if job.id in of_key else now
            of_key[job.id] = Waiting(gateway, case, since)
            self._places[job.id] = place
            return now - since

    def waits(self, job_id: str) -> Waiting | None:
        """None: it stands in no line here."""
        with self._lock:
            if job_id not in self._places:
                return None
            gateway, key = self._places[job_id]
            return self._waiting[gateway][key][job_id]

    def next(self, gateway: str) -> str | None:
        """The job whose turn it is, which waits no longer; None: nobody waits here."""
        with self._lock:
            by_key = self._waiting.get(gateway)
            if not by_key:
                return None
            key, jobs = by_key.popitem(last=False)
            job_id, _ = jobs.popitem(last=False)
            del self._places[job_id]
            if jobs:
                by_key[key] = jobs  # behind the other keys
            return job_id

    def _leave(self, job_id: str) -> None:
        gateway, key = self._places.pop(job_id)
        by_key = self._waiting[gateway]
        del by_key[key][job_id]
        if not by_key[key]:
            del by_key[key]
