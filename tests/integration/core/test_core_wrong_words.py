"""A person was wrong about an order: what its gateway says later outweighs that, for the money and for the video."""

from __future__ import annotations

from typing import Any

import pytest
from persons import lines, lost, rested, spent, submit
from served import Served
from workshop import RUN, Ahead, Workshop

from jobs.intake import changes
from jobs.intake.settling import settle
from jobs.machine.case import Case
from jobs.machine.job_json import job_json
from jobs.machine.rows import AttemptOutcome, Settled, Standing
from jobs.machine.states import State


@pytest.fixture
def called_not_made(workshop: Workshop, receiver: Served, sandbox: Any) -> str:
    """A job whose order was taken, and called not made by a person; its callback is yet to come."""
    sandbox.fault("evolink", "lose_callback")
    job_id = lost(workshop, sandbox, "evolink", made=True)
    settle(job_id, 1, Settled.NOT_MADE, workshop.core)
    return job_id


def call_back(sandbox: Any) -> None:
    assert sandbox.call_back("evolink", sandbox.tasks("evolink")[0]["task_id"]) == 200


def test_a_job_that_waits_to_be_ordered_anew_takes_the_video_that_was_made(
    workshop: Workshop, called_not_made: str, sandbox: Any
) -> None:
    call_back(sandbox)
    case = workshop.until(called_not_made, State.ARCHIVED)
    assert (list(case.attempts), len(sandbox.tasks("evolink"))) == ([1], 1)
    assert (case.attempts[1].standing, case.attempts[1].settled) == (Standing.CHARGED, None)
    assert spent(workshop, case) == case.attempts[1].estimated_usd
    (outweighed,) = lines(workshop, called_not_made, "outweighed")
    assert outweighed[0]["settled"] == "not_made"


def test_a_job_that_was_ordered_anew_has_one_video_and_pays_for_two(
    workshop: Workshop, called_not_made: str, sandbox: Any
) -> None:
    workshop.until(called_not_made, State.ARCHIVED)
    call_back(sandbox)
    case = workshop.await_(lambda: rested(workshop, called_not_made), "it rests", job_id=called_not_made)
    assert (case.job.state, case.job.attempt) == (State.ARCHIVED, 2)
    assert outcomes(case) == [
        (AttemptOutcome.FINISHED, Standing.CHARGED),
        (AttemptOutcome.DELIVERED, Standing.CHARGED),
    ]
    assert job_json(case)["attempts"][0]["link"]  # paid and not delivered


def test_a_job_that_failed_meanwhile_gets_its_video_after_all(
    workshop: Workshop, called_not_made: str, sandbox: Any
) -> None:
    sandbox.fault("evolink", "fail")
    assert workshop.until(called_not_made, State.FAILED).job.alarm_at is None
    call_back(sandbox)
    case = workshop.until(called_not_made, State.ARCHIVED)
    assert outcomes(case) == [(AttemptOutcome.DELIVERED, Standing.CHARGED), (AttemptOutcome.FAILED, Standing.REFUNDED)]


def test_a_cancelled_job_stays_so_and_its_account_says_what_was_paid(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    sandbox.fault("evolink", "lose_callback")
    job_id = lost(workshop, sandbox, "evolink", made=True)
    changes.cancel(job_id, workshop.core)
    assert settle(job_id, 1, Settled.NOT_MADE, workshop.core).job.state is State.CANCELLED
    call_back(sandbox)
    case = workshop.await_(lambda: rested(workshop, job_id), "it rests", job_id=job_id)
    assert (case.job.state, outcomes(case)) == (State.CANCELLED, [(AttemptOutcome.FINISHED, Standing.CHARGED)])


def test_the_gateways_word_about_the_money_outweighs_a_persons(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    sandbox.fault("evolink", "lose_callback")
    sandbox.fault("evolink", "fail")
    job_id = lost(workshop, sandbox, "evolink", made=True)
    settle(job_id, 1, Settled.NOT_MADE, workshop.core)
    changes.cancel(job_id, workshop.core)
    case = settle(job_id, 1, Settled.CHARGED, workshop.core)
    assert spent(workshop, case) == case.attempts[1].estimated_usd
    call_back(sandbox)

    def is_told() -> bool:
        workshop.sweep()
        return "failure_in_doubt" in workshop.history(job_id)

    workshop.await_(is_told, "a failure that a callback alone has told", job_id=job_id)
    Ahead(workshop).leap(901)  # for as long as a lost answer is waited for it may be another order's
    case = workshop.await_(lambda: rested(workshop, job_id), "it rests", job_id=job_id)
    assert outcomes(case) == [(AttemptOutcome.FAILED, Standing.REFUNDED)]
    assert spent(workshop, case) == 0


def test_what_the_gateway_had_said_before_does_not_outweigh_what_a_person_found_since(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    """They have seen the bill; the same verdict once more says nothing of it."""
    sandbox.fault("evolink", "lose_callback")
    sandbox.fault("evolink", "fail")
    job_id = submit(workshop, "evolink")
    workshop.until(job_id, State.FAILED)
    before = settle(job_id, 1, Settled.CHARGED, workshop.core)
    call_back(sandbox)
    case = workshop.await_(lambda: rested(workshop, job_id), "it rests", job_id=job_id)
    assert [callback.read_at is not None for callback in case.callbacks] == [True]
    assert outcomes(case) == outcomes(before) == [(AttemptOutcome.FAILED, Standing.CHARGED)]
    assert case.attempts[1].settled is Settled.CHARGED


def test_a_callback_during_an_outage_of_its_gateway_is_asked_about_once_that_is_over(
    make_workshop: Any, sandbox: Any
) -> None:
    from workshop import serve_receiver

    workshop: Workshop = make_workshop(retry_first_s=0.1)
    receiver = serve_receiver(workshop)
    try:
        workshop.receive_callbacks_at(receiver.url)
        sandbox.fault("evolink", "lose_callback")
        job_id = lost(workshop, sandbox, "evolink", made=True)
        changes.cancel(job_id, workshop.core)
        settle(job_id, 1, Settled.NOT_MADE, workshop.core)
        sandbox.fault("evolink", "refuse", on="query", status=503, times=6)
        call_back(sandbox)
        RUN["jobs.reconcile"](job_id, workshop.resources)
        assert workshop.case(job_id).unread
        case = workshop.await_(lambda: rested(workshop, job_id), "it rests", job_id=job_id)
        assert outcomes(case) == [(AttemptOutcome.FINISHED, Standing.CHARGED)]
        assert case.job.flagged is None  # it was "troubled" meanwhile
    finally:
        receiver.close()


def outcomes(case: Case) -> list[tuple[AttemptOutcome, Standing]]:
    return [(attempt.outcome, attempt.standing) for attempt in case.attempts.values()]
