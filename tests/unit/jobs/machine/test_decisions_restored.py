"""What decisions make of an order that may have been made before a backup was put back."""

from __future__ import annotations

from typing import Any

from made_cases import DAY, HOUR, MINUTE, NOW, SETTINGS, accepted, callback, case, failed, finished, job, lost, rules

from jobs.machine.case import Case
from jobs.machine.decisions import decide
from jobs.machine.outcome import Facts, Outcome
from jobs.machine.rows import Attempt, AttemptOutcome, Origin, Standing
from jobs.machine.schedule import resend_at
from jobs.machine.states import Event, State
from jobs.providers.registry import PROVIDERS


def forgotten(number: int = 1, **changes: Any) -> Attempt:
    return lost(number, **{"origin": Origin.FORGOTTEN, "request": {}, "standing": Standing.NONE, **changes})


def decided(decided_on: Case, facts: Facts | None = None) -> Outcome:
    return decide(decided_on, facts or Facts(), now=NOW, rules=rules())


def events(outcome: Outcome) -> list[tuple[Event, int]]:
    return [(move.event, move.attempt) for move in outcome.moves]  # type: ignore[misc]


def test_a_queued_job_rests_on_it_and_its_money_is_uncertain() -> None:
    outcome = decided(case(job(), forgotten()))
    assert events(outcome) == [(Event.RESTORE, 1)]
    assert outcome.facts.attempts[1]["standing"] is Standing.UNCERTAIN
    assert outcome.alarm_at is not None
    assert outcome.alarm_at > NOW + DAY


def test_an_order_that_was_given_up_is_not_waited_for_twice() -> None:
    again = forgotten(standing=Standing.UNCERTAIN)
    assert events(decided(case(job(attempt=1, on_unconfirmed="resubmit"), again))) == []


def test_a_running_job_takes_no_notice_of_it() -> None:
    outcome = decided(case(job(State.GENERATING), accepted(), forgotten(2)))
    assert events(outcome) == []
    assert 2 not in outcome.facts.attempts


def test_a_failure_that_would_order_again_waits_for_the_order_that_may_have_been_made() -> None:
    outcome = decided(case(job(State.GENERATING), failed(), forgotten(2)))
    assert events(outcome) == [(Event.FAIL_RETRYABLE, 1), (Event.RESTORE, 2)]


def test_the_failure_of_a_forgotten_order_is_not_followed_by_another() -> None:
    known = {"origin": Origin.FORGOTTEN, "request": {}, "standing": Standing.REFUNDED}
    assert events(decided(case(job(State.UNCONFIRMED), failed(**known)))) == [(Event.FAIL, 1)]


def test_it_gives_way_to_a_known_order() -> None:
    unconfirmed = job(State.UNCONFIRMED)
    doubted = forgotten(standing=Standing.UNCERTAIN)
    assert events(decided(case(unconfirmed, doubted, accepted(2)))) == [(Event.RECALL, 2)]
    assert events(decided(case(unconfirmed, doubted, finished(2)))) == [(Event.PROVE, 2)]
    assert events(decided(case(unconfirmed, lost(), accepted(2)))) == []  # that one was surely sent


def test_what_was_never_heard_of_ends_without_a_word_about_money() -> None:
    then = NOW - 3 * DAY
    old = forgotten(2, created_at=then, sending_at=then, lost_at=then, answered_at=NOW)
    ended = job(State.ARCHIVED)
    done = finished(outcome=AttemptOutcome.DELIVERED)
    closed = decided(case(ended, done, old)).facts.attempts[2]
    assert (closed["outcome"], closed["standing"]) == (AttemptOutcome.EXPIRED, Standing.NONE)
    heard = decided(case(ended, done, old, callbacks=[callback(2, read_at=NOW)])).facts.attempts[2]
    assert heard["standing"] is Standing.UNCERTAIN


def test_it_is_not_sent_again_under_an_idempotency_key() -> None:
    sent = {"provider": "apiframe", "lost_at": NOW - MINUTE, "created_at": NOW - HOUR}
    unconfirmed = job(State.UNCONFIRMED, attempt=1)
    assert resend_at(case(unconfirmed, lost(**sent)), NOW, SETTINGS, PROVIDERS) is not None
    assert resend_at(case(unconfirmed, forgotten(**sent)), NOW, SETTINGS, PROVIDERS) is None
    assert resend_at(case(unconfirmed, lost(**sent), forgotten(2)), NOW, SETTINGS, PROVIDERS) is None
