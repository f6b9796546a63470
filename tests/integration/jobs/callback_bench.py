"""A gateway that knows some tasks, and orders at it whose answers were lost and of which callbacks tell."""

from __future__ import annotations

from typing import Any

from benches import Gateway
from rows import NOW, Rows

from jobs.machine.rows import Standing
from jobs.machine.states import State
from jobs.providers.client import Account, Answered, Lost
from jobs.steps import reconciliation
from jobs.steps.resources import Resources

KEY = Account("evolink", "https://gateway", "sk-1")
UNKNOWN = Answered(404, {}, b'{"error": {"message": "Task not found"}}')


class Knows(Gateway):
    """Knows some tasks, and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.tasks: set[str] = set()
        self.is_silent = False

    def ask(self, provider: Any, account: Any, request: Any, **_: Any) -> Any:
        task = request.path.rpartition("/")[2]
        self.asked.append(task)
        if self.is_silent:
            return Lost("the time was over")
        return (
            Answered(200, {}, b'{"id": "%s", "status": "processing"}' % task.encode())
            if task in self.tasks
            else UNKNOWN
        )


def lost(rows: Rows, **columns: Any) -> str:
    """A job whose order's answer was lost."""
    job_id = rows.job(State.UNCONFIRMED, alarm_at=NOW)
    lost_at = {"lost_at": NOW, "standing": Standing.UNCERTAIN}
    rows.attempt(job_id, **{"account": KEY.fingerprint, **lost_at, **columns})
    return job_id


def hear(rows: Rows, job_id: str, *task_ids: str, longest: int = 32) -> None:
    for task_id in task_ids:
        rows.callback(job_id, task_id.encode(), task_id=task_id, longest=longest)


def look(rows: Rows, job_id: str, resources: Resources) -> None:
    """At the job's alarm."""
    alarm_at = rows.case(job_id).job.alarm_at
    assert alarm_at is not None
    rows.now = max(rows.now, alarm_at)
    reconciliation.reconcile(job_id, resources)
