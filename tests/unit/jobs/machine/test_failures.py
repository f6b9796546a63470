"""A failure that callbacks alone have told of: how long it is in doubt, and what it comes to."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from made_cases import HOUR, MINUTE, NOW, SECOND, callback, case, failed, job, rules

from jobs.machine.case import Case
from jobs.machine.decisions import decide
from jobs.machine.outcome import Facts
from jobs.machine.rows import Attempt, AttemptOutcome, Standing
from jobs.machine.states import Event, State

OLD = NOW - 15 * MINUTE  # as long ago as a lost answer is waited for


def doubted(**changes: Any) -> Attempt:
    known = {"outcome": AttemptOutcome.OPEN, "standing": Standing.UNCERTAIN, "adopted": True, "lost_at": NOW - HOUR}
    return failed(**{**known, **changes})


def told(attempt: Attempt, *, is_asked: bool, **of_hearsay: Any) -> Case:
    """The case of an order that another task was told to as well."""
    heard = callback(task_id="another", read_at=NOW - HOUR if is_asked else None)
    found = case(job(State.UNCONFIRMED), attempt, callbacks=[heard])
    return replace(found, hearsay=tuple(replace(each, **of_hearsay) for each in found.hearsay))


def moved(subject: Case) -> tuple[list[Event], Standing]:
    outcome = decide(subject, Facts(), now=NOW, rules=rules())
    standing = outcome.facts.attempts.get(1, {}).get("standing", subject.attempts[1].standing)
    assert outcome.alarm_at is not None
    assert outcome.alarm_at <= NOW + HOUR
    return [move.event for move in outcome.moves], standing


@pytest.mark.parametrize(
    "subject",
    [
        case(job(State.UNCONFIRMED), doubted(closed_at=OLD + SECOND)),
        case(job(State.UNCONFIRMED), doubted(closed_at=OLD, contested=True)),
        case(job(State.UNCONFIRMED), doubted(closed_at=NOW + HOUR)),  # the clock was set back
        told(doubted(closed_at=OLD), is_asked=False),
        told(doubted(closed_at=OLD), is_asked=True, is_contested=True),
    ],
    ids=["early", "contested", "clock set back", "another unasked", "another known"],
)
def test_while_it_is_in_doubt_nothing_is_ordered_and_no_money_is_free(subject: Case) -> None:
    assert moved(subject) == ([], Standing.UNCERTAIN)


def test_a_job_whose_task_was_being_made_is_unconfirmed_again() -> None:
    assert moved(case(job(State.GENERATING), doubted(closed_at=NOW))) == ([Event.GIVE_BACK], Standing.UNCERTAIN)


@pytest.mark.parametrize(
    "attempt",
    [doubted(closed_at=OLD), doubted(closed_at=NOW, adopted=False), doubted(closed_at=NOW, named_task_id="task-1")],
    ids=["late", "answered", "named"],
)
def test_it_is_believed_in_the_end_and_at_once_where_it_is_the_orders_own(attempt: Attempt) -> None:
    assert moved(case(job(State.UNCONFIRMED), attempt)) == ([Event.FAIL_RETRYABLE], Standing.REFUNDED)


@pytest.mark.parametrize(
    ("chosen", "lost_at", "moves"),
    [
        ("wait", NOW - HOUR, [Event.STAND_BY]),
        ("resubmit", NOW - MINUTE, [Event.STAND_BY]),
        ("resubmit", NOW - HOUR, []),
    ],
    ids=["waits", "too early", "chosen"],
)
def test_a_queued_job_orders_nothing_beside_it_before_its_client_has_chosen_so(
    chosen: str, lost_at: datetime, moves: list[Event]
) -> None:
    """Queued, as the database has lost the order and a callback has told of it since."""
    queued = job(State.QUEUED, on_unconfirmed=chosen)
    assert moved(case(queued, doubted(closed_at=NOW, lost_at=lost_at))) == (moves, Standing.UNCERTAIN)


def test_another_task_that_its_gateway_does_not_know_keeps_it_in_doubt_no_longer() -> None:
    assert moved(told(doubted(closed_at=OLD), is_asked=True)) == ([Event.FAIL_RETRYABLE], Standing.REFUNDED)


def test_a_cost_that_is_told_beside_it_leaves_the_money_uncertain() -> None:
    said = doubted(closed_at=OLD, reported_credits=3.0)
    assert moved(case(job(State.UNCONFIRMED), said)) == ([Event.FAIL_RETRYABLE], Standing.UNCERTAIN)


def test_a_wish_to_cancel_holds_until_then() -> None:
    wished = job(State.UNCONFIRMED, cancel_requested_at=NOW - MINUTE)
    assert moved(case(wished, doubted(closed_at=NOW))) == ([], Standing.UNCERTAIN)
    outcome = decide(case(wished, doubted(closed_at=OLD)), Facts(), now=NOW, rules=rules())
    assert [move.event for move in outcome.moves] == [Event.CANCEL]


def test_one_that_nobody_decides_ends_with_its_life() -> None:
    ages = {"closed_at": OLD, "accepted_at": NOW - 200 * HOUR, "answered_at": NOW}
    outcome = decide(case(job(State.UNCONFIRMED), doubted(contested=True, **ages)), Facts(), now=NOW, rules=rules())
    assert [move.event for move in outcome.moves] == [Event.EXPIRE]
    assert outcome.job["error_code"] == "submit_unconfirmed"
