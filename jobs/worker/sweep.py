"""The sweep: finds what callbacks, messages and dead workers have left due, and rings for it. Takes no locks.

Two sweeps at once cost duplicate messages only: a doorbell means "look at this row".
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from jobs.steps.resources import Resources
from jobs.store import heartbeats
from jobs.store.due import STEPS, Due, due_jobs, due_notices

AGAIN_S = 0.5  # while due rows remain
LEAVE_OUT_S = 5  # a row that was handed over this recently, and has not been worked on since
NOTIFY = "webhooks.notify"
SWEPT = "swept"  # the heartbeat that says when a sweep last looked


log = structlog.get_logger()


@dataclass
class Sweeper:
    """A sweep process's own memory: what it handed over lately. An optimisation only."""

    resources: Resources

    def __post_init__(self) -> None:
        self._handed: dict[tuple[str, Due], float] = {}

    def run(self, *, for_s: float) -> None:
        """Look at once, and again while due rows remain, for at most `for_s` seconds."""
        resources = self.resources
        end = resources.monotonic() + for_s
        heartbeats.beat(resources.database, SWEPT, SWEPT)
        while self.once() and resources.monotonic() < end and not resources.stopping.is_set():
            resources.pause(AGAIN_S)

    def once(self) -> bool:
        """Ring for what is due, as far as each step's queue is short. True: more is due than was handed over."""
        resources = self.resources
        self._forget()
        settings = resources.settings
        slots = {"jobs.transfer": settings.transfer_slots, NOTIFY: settings.notify_slots}
        more = False
        for step in (*STEPS, NOTIFY):
            waiting = resources.ringer.waiting(step)
            if waiting is None:  # Valkey is away: nobody would hear
                return False
            room = 2 * slots.get(step, settings.worker_slots) - waiting
            handed = [row for s, row in list(self._handed) if s == step]
            with resources.database.read() as db:
                now = resources.database.clock(db)
                limit = max(room, 0) + 1
                if step == NOTIFY:
                    found = [row for row in due_notices(db, limit=limit, now=now) if row not in handed]
                else:
                    found = due_jobs(db, step, limit=limit, now=now, leave_out=handed)
            more = more or len(found) > max(room, 0)
            for row in found[: max(room, 0)]:  # after the read has ended
                resources.ringer.ring(step, row.id)
                self._handed[step, row] = resources.monotonic()
        return more

    def _forget(self) -> None:
        now = self.resources.monotonic()
        self._handed = {row: at for row, at in list(self._handed.items()) if now - at < LEAVE_OUT_S}
