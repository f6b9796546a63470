"""Tasks that people named, where two orders claim one, and where what was learnt of them comes without a lease."""

from __future__ import annotations

from typing import Any

import pytest
from rows import NOW, Rows

from jobs.machine.outcome import About, Facts
from jobs.machine.rows import AttemptOutcome, Settled, Standing
from jobs.machine.states import State
from jobs.store import late_facts

pytestmark = pytest.mark.both_databases

A = AttemptOutcome


def resolved(rows: Rows, job_id: str, changes: dict[str, Any]) -> Facts:
    case = rows.case(job_id)
    return rows.write(lambda db: late_facts.resolve_task_ids(db, case, Facts({1: changes}), now=NOW))


def test_a_named_task_that_another_order_bears_is_refused_with_its_job(rows: Rows) -> None:
    bearer, job_id = rows.job(State.GENERATING), rows.job(State.UNCONFIRMED)
    rows.attempt(bearer, task_id="t")
    rows.attempt(job_id, named_task_id="t")
    said = resolved(rows, job_id, {"task_id": "t", "adopted": True}).attempts[1]
    assert said["named_refused"] == f"it is the task of another order, of {bearer}"
    assert "task_id" not in said


def test_a_refusal_of_the_same_round_is_not_lost_beside_a_task_that_is_taken(rows: Rows) -> None:
    bearer, job_id = rows.job(State.GENERATING), rows.job(State.UNCONFIRMED)
    rows.attempt(bearer, task_id="t")
    rows.attempt(job_id, named_task_id="named")
    learnt = {"rejected_task_ids": ["named"], "named_refused": "the task is older than the attempt"}
    said = resolved(rows, job_id, {**learnt, "task_id": "t", "adopted": True}).attempts[1]
    assert said["rejected_task_ids"] == ["named", "t"]
    assert said["named_refused"] == "the task is older than the attempt"


def test_of_two_orders_of_a_job_that_find_one_task_in_a_round_the_answers_has_it(rows: Rows) -> None:
    job_id = rows.job(State.UNCONFIRMED)
    rows.attempt(job_id, 1, lost_at=NOW)
    rows.attempt(job_id, 2, lost_at=NOW)
    facts = Facts({1: {"task_id": "t", "adopted": True}, 2: {"task_id": "t"}})
    said = rows.write(lambda db: late_facts.resolve_task_ids(db, rows.case(job_id), facts, now=NOW)).attempts
    assert (said[1].get("task_id"), said[1]["rejected_task_ids"], said[2]["task_id"]) == (None, ["t"], "t")


def test_what_was_learnt_in_a_round_of_a_task_that_is_given_back_is_forgotten(rows: Rows) -> None:
    job_id = rows.job(State.UNCONFIRMED)
    rows.attempt(job_id, 1, lost_at=NOW, task_id="t", adopted=True)
    rows.attempt(job_id, 2, lost_at=NOW)
    learnt: dict[int, Any] = {1: {"outcome": A.FINISHED, "link": "https://cdn/v.mp4"}, 2: {"task_id": "t"}}
    facts = Facts(learnt, about={1: About("t", None, None), 2: About(None, None, None)})
    for _ in range(2):  # the first time its row moves, and all is decided again
        said = rows.write(lambda db: late_facts.resolve_task_ids(db, rows.case(job_id), facts, now=NOW)).attempts
    assert said == {2: {"task_id": "t", **late_facts.PROVEN}}
    assert (rows.case(job_id).attempts[1].task_id, rows.case(job_id).attempts[1].outcome) == (None, A.OPEN)


@pytest.mark.parametrize("outcome", [A.OPEN, A.FINISHED])
def test_a_late_answer_proves_what_was_hearsay(rows: Rows, outcome: AttemptOutcome) -> None:
    job_id = rows.job(State.GENERATING, alarm_at=NOW)
    rows.attempt(job_id, task_id="t", adopted=True, outcome=outcome)
    rows.write(lambda db: late_facts.bring_facts(db, job_id, Facts({1: {"task_id": "t"}}), now=NOW))
    assert (rows.case(job_id).attempts[1].task_id, rows.case(job_id).attempts[1].adopted) == ("t", False)


def test_what_a_person_named_stays_hearsay(rows: Rows) -> None:
    """It may turn out to be the answer to another order's POST, which then takes it."""
    job_id = rows.job(State.UNCONFIRMED)
    rows.attempt(job_id, named_task_id="t", lost_at=NOW)
    assert resolved(rows, job_id, {"task_id": "t", "adopted": True}).attempts[1]["adopted"] is True


def test_whoever_named_a_task_hears_that_it_was_the_answer_to_another_order(rows: Rows) -> None:
    named, owner = rows.job(State.GENERATING), rows.job(State.SUBMITTING)
    rows.attempt(named, named_task_id="t", task_id="t", adopted=True, accepted_at=NOW)
    rows.attempt(owner)
    resolved(rows, owner, {"task_id": "t"})
    attempt = rows.case(named).attempts[1]
    assert (attempt.task_id, attempt.is_named) == (None, False)
    assert attempt.named_refused == "it is the task of another order"


@pytest.mark.parametrize("adopted", [True, False])
def test_a_late_task_of_a_settled_order_is_known_as_what_it_is(rows: Rows, adopted: bool) -> None:
    """One that was only found gives way, later, to the order whose answer it turns out to be."""
    job_id = rows.job(State.QUEUED, attempt=1)
    rows.attempt(job_id, outcome=A.NOT_MADE, standing=Standing.NONE, settled=Settled.NOT_MADE, closed_at=NOW)
    learnt = {"task_id": "t", **({"adopted": True} if adopted else {})}
    rows.write(lambda db: late_facts.bring_facts(db, job_id, Facts({1: learnt}), now=NOW))
    attempt = rows.case(job_id).attempts[1]
    assert (attempt.outcome, attempt.standing, attempt.adopted) == (A.OPEN, Standing.HELD, adopted)
    assert attempt.settled is None
