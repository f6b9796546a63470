"""A queued job that has news of an earlier order is held until its gateway has answered about that, and says so."""

from __future__ import annotations

from typing import Any

import pytest
from persons import lost
from served import Served
from workshop import RUN, Workshop, account

from jobs.intake.settling import name_task, settle
from jobs.machine.held_jobs import ASKS
from jobs.machine.job_json import job_json
from jobs.machine.rows import Settled
from jobs.machine.states import State
from jobs.machine.times import iso_s
from jobs.store import lanes, waiting_jobs


def waits(workshop: Workshop, job_id: str) -> tuple[str, str, str]:
    said = job_json(workshop.case(job_id))["waiting"]
    return said["provider"], said["code"], said["reason"]


@pytest.mark.parametrize("lane", ["well", "tried"])
@pytest.mark.parametrize("told_by", ["a callback", "a person"])
def test_it_says_who_is_asked_about_what_and_since_when_in_vain(
    workshop: Workshop, receiver: Served, sandbox: Any, told_by: str, lane: str
) -> None:
    sandbox.fault("evolink", "lose_callback")
    job_id = lost(workshop, sandbox, "evolink", made=True)
    settle(job_id, 1, Settled.NOT_MADE, workshop.core)
    task_id = sandbox.tasks("evolink")[0]["task_id"]
    sandbox.fault("evolink", "refuse", on="query", status=503, body="<html>", times=1)
    if told_by == "a callback":
        assert sandbox.call_back("evolink", task_id) == 200
        about = f"evolink is asked about task {task_id}, of which a callback told, before anything is ordered"
    else:
        name_task(job_id, 1, task_id, workshop.core)
        about = f"evolink is asked about task {task_id}, which a person named, before anything is ordered"
    if lane == "tried":
        key = account(workshop, "evolink")
        with workshop.database.write() as db:  # nothing is asked beside somebody else's question
            now = workshop.database.clock(db)
            asking = lanes.lock(db, key, "query").rest("no_answer", 60, now).probe("another", now, for_s=20)
            lanes.write(db, key, "query", asking)
    RUN["jobs.reconcile"](job_id, workshop.resources)
    case = workshop.case(job_id)
    since = case.attempts[1].unanswered_since
    assert (since is None) == (lane == "tried")
    in_vain = "" if since is None else f"; it has not answered since {iso_s(since)}"
    assert (case.job.state, waits(workshop, job_id)) == (State.QUEUED, ("evolink", ASKS, about + in_vain))
    with workshop.database.read() as db:
        assert waiting_jobs.held_up(db) == {"evolink": 1}


def test_once_that_is_answered_it_waits_for_what_it_waited_for(workshop: Workshop, sandbox: Any) -> None:
    job_id = lost(workshop, sandbox, "evolink", made=False)
    settle(job_id, 1, Settled.NOT_MADE, workshop.core)
    name_task(job_id, 1, "task-of-nobody", workshop.core)
    RUN["jobs.reconcile"](job_id, workshop.resources)
    assert waits(workshop, job_id)[:2] == (None, "in_line")
    assert list(workshop.until(job_id, State.ARCHIVED).attempts) == [1, 2]
