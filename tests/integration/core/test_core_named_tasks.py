"""A task that a person names for an order whose answer was lost: asked about, and believed or refused."""

from __future__ import annotations

from typing import Any

import pytest
from persons import KEY, lines, lost, named, rested, submit
from workshop import RUN, Ahead, Workshop

from jobs.intake import changes
from jobs.intake.settling import name_task, settle
from jobs.machine.job_json import job_json
from jobs.machine.outcome import Facts, Outcome
from jobs.machine.rows import AttemptOutcome, Settled, Standing
from jobs.machine.states import State
from jobs.store import leases
from storage.errors import BucketUnavailable


def test_it_is_asked_about_and_its_video_comes_home(workshop: Workshop, sandbox: Any) -> None:
    job_id = lost(workshop, sandbox, made=True)
    task_id = sandbox.tasks("gravitex")[0]["task_id"]
    workshop.bells.take()
    case = name_task(job_id, 1, task_id, workshop.core, api_key_id=KEY)
    assert named(case) == {"task_id": task_id, "state": "asking", "reason": None}
    assert lines(workshop, job_id) == [({"task_id": task_id, "api_key": KEY}, None)]
    case = workshop.until(job_id, State.ARCHIVED)
    assert named(case) == {"task_id": task_id, "state": "believed", "reason": None}
    assert (case.attempts[1].standing, len(sandbox.tasks("gravitex"))) == (Standing.CHARGED, 1)
    assert name_task(job_id, 1, task_id, workshop.core) == case


def test_a_failed_job_is_woken_for_it(make_workshop: Any, sandbox: Any) -> None:
    workshop: Workshop = make_workshop(unconfirmed_window_s=0.1)
    job_id = lost(workshop, sandbox, made=True)
    assert workshop.until(job_id, State.FAILED).job.alarm_at is None
    # One that still ran would be asked about next at the pace of a job that has ended.
    workshop.await_(lambda: sandbox.tasks("gravitex")[0]["state"] == "finished", "its video is made")
    name_task(job_id, 1, sandbox.tasks("gravitex")[0]["task_id"], workshop.core)
    case = workshop.until(job_id, State.ARCHIVED)
    assert (case.job.flagged, case.attempts[1].standing) == (None, Standing.CHARGED)


def test_a_job_that_was_to_be_ordered_anew_is_not(workshop: Workshop, sandbox: Any) -> None:
    job_id = lost(workshop, sandbox, made=True)
    settle(job_id, 1, Settled.NOT_MADE, workshop.core)
    case = name_task(job_id, 1, sandbox.tasks("gravitex")[0]["task_id"], workshop.core)
    assert (case.job.state, case.has_news) == (State.QUEUED, True)
    RUN["jobs.submit"](job_id, workshop.resources)  # its doorbell had rung already
    case = workshop.until(job_id, State.ARCHIVED)
    assert (list(case.attempts), len(sandbox.tasks("gravitex"))) == ([1], 1)


@pytest.mark.parametrize("known", [True, False])
def test_one_of_an_earlier_order_is_asked_about_while_a_film_waits_for_its_bucket(
    workshop: Workshop, sandbox: Any, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    job_id = lost(workshop, sandbox, made=True)
    settle(job_id, 1, Settled.NOT_MADE, workshop.core)

    def away(key: str) -> None:
        raise BucketUnavailable("it answers 503")

    monkeypatch.setattr(workshop.resources.bucket, "head", away)
    workshop.until(job_id, State.ARCHIVING)
    name_task(job_id, 1, sandbox.tasks("gravitex")[0]["task_id"] if known else "task-of-nobody", workshop.core)
    said = workshop.await_(lambda: workshop.sweep() is not None and _told(workshop, job_id), "it is asked about")
    assert (said, workshop.state(job_id)) == ("believed" if known else "refused", State.ARCHIVING)
    monkeypatch.undo()
    Ahead(workshop).leap(3600)
    workshop.until(job_id, State.ARCHIVED)


def _told(workshop: Workshop, job_id: str) -> str | None:
    """What became of the name, once that is known."""
    state = job_json(workshop.case(job_id))["attempts"][0]["named"]["state"]
    return None if state == "asking" else str(state)


def test_an_ended_job_keeps_its_end_and_its_account_has_what_was_paid(workshop: Workshop, sandbox: Any) -> None:
    job_id = lost(workshop, sandbox, made=True)
    changes.cancel(job_id, workshop.core)
    settle(job_id, 1, Settled.NOT_MADE, workshop.core)
    name_task(job_id, 1, sandbox.tasks("gravitex")[0]["task_id"], workshop.core)
    case = workshop.await_(lambda: rested(workshop, job_id), "it rests", job_id=job_id)
    assert (case.job.state, case.attempts[1].outcome) == (State.CANCELLED, AttemptOutcome.FINISHED)
    assert (case.attempts[1].standing, job_json(case)["attempts"][0]["link"] is None) == (Standing.CHARGED, False)


def test_one_that_the_gateway_does_not_know_is_refused_and_the_reason_told(workshop: Workshop, sandbox: Any) -> None:
    job_id = lost(workshop, sandbox, made=False)
    name_task(job_id, 1, "task-of-nobody", workshop.core)
    RUN["jobs.reconcile"](job_id, workshop.resources)
    case = workshop.case(job_id)
    reason = "gravitex knows no such task; it answered 400"
    assert named(case) == {"task_id": "task-of-nobody", "state": "refused", "reason": reason}
    assert (case.job.state, case.attempts[1].standing) == (State.UNCONFIRMED, Standing.UNCERTAIN)
    assert [detail["reason"] for detail, _ in lines(workshop, job_id, "task_rejected")] == [reason]


def test_one_that_another_order_got_meanwhile_is_refused(workshop: Workshop, sandbox: Any) -> None:
    job_id = lost(workshop, sandbox, made=False)
    other = submit(workshop)
    task_id = str(workshop.case(other).attempts[1].task_id)
    with workshop.database.write() as db:  # as a name that was kept a moment before the other order got its task
        now = workshop.database.clock(db)
        said = Outcome(alarm_at=now, facts=Facts({1: {"named_task_id": task_id}}))
        assert leases.write_wish(db, workshop.case(job_id), said, now=now)
    RUN["jobs.reconcile"](job_id, workshop.resources)
    assert named(workshop.case(job_id))["reason"] == f"it is the task of another order, of {other}"


def test_a_gateway_that_cannot_be_asked_leaves_all_as_it_was_and_is_asked_again(
    make_workshop: Any, sandbox: Any
) -> None:
    workshop: Workshop = make_workshop(retry_first_s=0.1, unconfirmed_window_s=0.1)
    job_id = lost(workshop, sandbox, made=True)
    before = workshop.until(job_id, State.FAILED)
    sandbox.fault("gravitex", "refuse", on="query", status=503, times=2)
    name_task(job_id, 1, sandbox.tasks("gravitex")[0]["task_id"], workshop.core)
    RUN["jobs.reconcile"](job_id, workshop.resources)
    case = workshop.case(job_id)
    assert named(case)["state"] == "asking"
    assert (case.job.state, case.job.flagged, case.job.troubles) == (State.FAILED, before.job.flagged, 0)
    assert (case.attempts[1].outcome, case.attempts[1].standing) == (AttemptOutcome.EXPIRED, Standing.UNCERTAIN)
    assert workshop.until(job_id, State.ARCHIVED)


def test_another_name_takes_the_place_of_one_that_is_asked_about(workshop: Workshop, sandbox: Any) -> None:
    job_id = lost(workshop, sandbox, made=True)
    name_task(job_id, 1, "task-of-nobody", workshop.core)
    name_task(job_id, 1, sandbox.tasks("gravitex")[0]["task_id"], workshop.core)
    assert named(workshop.until(job_id, State.ARCHIVED))["state"] == "believed"


def test_not_made_takes_a_name_back(workshop: Workshop, sandbox: Any) -> None:
    job_id = lost(workshop, sandbox, made=False)
    name_task(job_id, 1, "task-of-nobody", workshop.core)
    case = settle(job_id, 1, Settled.NOT_MADE, workshop.core)
    assert (job_json(case)["attempts"][0]["named"], case.has_news) == (None, False)
