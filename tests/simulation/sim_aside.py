"""Rules about jobs that are set aside because those who work on them die: when, and for how long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sim_rows import JobRow

DEATHS, ASIDE = 3, timedelta(hours=1)

Check = Callable[[str, bool, str], None]


class Aside:
    """Counts, by job, the leases in a row that nobody gave back in time."""

    def __init__(self, check: Check) -> None:
        self.check = check
        self._left: Counter[str] = Counter()

    def restored(self, deaths: Mapping[str, int]) -> None:
        """The past stands there again, with the deaths that were counted by then, by job."""
        self._left = Counter(deaths)

    def changed(self, old: JobRow, job: JobRow, now: str) -> bool:
        """Whether the job stands aside now, for a reason. To be told of every change of a row."""
        if old.lease_holder is not None and old.lease_holder != job.lease_holder:
            assert old.leased_until is not None
            in_time = job.lease_holder is None and old.leased_until > now and not job.is_aside
            self._left[job.id] = 0 if in_time else self._left[job.id] + 1
        if not job.is_aside:
            return False
        assert job.set_aside_until is not None
        if old.set_aside_until != job.set_aside_until:
            left, longest = self._left[job.id], (datetime.fromisoformat(now) + ASIDE).isoformat(timespec="microseconds")
            self.check("aside-for-deaths", left >= DEATHS, f"{job.id} is set aside, and {left} of its leases were left")
            is_short = job.set_aside_until <= longest
            self.check("aside-for-deaths", is_short, f"at {now} {job.id} is set aside until {job.set_aside_until}")
        return True
