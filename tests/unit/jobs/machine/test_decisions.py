"""Section 3 of the design, a case at a time: what facts on a job's rows amount to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
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
    refused,
    rules,
    settings,
)

from jobs.machine.alarms import may_resubmit
from jobs.machine.case import Case
from jobs.machine.decisions import decide
from jobs.machine.flags import TROUBLES_FLAGGED
from jobs.machine.outcome import Cooldown, Facts, Outcome
from jobs.machine.rows import Attempt, AttemptOutcome, Standing
from jobs.machine.states import ENDED, Event, State

A = AttemptOutcome
WISH = {"cancel_requested_at": NOW - SECOND}


def decided(subject: Case, facts: Facts | None = None, **of_rules: Any) -> Outcome:
    return decide(subject, facts or Facts(), now=NOW, rules=rules(**of_rules))


def events(outcome: Outcome) -> list[Event]:
    return [move.event for move in outcome.moves]


EXPIRED_LOSS = {"lost_at": NOW - 3 * DAY, "created_at": NOW - 3 * DAY, "sending_at": NOW - 3 * DAY}

# (the job's state and columns, its attempts) -> the events, in order
MOVES: dict[str, tuple[State, dict[str, Any], list[Attempt], list[Event]]] = {
    "a queued job with nothing new waits": (State.QUEUED, {}, [], []),
    "an acceptance": (State.SUBMITTING, {}, [accepted()], [Event.ACCEPT]),
    "an answer that was lost": (State.SUBMITTING, {}, [attempt()], [Event.LOSE]),
    "a dead worker that had sent": (State.SUBMITTING, {}, [attempt(sends=1)], [Event.LOSE]),
    "a dead worker that had not sent": (
        State.SUBMITTING,
        {},
        [attempt(sending_at=None, sends=0)],
        [Event.DEFER],
    ),
    "nothing was sent": (State.SUBMITTING, {}, [attempt(outcome=A.NOT_SENT, sending_at=None)], [Event.DEFER]),
    "a refusal that is about the key": (State.SUBMITTING, {}, [refused(code="rate_limited")], [Event.DEFER]),
    "refused under a wish": (State.SUBMITTING, WISH, [refused()], [Event.CANCEL]),
    "nothing was sent under a wish": (
        State.SUBMITTING,
        WISH,
        [attempt(outcome=A.NOT_SENT, sending_at=None)],
        [Event.CANCEL],
    ),
    "an acceptance under a wish": (State.SUBMITTING, WISH, [accepted()], [Event.ACCEPT]),
    "a lost answer under a wish": (State.SUBMITTING, WISH, [attempt()], [Event.LOSE]),
    "a verdict that overtook the answer": (State.SUBMITTING, {}, [finished()], [Event.LOSE, Event.FINISH]),
    "a failure that overtook the answer": (State.SUBMITTING, {}, [failed()], [Event.LOSE, Event.FAIL_RETRYABLE]),
    "an unconfirmed job waits": (State.UNCONFIRMED, {}, [lost()], []),
    "a late acceptance": (State.UNCONFIRMED, {}, [accepted(lost_at=NOW - MINUTE)], [Event.ACCEPT]),
    "a late acceptance under a wish": (State.UNCONFIRMED, WISH, [accepted(lost_at=NOW - MINUTE)], [Event.ACCEPT]),
    "finished from unconfirmed": (State.UNCONFIRMED, {}, [finished()], [Event.FINISH]),
    "failed from unconfirmed, with an attempt left": (State.UNCONFIRMED, {}, [failed()], [Event.FAIL_RETRYABLE]),
    "failed from unconfirmed, for good": (State.UNCONFIRMED, {}, [failed(error_retryable=False)], [Event.FAIL]),
    "failed from unconfirmed under a wish": (State.UNCONFIRMED, WISH, [failed()], [Event.CANCEL]),
    "a late refusal": (State.UNCONFIRMED, {}, [refused(code="rate_limited")], [Event.DEFER]),
    "a late refusal under a wish": (State.UNCONFIRMED, WISH, [refused()], [Event.CANCEL]),
    "refused under a wish, beside an order that may come": (
        State.SUBMITTING,
        {**WISH, "attempt": 2},
        [lost(1), refused(2)],
        [Event.DEFER, Event.STAND_BY],
    ),
    "nothing was sent under a wish, beside an order that may come": (
        State.SUBMITTING,
        {**WISH, "attempt": 2},
        [lost(1), attempt(2, outcome=A.NOT_SENT, sending_at=None)],
        [Event.DEFER, Event.STAND_BY],
    ),
    "failed under a wish, beside an order that may come": (
        State.UNCONFIRMED,
        {**WISH, "attempt": 2},
        [lost(1), failed(2)],
        [Event.DEFER, Event.STAND_BY],
    ),
    "failed under a wish, beside an order that runs": (
        State.UNCONFIRMED,
        {**WISH, "attempt": 2},
        [accepted(1), failed(2)],
        [Event.DEFER, Event.RECALL],
    ),
    "refused under a wish, beside an order that has come": (
        State.SUBMITTING,
        {**WISH, "attempt": 2},
        [finished(1), refused(2)],
        [Event.DEFER, Event.PROVE],
    ),
    "failed, when it had come back to an earlier order": (
        State.UNCONFIRMED,
        {},
        [failed(1), lost(2)],
        [Event.STAND_BY],
    ),
    "failed while it was made, when it had come back to an earlier order": (
        State.GENERATING,
        {},
        [failed(1), accepted(2)],
        [Event.STAND_BY, Event.ACCEPT],
    ),
    "a late refusal, when it had come back to an earlier order": (
        State.UNCONFIRMED,
        {},
        [refused(1, code="rate_limited"), lost(2)],
        [Event.STAND_BY],
    ),
    "a late word that nothing was sent": (State.UNCONFIRMED, {}, [lost(outcome=A.NOT_SENT)], [Event.DEFER]),
    "the window of a job without callback": (
        State.UNCONFIRMED,
        {},
        [lost(with_callback=False, lost_at=NOW - 15 * MINUTE)],
        [Event.EXPIRE],
    ),
    "almost the window of a job without callback": (
        State.UNCONFIRMED,
        {},
        [lost(with_callback=False, lost_at=NOW - 15 * MINUTE + SECOND)],
        [],
    ),
    "with a callback URL the window is no end": (State.UNCONFIRMED, {}, [lost(lost_at=NOW - 47 * HOUR)], []),
    "with a callback URL, task and link life": (State.UNCONFIRMED, {}, [lost(**EXPIRED_LOSS)], [Event.EXPIRE]),
    "life over under a wish": (State.UNCONFIRMED, WISH, [lost(**EXPIRED_LOSS)], [Event.EXPIRE]),
    "a running task": (State.GENERATING, {}, [accepted()], []),
    "finished": (State.GENERATING, {}, [finished()], [Event.FINISH]),
    "failed, with an attempt left": (State.GENERATING, {}, [failed()], [Event.FAIL_RETRYABLE]),
    "failed, for good": (State.GENERATING, {}, [failed(error_retryable=False)], [Event.FAIL]),
    "failed, none left": (
        State.GENERATING,
        {"attempt": 2},
        [failed(1), failed(2)],
        [Event.FAIL],
    ),
    "failed after a refusal, which counts for nothing": (
        State.GENERATING,
        {"attempt": 2},
        [refused(1, code="rate_limited"), failed(2)],
        [Event.FAIL_RETRYABLE],
    ),
    "a task that was given back": (State.GENERATING, {}, [lost()], [Event.GIVE_BACK]),
    "a task past its life": (
        State.GENERATING,
        {},
        [accepted(accepted_at=NOW - 2 * DAY, answered_at=NOW)],
        [Event.EXPIRE],
    ),
    "a copy goes on": (State.ARCHIVING, {}, [finished()], []),
    "stored": (State.ARCHIVING, {}, [finished(outcome=A.DELIVERED)], [Event.STORE]),
    "a dead link": (State.ARCHIVING, {}, [finished(outcome=A.UNDELIVERED, error_code="link_expired")], [Event.EXPIRE]),
    "a stranger's object": (
        State.ARCHIVING,
        {},
        [finished(outcome=A.UNDELIVERED, error_code="key_conflict")],
        [Event.KEY_CONFLICT],
    ),
    "a task given back while it is copied": (State.ARCHIVING, {}, [lost()], [Event.GIVE_BACK]),
    "not started in time": (State.QUEUED, {"start_by": NOW}, [], [Event.GIVE_UP]),
    "an earlier attempt that runs after all": (
        State.QUEUED,
        {"attempt": 1},
        [attempt(1, task_id="t", accepted_at=NOW)],
        [Event.RECALL],
    ),
    "a proof in the queue": (State.QUEUED, {"attempt": 1}, [finished()], [Event.PROVE]),
    "a proof in the queue, even when it is too late to start": (
        State.QUEUED,
        {"attempt": 1, "start_by": NOW},
        [finished()],
        [Event.PROVE],
    ),
    "a proof of a failed job": (State.FAILED, {"attempt": 2}, [finished(1), failed(2)], [Event.PROVE]),
    "a failed job without proof": (State.FAILED, {}, [failed()], []),
    "a proof for an archived job stands as it is": (
        State.ARCHIVED,
        {"attempt": 2},
        [finished(1), finished(2, outcome=A.DELIVERED)],
        [],
    ),
    "a proof for a cancelled job stands as it is": (State.CANCELLED, {}, [finished(1)], []),
    "a proof waits while another attempt runs": (State.GENERATING, {"attempt": 2}, [finished(1), accepted(2)], []),
    "a proof comes before an order whose answer was lost": (
        State.UNCONFIRMED,
        {"attempt": 2},
        [finished(1), lost(2)],
        [Event.PROVE],
    ),
    "a running task does not": (State.UNCONFIRMED, {"attempt": 2}, [accepted(1), lost(2)], []),
    "a job about to fail takes a waiting proof": (
        State.GENERATING,
        {"attempt": 2},
        [finished(1), failed(2, error_retryable=False)],
        [Event.FAIL_RETRYABLE, Event.PROVE],
    ),
    "a job about to be refused takes a waiting proof": (
        State.SUBMITTING,
        {"attempt": 2},
        [finished(1), refused(2)],
        [Event.DEFER, Event.PROVE],
    ),
    "a job whose answer never came takes a waiting proof": (
        State.UNCONFIRMED,
        {"attempt": 2},
        [finished(1), lost(2, **EXPIRED_LOSS)],
        [Event.PROVE],
    ),
    "a transfer that failed takes a waiting proof": (
        State.ARCHIVING,
        {"attempt": 2},
        [finished(1), finished(2, outcome=A.UNDELIVERED, error_code="link_expired")],
        [Event.EXPIRE, Event.PROVE],
    ),
}


@pytest.mark.parametrize("name", MOVES)
def test_a_job_moves_by(name: str) -> None:
    state, columns, attempts, expected = MOVES[name]
    assert events(decided(case(job(state, **columns), *attempts))) == expected


def test_a_refusal_with_no_route_left_fails_the_job() -> None:
    outcome = decided(case(job(State.SUBMITTING), refused()), remaining=())
    assert events(outcome) == [Event.REFUSE]
    assert outcome.job["error_code"] == "content_refused"
    assert outcome.job["error_retryable"] is False


def test_a_refusal_with_a_route_left_goes_on_to_the_next_gateway() -> None:
    outcome = decided(case(job(State.SUBMITTING), refused()), remaining=("gravitex",))
    assert events(outcome) == [Event.DEFER]
    assert outcome.alarm_at == NOW


@pytest.mark.parametrize(("code", "flag"), [("insufficient_credits", "out_of_credit"), ("unauthorized", "key_refused")])
def test_a_refusal_that_a_person_must_cure_flags_the_job_and_fails_nothing(code: str, flag: str) -> None:
    outcome = decided(case(job(State.SUBMITTING), refused(code=code)), remaining=())
    assert events(outcome) == [Event.DEFER]
    assert outcome.job["flagged"] == flag


def test_a_gateway_that_fails_a_job_twice_over_has_no_third_try() -> None:
    outcome = decided(case(job(State.GENERATING), failed()), remaining=())
    assert events(outcome) == [Event.FAIL]


def test_an_acceptance_writes_its_time_the_gateway_and_whose_money_it_is() -> None:
    outcome = decided(case(job(State.SUBMITTING), attempt()), Facts({1: {"task_id": "t"}}))
    assert events(outcome) == [Event.ACCEPT]
    assert outcome.job["provider"] == "evolink"
    assert outcome.facts.attempts[1]["standing"] is Standing.HELD
    assert outcome.moves[0].detail == {"task_id": "t"}


def test_accepted_lapses_the_wish_to_cancel_and_says_so() -> None:
    outcome = decided(case(job(State.SUBMITTING, **WISH), attempt()), Facts({1: {"task_id": "t"}}))
    assert outcome.job["cancel_requested_at"] is None
    assert outcome.moves[0].detail["cancel_lapsed"] is True


def test_an_answer_that_was_lost_leaves_the_money_uncertain() -> None:
    outcome = decided(case(job(State.SUBMITTING), attempt()))
    assert outcome.facts.attempts[1] == {"lost_at": NOW, "standing": Standing.UNCERTAIN}


def test_nothing_sent_keeps_the_attempt_for_the_next_try() -> None:
    outcome = decided(case(job(State.SUBMITTING), attempt(sending_at=None, sends=0)))
    assert outcome.facts.attempts[1]["outcome"] is A.NOT_SENT
    assert outcome.facts.attempts[1]["standing"] is Standing.NONE


@pytest.mark.parametrize(
    ("state", "one", "code"),
    [
        (State.UNCONFIRMED, lost(**EXPIRED_LOSS), "submit_unconfirmed"),
        (State.GENERATING, accepted(accepted_at=NOW - 3 * DAY, answered_at=NOW), "task_expired"),
    ],
)
def test_an_expiry_without_a_word_says_that_it_may_have_been_charged(state: State, one: Attempt, code: str) -> None:
    outcome = decided(case(job(state), one))
    assert outcome.job["error_code"] == code
    assert "may have been charged" in outcome.job["error_message"]
    assert outcome.job["flagged"] == "uncertain_money"
    assert outcome.facts.attempts[1]["outcome"] is A.EXPIRED
    assert outcome.facts.attempts[1]["standing"] is Standing.UNCERTAIN
    assert outcome.alarm_at is None


def test_a_failure_writes_the_gateways_words_as_the_jobs_error() -> None:
    outcome = decided(case(job(State.GENERATING), failed(error_retryable=False)))
    error = {name: outcome.job[name] for name in ("error_code", "error_message", "error_retryable")}
    assert error == {"error_code": "generation_failed", "error_message": "no", "error_retryable": False}


def test_a_new_attempt_gets_a_new_start_by() -> None:
    outcome = decided(case(job(State.GENERATING, start_by=NOW - HOUR), failed()))
    assert events(outcome) == [Event.FAIL_RETRYABLE]
    assert outcome.job["start_by"] == NOW + DAY


def test_not_started_is_retryable_and_named() -> None:
    outcome = decided(case(job(start_by=NOW)))
    assert outcome.job["error_code"] == "not_started"
    assert outcome.job["error_retryable"] is True
    assert outcome.alarm_at is None


def test_not_started_tells_what_it_was_waiting_for_and_which_limit_passed() -> None:
    waiting = {"provider": "evolink", "code": "over_budget", "reason": "evolink would pass its $5.00 of the day (UTC)"}
    late = decided(case(job(start_by=NOW, inputs_until=NOW, waiting=waiting)))
    assert late.job["error_message"] == (
        "No gateway accepted the job before a link to its inputs would die."
        " It was waiting: evolink would pass its $5.00 of the day (UTC)."
    )


def test_a_further_attempt_may_not_start_once_the_inputs_links_are_dead() -> None:
    until = NOW + 10 * MINUTE
    outcome = decided(case(job(State.GENERATING, inputs_until=until), failed()))
    assert outcome.job["start_by"] == until


def test_a_finish_writes_when_its_link_dies() -> None:
    outcome = decided(case(job(State.GENERATING), finished(finished_at=NOW - HOUR)))
    assert outcome.job["link_dies_at"] == NOW + 23 * HOUR
    assert outcome.alarm_at == NOW


def test_a_stored_video_stands_on_the_job_with_the_attempt_of_the_object() -> None:
    columns = {"attempt": 1, "bytes": 9, "sha256": "s"}
    facts = Facts({1: {"outcome": A.DELIVERED}}, video=columns)
    outcome = decided(case(job(State.ARCHIVING, attempt=2), finished(1), finished(2)), facts)
    assert events(outcome) == [Event.STORE]
    assert {name: outcome.job[name] for name in columns} == columns


def test_a_proof_makes_the_earlier_attempt_current() -> None:
    outcome = decided(case(job(State.QUEUED, attempt=2), finished(1), refused(2)))
    assert outcome.job["attempt"] == 1
    assert outcome.moves[0].attempt == 1


def test_a_key_conflict_may_be_retried_once_a_person_has_looked() -> None:
    conflict = finished(outcome=A.UNDELIVERED, error_code="key_conflict", error_message="Another object stands there.")
    outcome = decided(case(job(State.ARCHIVING), conflict))
    assert (outcome.job["error_code"], outcome.job["error_retryable"]) == ("key_conflict", True)


class TestResubmit:
    """`on_unconfirmed: resubmit` is the client's explicit choice to risk paying twice."""

    CHOSEN = job(State.UNCONFIRMED, on_unconfirmed="resubmit")
    RIPE = lost(lost_at=NOW - 15 * MINUTE)

    def test_it_comes_a_quarter_of_an_hour_after_the_loss(self) -> None:
        assert events(decided(case(self.CHOSEN, self.RIPE))) == [Event.RESUBMIT]

    def test_it_does_not_come_before(self) -> None:
        young = lost(lost_at=NOW - 15 * MINUTE + SECOND)
        outcome = decided(case(self.CHOSEN, young))
        assert events(outcome) == []
        assert outcome.alarm_at == NOW + SECOND

    def test_it_comes_only_where_it_was_chosen(self) -> None:
        assert events(decided(case(job(State.UNCONFIRMED), self.RIPE))) == []

    def test_it_is_bounded_by_the_limit_of_attempts(self) -> None:
        second = case(replace(self.CHOSEN, attempt=2), lost(1), replace(self.RIPE, number=2))
        assert not may_resubmit(second, rules())
        assert events(decided(second)) == []

    def test_a_refused_or_unsent_attempt_risked_nothing(self) -> None:
        second = case(replace(self.CHOSEN, attempt=2), refused(1), replace(self.RIPE, number=2))
        assert events(decided(second)) == [Event.RESUBMIT]

    def test_nothing_is_sent_again_under_a_wish_to_cancel(self) -> None:
        assert events(decided(case(replace(self.CHOSEN, **WISH), self.RIPE))) == []

    def test_the_first_attempt_stays_open(self) -> None:
        outcome = decided(case(self.CHOSEN, self.RIPE))
        assert "outcome" not in outcome.facts.attempts.get(1, {})


class TestAlarms:
    def test_a_queued_job_wants_attention_now(self) -> None:
        assert decided(case(job())).alarm_at == NOW

    def test_a_pause_that_was_asked_for_is_kept(self) -> None:
        outcome = decided(
            case(job(State.SUBMITTING), refused(code="rate_limited")), Facts(cooldown=Cooldown("rate_limited", 40))
        )
        assert outcome.alarm_at == NOW + 40 * SECOND

    def test_a_running_task_waits_for_its_next_poll(self) -> None:
        outcome = decided(case(job(State.GENERATING), accepted(accepted_at=NOW, last_unfinished_at=None)))
        assert outcome.alarm_at == NOW + 15 * SECOND

    def test_an_unconfirmed_job_without_callback_waits_for_its_window(self) -> None:
        outcome = decided(case(job(State.UNCONFIRMED), lost(with_callback=False)))
        assert outcome.alarm_at == NOW + 14 * MINUTE

    def test_an_unconfirmed_job_with_callback_waits_for_task_and_link_life(self) -> None:
        assert decided(case(job(State.UNCONFIRMED), lost())).alarm_at == NOW - MINUTE + 2 * DAY

    def test_what_a_callback_told_of_is_asked_about_again_at_its_own_time(self) -> None:
        read = callback(read_at=NOW)
        outcome = decided(case(job(State.UNCONFIRMED), lost(), callbacks=[read]))
        assert outcome.alarm_at == NOW + 10 * MINUTE

    def test_also_where_the_clock_was_set_back_since(self) -> None:
        read = callback(read_at=NOW + 30 * DAY)
        outcome = decided(case(job(State.UNCONFIRMED), lost(), callbacks=[read]))
        assert outcome.alarm_at == NOW + HOUR

    def test_a_rejected_candidate_is_not(self) -> None:
        one = lost(rejected_task_ids=["task-1"])
        outcome = decided(case(job(State.UNCONFIRMED), one, callbacks=[callback(read_at=NOW)]))
        assert outcome.alarm_at == NOW - MINUTE + 2 * DAY

    def test_a_lost_submit_under_an_idempotency_key_is_sent_again_after_a_minute(self) -> None:
        outcome = decided(case(job(State.UNCONFIRMED), lost(provider="apiframe", lost_at=NOW)))
        assert outcome.alarm_at == NOW + MINUTE

    def test_but_not_under_a_wish_to_cancel(self) -> None:
        outcome = decided(case(job(State.UNCONFIRMED, **WISH), lost(provider="apiframe", lost_at=NOW)))
        assert outcome.alarm_at == NOW + 2 * DAY

    @pytest.mark.parametrize(
        ("state", "one"),
        [
            (State.UNCONFIRMED, lost()),
            (State.GENERATING, accepted()),
            (State.ARCHIVING, finished()),
            (State.FAILED, accepted()),
            (State.CANCELLED, lost()),
        ],
    )
    def test_unread_news_wants_attention_now(self, state: State, one: Attempt) -> None:
        assert decided(case(job(state), one, callbacks=[callback()])).alarm_at == NOW

    def test_news_of_a_closed_attempt_wants_attention_now_beside_an_open_one(self) -> None:
        subject = case(job(State.FAILED, attempt=2), accepted(1), failed(2), callbacks=[callback(2)])
        assert decided(subject).alarm_at == NOW

    def test_a_trouble_of_our_own_waits_its_turn_even_with_news(self) -> None:
        outcome = decided(case(job(State.GENERATING), accepted(), callbacks=[callback()]), Facts(trouble=True))
        assert outcome.alarm_at == NOW + 10 * SECOND

    def test_troubles_in_a_row_wait_ever_longer(self) -> None:
        outcome = decided(case(job(State.ARCHIVING, troubles=3), finished()), Facts(trouble=True))
        assert outcome.alarm_at == NOW + 80 * SECOND
        assert outcome.job["troubles"] == 4

    def test_a_step_without_trouble_forgets_them(self) -> None:
        assert decided(case(job(State.ARCHIVING, troubles=3), finished())).job["troubles"] == 0

    def test_after_five_a_person_should_look(self) -> None:
        outcome = decided(case(job(State.ARCHIVING, troubles=TROUBLES_FLAGGED - 1), finished()), Facts(trouble=True))
        assert outcome.job["flagged"] == "troubled"

    def test_a_cost_that_cannot_be_true_wants_a_person_until_it_is_settled(self) -> None:
        dear = finished(estimated_usd=0.2, reported_usd=2.01)
        assert decided(case(job(State.ARCHIVING), dear)).job["flagged"] == "absurd_cost"
        assert "flagged" not in decided(case(job(State.ARCHIVING), replace(dear, reported_usd=2.0))).job
        for settled in ({"settled": "charged"}, {"standing": Standing.REFUNDED}):
            flagged = job(State.ARCHIVED, flagged="absurd_cost")
            assert decided(case(flagged, replace(dear, outcome=A.DELIVERED, **settled))).job["flagged"] is None

    def test_it_wants_one_still_once_the_video_is_archived(self) -> None:
        dear = finished(estimated_usd=0.2, reported_usd=2.01, outcome=A.DELIVERED)
        outcome = decided(case(job(State.ARCHIVING, flagged="absurd_cost"), dear))
        assert events(outcome) == [Event.STORE]
        assert outcome.job["flagged"] == "absurd_cost"

    @pytest.mark.parametrize("graver", ["uncertain_money", "foreign_task"])
    def test_a_graver_reason_for_a_person_stays(self, graver: str) -> None:
        dear = finished(estimated_usd=0.2, reported_usd=2.01)
        assert "flagged" not in decided(case(job(State.ARCHIVED, flagged=graver), dear)).job

    @pytest.mark.parametrize("state", sorted(ENDED))
    def test_troubles_that_are_over_want_nobody_once_the_job_has_ended(self, state: State) -> None:
        closed = attempt(outcome=A.EXPIRED, standing=Standing.UNCERTAIN)
        troubled = case(job(state, flagged="troubled", troubles=5), closed)
        assert decided(troubled).job["flagged"] is None
        assert "flagged" not in decided(troubled, Facts(trouble=True)).job

    @pytest.mark.parametrize("flagged", [None, "troubled", "absurd_cost"])
    def test_a_forbidden_link_wants_a_person_until_another_word_is_the_last(self, flagged: str | None) -> None:
        subject = case(job(State.ARCHIVING, flagged=flagged), finished())
        forbidden = Facts({1: {"last_word": "transfer:LinkForbidden"}}, trouble=True)
        assert decided(subject, forbidden).job["flagged"] == "link_forbidden"
        other = Facts({1: {"last_word": "transfer:LinkUnavailable"}}, trouble=True)
        assert decided(case(job(State.ARCHIVING, flagged="link_forbidden"), finished()), other).job["flagged"] is None

    def test_an_ended_job_with_an_open_task_is_asked_about_until_its_life_is_over(self) -> None:
        assert decided(case(job(State.FAILED), accepted())).alarm_at == NOW + 5 * MINUTE

    def test_an_ended_job_with_an_open_attempt_without_task_waits_for_the_end_of_its_life(self) -> None:
        assert decided(case(job(State.CANCELLED), lost())).alarm_at == NOW - MINUTE + 2 * DAY

    @pytest.mark.parametrize("state", [State.ARCHIVED, State.FAILED, State.CANCELLED])
    def test_an_ended_job_with_every_attempt_closed_wants_nothing(self, state: State) -> None:
        attempts = [failed(1), finished(2, outcome=A.DELIVERED)]
        assert decided(case(job(state, attempt=2), *attempts)).alarm_at is None

    @pytest.mark.parametrize("state", [State.ARCHIVED, State.FAILED, State.CANCELLED])
    def test_an_open_attempt_of_an_ended_job_is_closed_at_the_end_of_its_life(self, state: State) -> None:
        outcome = decided(case(job(state), lost(**EXPIRED_LOSS)))
        closed = {"outcome": A.EXPIRED, "standing": Standing.UNCERTAIN, "closed_at": NOW}
        assert outcome.facts.attempts[1] == closed
        assert outcome.alarm_at is None

    def test_an_old_attempt_beside_a_running_one_is_closed_too(self) -> None:
        outcome = decided(case(job(State.GENERATING, attempt=2), lost(1, **EXPIRED_LOSS), accepted(2)))
        assert outcome.facts.attempts[1]["outcome"] is A.EXPIRED
        assert events(outcome) == []


class TestOverdue:
    def test_a_task_past_its_expected_time_is_flagged_and_lives_on(self) -> None:
        outcome = decided(case(job(State.GENERATING), accepted(accepted_at=NOW - 5 * MINUTE)))
        assert outcome.job["overdue"] is True
        assert [note.event for note in outcome.facts.notes] == ["overdue"]
        assert events(outcome) == []

    def test_it_is_said_once(self) -> None:
        outcome = decided(case(job(State.GENERATING, overdue=True), accepted(accepted_at=NOW - 5 * MINUTE)))
        assert outcome.facts.notes == ()

    def test_an_edit_may_take_twice_as_long(self) -> None:
        outcome = decided(case(job(State.GENERATING, mode="video-edit"), accepted(accepted_at=NOW - 5 * MINUTE)))
        assert "overdue" not in outcome.job


def test_facts_decide_with_the_rows_whoever_brought_them() -> None:
    told = decided(case(job(State.GENERATING), accepted()), Facts({1: {"outcome": A.FINISHED, "link": "https://h/v"}}))
    assert events(told) == [Event.FINISH]
    assert told.facts.attempts[1] == {"outcome": A.FINISHED, "link": "https://h/v"}


def test_callbacks_that_a_step_has_read_are_news_no_more() -> None:
    outcome = decided(case(job(State.GENERATING), accepted(accepted_at=NOW), callbacks=[callback()]), Facts(read=(1,)))
    assert outcome.alarm_at == NOW + 15 * SECOND


def test_a_case_without_its_attempt_is_our_own_mistake() -> None:
    with pytest.raises(LookupError, match="generating without an attempt"):
        decided(case(job(State.GENERATING)))


def test_the_numbers_are_settings() -> None:
    quick = settings(UNCONFIRMED_WINDOW_S="30")
    outcome = decided(case(job(State.UNCONFIRMED), lost(with_callback=False)), settings_=quick)
    assert events(outcome) == [Event.EXPIRE]


def test_jitter_spreads_the_polls() -> None:
    outcome = decided(case(job(State.GENERATING), accepted(accepted_at=NOW)), jitter=lambda s: s * 2)
    assert outcome.alarm_at == NOW + timedelta(seconds=30)
