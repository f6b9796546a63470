"""How what a job waits for ends: by its gateway's answer, or after an hour of tries."""

from __future__ import annotations

from typing import Any

import pytest
from made_cases import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    accepted,
    attempt,
    callback,
    case,
    failed,
    finished,
    job,
    lost,
    rules,
)

from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges
from jobs.machine.decisions import decide
from jobs.machine.error_codes import ERRORS
from jobs.machine.outcome import Facts, Outcome
from jobs.machine.rows import Attempt, AttemptOutcome, Standing
from jobs.machine.states import Event, State

A = AttemptOutcome
OLD = {"created_at": NOW - 2 * DAY, "sending_at": NOW - 2 * DAY}
# Accepted two days ago: the lives of its task and of a link are over just now.
OVER = {**OLD, "accepted_at": NOW - 2 * DAY}
ANSWERED: AttemptChanges = {"answered_at": NOW, "unanswered_since": None}
UNANSWERED: AttemptChanges = {"unanswered_since": NOW}


def decided(subject: Case, said: AttemptChanges | None = None, number: int = 1, **of_facts: Any) -> Outcome:
    return decide(subject, Facts({number: said} if said else {}, **of_facts), now=NOW, rules=rules())


def generating(**columns: Any) -> Case:
    return case(job(State.GENERATING), accepted(**columns))


def events(outcome: Outcome) -> list[Event]:
    return [move.event for move in outcome.moves]


class TestTheEndOfATask:
    def test_nobody_has_asked_since_so_it_is_no_end(self) -> None:
        outcome = decided(generating(**OVER))
        assert events(outcome) == []

    @pytest.mark.parametrize(
        "said", [ANSWERED, {**ANSWERED, "last_unfinished_at": NOW}, {**ANSWERED, "last_word": "http_404"}]
    )
    def test_any_answer_that_is_no_verdict_ends_it(self, said: AttemptChanges) -> None:
        outcome = decided(generating(**OVER), said)
        assert events(outcome) == [Event.EXPIRE]
        assert outcome.job["error_code"] == "task_expired"
        assert outcome.facts.attempts[1]["standing"] is Standing.UNCERTAIN
        assert outcome.alarm_at is None

    def test_a_verdict_outweighs_the_end(self) -> None:
        made: AttemptChanges = {**ANSWERED, "outcome": A.FINISHED, "standing": Standing.CHARGED, "link": "https://h/v"}
        assert events(decided(generating(**OVER), made)) == [Event.FINISH]

    def test_a_second_before_it_a_task_that_is_said_to_run_goes_on(self) -> None:
        running = generating(accepted_at=NOW - 2 * DAY + SECOND)
        outcome = decided(running, {**ANSWERED, "last_unfinished_at": NOW})
        assert events(outcome) == []
        assert outcome.alarm_at == NOW + SECOND, "its gateway is asked at the end"

    def test_a_gateway_that_does_not_answer_is_tried_for_an_hour(self) -> None:
        trying = generating(**OVER | {"accepted_at": NOW - 2 * DAY - HOUR}, unanswered_since=NOW - HOUR + SECOND)
        outcome = decided(trying, {"unanswered_since": NOW - HOUR + SECOND}, trouble=True)
        assert events(outcome) == []
        tried = generating(**OVER | {"accepted_at": NOW - 2 * DAY - HOUR}, unanswered_since=NOW - HOUR)
        assert events(decided(tried, {"unanswered_since": NOW - HOUR}, trouble=True)) == [Event.EXPIRE]

    def test_what_it_was_tried_for_before_the_end_does_not_count(self) -> None:
        """The service was down, or the clock has leapt, while its gateway did not answer."""
        silent = generating(accepted_at=NOW - 5 * DAY, unanswered_since=NOW - 4 * DAY)
        outcome = decided(silent, {"unanswered_since": NOW - 4 * DAY}, trouble=True)
        assert events(outcome) == []
        assert outcome.facts.attempts[1]["unanswered_since"] == NOW

    def test_troubles_of_our_own_do_not_keep_us_from_trying_within_that_hour(self) -> None:
        silent = case(job(State.GENERATING, troubles=20), accepted(**OVER))
        assert decided(silent, UNANSWERED, trouble=True).alarm_at == NOW + 10 * MINUTE

    def test_nor_from_being_there_at_the_end(self) -> None:
        silent = case(job(State.GENERATING, troubles=20), accepted(accepted_at=NOW - 2 * DAY + MINUTE))
        assert decided(silent, UNANSWERED, trouble=True).alarm_at == NOW + MINUTE

    @pytest.mark.parametrize("state", [State.ARCHIVED, State.FAILED, State.CANCELLED])
    def test_the_open_order_of_a_job_that_has_ended_is_asked_about_as_well(self, state: State) -> None:
        ended = case(job(state), accepted(**OVER))
        unasked = decided(ended, UNANSWERED, trouble=True)
        assert "outcome" not in unasked.facts.attempts[1]
        assert unasked.alarm_at == NOW + 5 * MINUTE
        assert decided(ended, ANSWERED).facts.attempts[1]["outcome"] is A.EXPIRED

    def test_and_so_is_one_that_its_job_no_longer_rests_on(self) -> None:
        two = case(job(State.GENERATING, attempt=2), accepted(1, **OVER), accepted(2))
        assert 1 not in decided(two).facts.attempts
        assert decided(two, ANSWERED).facts.attempts[1]["outcome"] is A.EXPIRED


class TestTheEndOfALostOrder:
    LOST = lost(**OLD, lost_at=NOW - 2 * DAY)

    def test_where_nobody_knows_a_task_there_is_nobody_to_ask(self) -> None:
        assert events(decided(case(job(State.UNCONFIRMED), self.LOST))) == [Event.EXPIRE]

    def test_a_task_that_a_callback_has_named_is_asked_about_first(self) -> None:
        named = case(job(State.UNCONFIRMED), self.LOST, callbacks=[callback(read_at=NOW)])
        assert events(decided(named)) == []
        assert events(decided(named, ANSWERED)) == [Event.EXPIRE]

    def test_a_gateway_that_does_not_answer_about_it_is_tried_again_within_minutes(self) -> None:
        named = case(job(State.UNCONFIRMED, troubles=20), self.LOST, callbacks=[callback()])
        outcome = decided(named, UNANSWERED, trouble=True)
        assert events(outcome) == []
        assert outcome.alarm_at == NOW + 10 * MINUTE

    def test_the_same_holds_of_the_window_where_no_callback_can_come(self) -> None:
        silent = lost(with_callback=False, lost_at=NOW - HOUR)
        named = case(job(State.UNCONFIRMED), silent, callbacks=[callback(read_at=NOW)])
        assert events(decided(named)) == []
        assert events(decided(named, ANSWERED)) == [Event.EXPIRE]


UNLINKED: AttemptChanges = {
    **ANSWERED,
    "last_word": "finished_without_link",
    "finished_at": NOW - DAY,
    "error_code": "no_link",
    "error_message": "No link.",
    "error_retryable": True,
}


class TestAFinishedTaskWithoutALink:
    def test_stands_for_a_person_to_see_and_waits_for_a_link(self) -> None:
        outcome = decided(generating(), {**UNLINKED, "finished_at": NOW})
        assert outcome.job["flagged"] == "no_link"
        assert events(outcome) == []

    def test_ends_with_its_links_life_as_paid_and_not_delivered(self) -> None:
        outcome = decided(generating(accepted_at=NOW - 25 * HOUR), UNLINKED)
        assert events(outcome) == [Event.EXPIRE]
        assert (outcome.job["error_code"], outcome.job["flagged"]) == ("no_link", "no_link")
        assert outcome.facts.attempts[1]["outcome"] is A.UNDELIVERED
        assert outcome.facts.attempts[1]["standing"] is Standing.CHARGED

    def test_says_that_its_link_was_forbidden_where_that_was_so(self) -> None:
        forbidden: AttemptChanges = {**UNLINKED, "last_word": "link_forbidden", "error_code": "link_forbidden"}
        outcome = decided(generating(accepted_at=NOW - 25 * HOUR), forbidden)
        assert (outcome.job["error_code"], outcome.job["flagged"]) == ("link_forbidden", "link_forbidden")

    def test_that_runs_again_has_its_whole_life(self) -> None:
        again: AttemptChanges = {**ANSWERED, "last_word": "running", "finished_at": None, "error_code": None}
        flagged = job(State.GENERATING, flagged="no_link")
        unlinked = accepted(accepted_at=NOW - 25 * HOUR, finished_at=NOW - DAY, error_code="no_link")
        outcome = decided(case(flagged, unlinked), again)
        assert events(outcome) == []
        assert outcome.job["flagged"] == "overdue_day"

    def test_of_a_job_that_has_ended_stands_as_charged_too(self) -> None:
        ended = case(job(State.FAILED, attempt=2), accepted(1, **OVER), failed(2))
        closed = decided(ended, UNLINKED).facts.attempts[1]
        assert (closed["outcome"], closed["standing"]) == (A.UNDELIVERED, Standing.CHARGED)


class TestTransfers:
    def test_are_tried_again_before_the_link_dies(self) -> None:
        dying = finished(finished_at=NOW - DAY + HOUR)
        outcome = decided(case(job(State.ARCHIVING, troubles=20), dying), trouble=True)
        assert outcome.alarm_at == NOW + 30 * MINUTE

    def test_and_every_ten_minutes_in_the_hour_after_it(self) -> None:
        outcome = decided(case(job(State.ARCHIVING, troubles=20), finished(finished_at=NOW - DAY)), trouble=True)
        assert outcome.alarm_at == NOW + 10 * MINUTE


@pytest.mark.parametrize(
    ("one", "is_without", "can_deliver"),
    [
        (failed(), True, True),
        (accepted(outcome=A.EXPIRED), True, True),
        (accepted(outcome=A.UNDELIVERED, link=None), True, True),
        (finished(outcome=A.UNDELIVERED), False, True),
        (finished(outcome=A.DELIVERED), False, False),
        (finished(), False, False),
        (attempt(), False, False),
    ],
)
def test_of_an_order_that_ended_without_a_video_a_later_word_may_bring_one(
    one: Attempt, is_without: bool, can_deliver: bool
) -> None:
    assert (one.is_without_video, one.can_still_deliver) == (is_without, can_deliver)


def test_every_code_that_it_ends_with_has_its_meaning() -> None:
    assert {"task_expired", "no_link", "link_forbidden"} <= set(ERRORS)


def test_a_task_that_another_gateway_does_not_know_is_not_asked_about_for_ever() -> None:
    """The same id was told of an order that is over, and whose key is gone: that stays unread."""
    unread = callback(id=2, task_id="made-up")
    judged = callback(task_id="made-up", provider="apiframe", read_at=NOW - HOUR)
    over = failed(finished_at=NOW - 3 * DAY, accepted_at=NOW - 3 * DAY)
    subject = case(job(State.FAILED), over, callbacks=(unread, judged))
    assert subject.strange == ()
    assert decide(subject, Facts(), now=NOW, rules=rules()).alarm_at is None


@pytest.mark.parametrize(
    "waited_for",
    [
        {"task_id": "t-1", "adopted": True, "closed_at": NOW - MINUTE},
        {"named_task_id": "t-1", "unanswered_since": NOW - MINUTE},
    ],
    ids=["failed in doubt", "named, and its gateway is silent"],
)
def test_an_order_that_is_waited_for_after_the_end_is_not_asked_about_without_a_pause(waited_for: Any) -> None:
    long_ago = dict.fromkeys(("created_at", "sending_at", "lost_at"), NOW - 3 * DAY)
    doubted = lost(**long_ago, with_callback=False, **waited_for)
    outcome = decide(case(job(State.UNCONFIRMED), doubted), Facts(), now=NOW, rules=rules())
    assert outcome.moves == ()
    assert outcome.alarm_at is not None
    assert outcome.alarm_at >= NOW + 10 * SECOND
