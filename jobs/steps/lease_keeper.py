"""The lease of a transfer, kept while it lasts."""

from __future__ import annotations

from jobs.steps import ownership
from jobs.steps.resources import Resources
from jobs.store import leases
from jobs.store.leases import Lease
from storage.errors import Cancelled


class LeaseKeeper:
    """Pushes our lease whenever a third of it is over, from inside the work. Raises Cancelled when that must stop.

    Until then nobody else can have it: it was just written, for as long as its row says.
    """

    def __init__(self, lease: Lease, resources: Resources):
        self._held, self._parts = lease, resources
        self.began = resources.monotonic()
        self._lease_s = resources.settings.transfer_lease_s
        job = lease.job
        left_s = (job.leased_until - job.updated_at).total_seconds() if job.leased_until is not None else 0.0
        self._push_at = self.began + min(left_s, self._lease_s) / 3
        self._puts = False

    def keep_going(self) -> None:
        if self._parts.stopping.is_set():
            raise Cancelled("this process is told to stop")
        if self._parts.monotonic() >= self._push_at:
            self.push()

    def keep_putting(self) -> None:
        """Called before the PUT and while it goes: what is contested by then is not put. Raises Undecided as well."""
        attempt = self._held.case.current
        if not self._puts and attempt is not None and attempt.adopted:
            self.push(is_decided=True)
        self._puts = True
        self.keep_going()

    def push(self, *, is_decided: bool = False) -> None:
        database = self._parts.database
        with database.write() as db:
            if not leases.renew_lease(db, self._held, lease_s=self._lease_s, now=database.clock(db)):
                raise Cancelled("the lease was lost")
            if is_decided:
                ownership.require_decided(db, self._held, self._parts)
        self._push_at = self._parts.monotonic() + self._lease_s / 3
