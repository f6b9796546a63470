"""The sweep: finds what callbacks, messages and dead workers have left due, and rings for it. Takes no locks.

Two sweeps at once cost duplicate messages only: a doorbell means "look at this row".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import structlog

from jobs import measures
from jobs.steps.resources import Resources
from jobs.store import heartbeats
from jobs.store.due import Due, any_rang, due_rows
from jobs.store.step_table import STEPS, Step, slots
from jobs.worker.dispatch import have_gateways_asked

AGAIN_S = 0.5  # while due rows remain, or alarms ring
LEAVE_OUT_S = 5  # a row that was handed over this recently, and has not been worked on since
LEAVE_OUT_WHILE_LONG_S = 300  # the same while its step's queue is long: it may be that nobody empties it

log = structlog.get_logger()


class _Handed(NamedTuple):
    """When a row was handed over, and until when that is remembered; by the process's own clock."""

    at: float
    until: float


@dataclass
class Sweeper:
    """A sweep process's own memory: what it handed over lately. An optimisation only."""

    resources: Resources

    def __post_init__(self) -> None:
        self._handed: dict[Step, dict[Due, _Handed]] = {step: {} for step in STEPS}

    def run(self, *, for_s: float) -> None:
        """Look at once, and for `for_s` seconds again while due rows remain, or an alarm has rung.

        A job that has a slot in the query budget has to come for it in time: found ten seconds later, with all others
        of those ten seconds, all but a few would come in vain.
        """
        resources = self.resources
        end = resources.monotonic() + for_s
        heartbeats.beat(resources.database, heartbeats.SWEPT, heartbeats.SWEPT)
        more = self.once()
        while resources.monotonic() < end and not resources.stopping.is_set():
            resources.pause(AGAIN_S)
            if more or self._any_rang():
                more = self.once()

    def once(self) -> bool:
        """Ring for what is due, and of what is due for a step whose queue is long for the most urgent alone.

        True: more is due than was handed over.
        """
        resources = self.resources
        began = resources.monotonic()
        try:
            return self._look()
        finally:
            resources.database.tallies.observe(measures.SWEEP_S, resources.monotonic() - began)

    def _look(self) -> bool:
        resources = self.resources
        self._forget()
        have_gateways_asked(self.resources)
        more = False
        for step in STEPS:
            waiting = resources.ringer.waiting(step.name)
            if waiting is None:  # Valkey is away: nobody would hear
                return False
            few = slots(step.role, resources.settings)
            room = 2 * few - waiting
            # A queue may stay long for hours. The most urgent rows are rung for all the same, since it may hold no bell
            # of theirs: that of a row that failed and waited for its alarm has been heard. And no others, as it holds
            # those of most of them.
            is_long = room < few
            room = max(room, few)
            leave_out_s = LEAVE_OUT_WHILE_LONG_S if is_long else LEAVE_OUT_S
            handed = self._handed_within(leave_out_s, step)
            with resources.database.read() as db:
                now = resources.database.clock(db)
                found = due_rows(db, step, limit=room + 1, now=now, leave_out=() if is_long else handed)
            more = more or len(found) > room
            rung = [row for row in found[:room] if row not in handed]
            resources.ringer.ring(step.name, *(row.id for row in rung))  # after the read has ended
            at = resources.monotonic()
            self._handed[step] |= dict.fromkeys(rung, _Handed(at, at + leave_out_s))
        return more

    def _any_rang(self) -> bool:
        """Of late, not since the last look: a row is seen once its writer has committed, whenever its alarm was."""
        resources = self.resources
        with resources.database.read() as db:
            now = resources.database.clock(db)
            return any_rang(db, since=now - timedelta(seconds=LEAVE_OUT_S), now=now)

    def _handed_within(self, seconds: float, step: Step) -> set[Due]:
        now = self.resources.monotonic()
        return {row for row, handed in list(self._handed[step].items()) if now - handed.at < seconds}

    def _forget(self) -> None:
        now = self.resources.monotonic()
        for step, rows in self._handed.items():
            self._handed[step] = {row: handed for row, handed in list(rows.items()) if now < handed.until}
