"""What must hold of people's words about orders: when they are taken, what outweighs them, what comes of a name."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sim_gateways import Owner, Task

from jobs.machine.rows import AttemptOutcome, Settled, Standing

if TYPE_CHECKING:
    from sim_rows import AttemptRow, CallbackRow, JobRow
    from sim_rules import Rules

A = AttemptOutcome
SAID = {Settled.NOT_MADE: Standing.NONE, Settled.CHARGED: Standing.CHARGED, Settled.NOT_CHARGED: Standing.NONE}
ABOUT_MONEY = {Settled.CHARGED, Settled.NOT_CHARGED}
FREE = {Settled.NOT_MADE, Settled.NOT_CHARGED}
WITHOUT_VIDEO = {A.FAILED, A.EXPIRED, A.NOT_MADE}
MADE = {A.FINISHED, A.DELIVERED, A.UNDELIVERED}
MARGIN = timedelta(minutes=1)  # between a step's look at the clock and its commit


class Words:
    """What people have said in one run, by the order that they said it of."""

    def __init__(self) -> None:
        self.free: set[Owner] = set()  # ever called so: whoever says that risks a second order
        self.late: set[Owner] = set()  # whose money was spoken of after the gateway had said that the video is made

    def hear(self, owner: Owner, detail: str, row: AttemptRow | None) -> bool:
        """A line of history tells what a person said. True: that nothing is to be paid for the order."""
        said = json.loads(detail).get("said")
        if said is not None and row is not None and row.outcome in MADE:
            self.late.add(owner)
        is_free = said in FREE
        self.free |= {owner} if is_free else set()
        return is_free

    def excuse(self, row: AttemptRow, task: Task) -> bool:
        """Whether a paid order may stand as free: a person says so, and the gateway has told us nothing else since."""
        told = row.task_id == task.id and "finished" in task.told
        return row.settled in FREE and (not told or (row.job_id, row.number) in self.late)


def check_taken(rules: Rules, old: AttemptRow | None, row: AttemptRow, job: JobRow | None, now: str) -> None:
    """An order's row has just been changed; `job` is its job's row before."""
    owner = (row.job_id, row.number)
    if row.outcome == A.NOT_MADE and (old is None or old.outcome != A.NOT_MADE) and job is not None:
        is_held = job.leased_until is not None and job.leased_until > now and job.updated_at <= _later(now)
        rules.check("settled-unheld", not is_held, f"{owner} is called not made while {job.lease_holder} holds its job")
    if old is None:
        return
    if row.outcome == A.FINISHED and old.outcome in WITHOUT_VIDEO:
        is_paid = row.standing == Standing.CHARGED
        rules.check("word-outweighed", is_paid, f"{owner} is made, and stands as {row.standing}")
    if old.settled in ABOUT_MONEY and row.settled is None:
        is_new = row.outcome != old.outcome and row.standing != Standing.UNCERTAIN
        is_new = is_new or (old.task_id is not None and row.task_id is None)  # it was said of another order's task
        rules.check("word-outweighed", is_new, f"{owner}: {old.settled} gives way to {row.outcome}, {row.standing}")


def check_heard(rules: Rules, callback: CallbackRow, job: JobRow, now: str) -> None:
    """A callback has just been kept for a job that nothing was to wake."""
    row = rules.attempts.get((callback.job_id, callback.attempt))
    if row is None or row.outcome not in WITHOUT_VIDEO | {A.UNDELIVERED}:
        return
    ordered = datetime.fromisoformat(row.lost_at or row.created_at)
    if datetime.fromisoformat(now) < ordered + timedelta(seconds=2 * rules.settings.life_s) - MARGIN:
        rules.check("late-word", job.alarm_at is not None, f"callback {callback.id} is kept, and {job.id} sleeps on")


def check_answered(rules: Rules) -> None:
    """At the end of a run."""
    for owner, row in rules.attempts.items():
        rules.check(
            "named-answered", not row.is_asked_about, f"nobody ever said whether {row.named_task_id} is {owner}'s"
        )


def _later(now: str) -> str:
    return (datetime.fromisoformat(now) + timedelta(seconds=5)).isoformat(timespec="microseconds")
