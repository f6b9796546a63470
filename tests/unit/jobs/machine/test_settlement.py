"""What a person's word amounts to, and when a task that they named is asked about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from made_cases import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    SETTINGS,
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

from jobs.intake.settling import not_made
from jobs.machine import routing
from jobs.machine.alarms import may_resubmit
from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges
from jobs.machine.decisions import decide
from jobs.machine.job_json import job_json
from jobs.machine.outcome import Facts, Outcome
from jobs.machine.rows import Attempt, AttemptOutcome, Settled, Standing
from jobs.machine.schedule import heard_until
from jobs.machine.states import ENDED, Event, State
from jobs.providers.registry import PROVIDERS

A = AttemptOutcome
ASKED = {"named_task_id": "task-named"}
IN_VAIN = {**ASKED, "unanswered_since": NOW - MINUTE}
NOT_MADE = {"outcome": A.NOT_MADE, "standing": Standing.NONE, "settled": Settled.NOT_MADE}


def decided(subject: Case, facts: Facts | None = None) -> Outcome:
    return decide(subject, facts or Facts(), now=NOW, rules=rules())


def expired(**changes: Any) -> Attempt:
    return lost(**{"outcome": A.EXPIRED, "closed_at": NOW - SECOND, **changes})


class TestWhatOutweighsAPersonsWord:
    @pytest.mark.parametrize("settled", [Settled.CHARGED, Settled.NOT_CHARGED])
    @pytest.mark.parametrize(
        "said",
        [
            {"outcome": A.FINISHED, "standing": Standing.CHARGED, "link": "https://host/v.mp4"},
            {"outcome": A.FAILED, "standing": Standing.REFUNDED},
            {"outcome": A.OPEN, "standing": Standing.HELD, "task_id": "task-1", "closed_at": None},
        ],
        ids=["made", "refunded", "running"],
    )
    def test_what_the_gateway_says_anew(self, settled: Settled, said: Any) -> None:
        standing = Standing.CHARGED if settled is Settled.CHARGED else Standing.NONE
        outcome = decided(case(job(State.CANCELLED), expired(settled=settled, standing=standing)), Facts({1: said}))
        assert outcome.facts.attempts[1]["standing"] is said["standing"]
        assert "settled" not in outcome.facts.attempts[1]  # so it is taken away where the row is written
        (note,) = [note for note in outcome.facts.notes if note.event == "outweighed"]
        assert note.detail == {"settled": settled.value, "standing": said["standing"].value}

    @pytest.mark.parametrize(
        ("known", "said"),
        [
            (failed(), {"outcome": A.FAILED, "standing": Standing.REFUNDED}),
            (failed(), {"outcome": A.FAILED, "standing": Standing.UNCERTAIN}),
            (expired(), {"outcome": A.FAILED, "standing": Standing.UNCERTAIN}),
            (finished(outcome=A.UNDELIVERED), {"outcome": A.DELIVERED, "standing": Standing.CHARGED}),
        ],
        ids=["the verdict of before", "another doubt", "a failure whose money nobody speaks of", "a stored video"],
    )
    def test_nothing_else(self, known: Attempt, said: Any) -> None:
        settled = {"settled": Settled.NOT_CHARGED, "standing": Standing.NONE}
        outcome = decided(case(job(State.CANCELLED), attempt(**{**vars(known), **settled})), Facts({1: said}))
        assert {**outcome.facts.attempts[1]} == {**said, **settled}
        assert outcome.facts.notes == ()

    @pytest.mark.parametrize("settled", [Settled.CHARGED, Settled.NOT_CHARGED])
    @pytest.mark.parametrize(
        "state", [State.CANCELLED, State.UNCONFIRMED], ids=["of a job at rest", "of one that waits"]
    )
    def test_not_the_end_of_an_order_that_was_opened_again(self, settled: Settled, state: State) -> None:
        """A person spoke of its money, and then named another task than callbacks had told: nobody knows that one."""
        word = {"settled": settled, "standing": Standing.CHARGED if settled is Settled.CHARGED else Standing.NONE}
        old = NOW - 90 * DAY
        opened = lost(created_at=old, sending_at=old, lost_at=old, **word)
        said = decided(case(job(state, created_at=old), opened)).facts.attempts[1]
        assert said["outcome"] is A.EXPIRED
        assert {name: said[name] for name in word} == word

    def test_a_task_of_an_order_that_was_called_not_made_always_does(self) -> None:
        said: AttemptChanges = {"task_id": "task-1", "outcome": A.FAILED, "standing": Standing.UNCERTAIN}
        outcome = decided(case(job(State.CANCELLED), lost(**NOT_MADE)), Facts({1: said}))
        assert outcome.facts.attempts[1]["standing"] is Standing.UNCERTAIN


class TestAnOrderThatWasNotMade:
    def test_its_video_is_taken_all_the_same_once_there_is_one(self) -> None:
        for state, event in ((State.QUEUED, Event.PROVE), (State.FAILED, Event.PROVE)):
            made: AttemptChanges = {"outcome": A.FINISHED, "standing": Standing.CHARGED, "link": "https://host/v.mp4"}
            subject = case(job(state, attempt=1), lost(**NOT_MADE))
            assert [move.event for move in decided(subject, Facts({1: made})).moves] == [event]

    def test_its_task_recalls_a_job_that_waits_to_be_ordered_anew(self) -> None:
        running: AttemptChanges = {"outcome": A.OPEN, "standing": Standing.HELD, "task_id": "task-1"}
        subject = case(job(State.QUEUED, attempt=1), lost(**NOT_MADE))
        assert [move.event for move in decided(subject, Facts({1: running})).moves] == [Event.RECALL]

    @pytest.mark.parametrize("came_to", [NOT_MADE, {"outcome": A.NOT_SENT, "standing": Standing.NONE}])
    @pytest.mark.parametrize("wish", [{}, {"cancel_requested_at": NOW}])
    def test_a_job_that_had_come_back_to_it_waits_for_the_later_order(self, came_to: Any, wish: Any) -> None:
        subject = case(job(State.UNCONFIRMED, attempt=1, **wish), lost(), lost(2))
        if came_to is NOT_MADE:
            outcome = not_made(subject, subject.attempts[1], {"said": "not_made"}, NOW, rules())
        else:
            outcome = decided(subject, Facts({1: came_to}))
        assert (outcome.moves[-1].event, outcome.moves[-1].attempt) == (Event.STAND_BY, 2)
        assert outcome.facts.attempts[1]["outcome"] is came_to["outcome"]

    def test_the_clients_choice_to_order_beside_an_open_one_stands_when_its_time_has_come(self) -> None:
        waits = job(State.UNCONFIRMED, attempt=1, on_unconfirmed="resubmit")
        for since, event in ((NOW - SECOND, Event.STAND_BY), (NOW - DAY, Event.SETTLE)):
            later = lost(2, created_at=since, sending_at=since, lost_at=since)
            outcome = not_made(case(waits, lost(), later), lost(), {}, NOW, rules())
            assert outcome.moves[-1].event is event

    def test_it_risked_nothing_and_its_gateway_comes_last(self) -> None:
        subject = case(job(State.UNCONFIRMED, attempt=2, on_unconfirmed="resubmit"), lost(**NOT_MADE), lost(2))
        assert may_resubmit(subject, rules())
        assert routing.remaining(["evolink", "apiframe"], [lost(**NOT_MADE)]) == ["apiframe", "evolink"]


class TestATaskThatAPersonNamed:
    @pytest.mark.parametrize("over", [{"named_refused": "no such task"}, {"task_id": "task-2"}])
    def test_once_it_is_answered_it_is_no_news(self, over: dict[str, str]) -> None:
        assert case(job(State.FAILED), expired(**ASKED)).has_news
        assert not case(job(State.FAILED), expired(**ASKED, **over)).has_news

    @pytest.mark.parametrize("state", [*sorted(ENDED), State.QUEUED, State.UNCONFIRMED, State.GENERATING])
    def test_it_is_asked_about_at_once(self, state: State) -> None:
        one = lost(**ASKED) if state is State.UNCONFIRMED else expired(**ASKED)
        subject = case(job(state, attempt=2 if state is State.GENERATING else 1), one, accepted(2))
        if state is not State.GENERATING:
            subject = case(job(state, attempt=1), one)
        assert decided(subject).alarm_at == NOW

    @pytest.mark.parametrize(
        ("silent", "pause"),
        [(SECOND, 10 * SECOND), (MINUTE, MINUTE), (40 * MINUTE, 40 * MINUTE), (9 * HOUR, HOUR)],
        ids=str,
    )
    @pytest.mark.parametrize("state", [State.FAILED, State.QUEUED])
    def test_a_silent_gateway_is_asked_ever_more_slowly(
        self, state: State, silent: timedelta, pause: timedelta
    ) -> None:
        one = expired(**ASKED, unanswered_since=NOW - silent)
        assert decided(case(job(state, attempt=1), one)).alarm_at == NOW + pause

    def test_its_silence_holds_up_no_other_order(self) -> None:
        running = accepted(2, last_unfinished_at=NOW)
        with_name = case(
            job(State.GENERATING, attempt=2), expired(**{**IN_VAIN, "unanswered_since": NOW - HOUR}), running
        )
        without = case(job(State.GENERATING, attempt=2), expired(), running)
        assert decided(with_name).alarm_at == decided(without).alarm_at

    def test_a_queued_job_still_comes_to_its_end(self) -> None:
        subject = case(job(State.QUEUED, attempt=1, start_by=NOW + SECOND), expired(**IN_VAIN))
        assert decided(subject).alarm_at == NOW + SECOND

    @pytest.mark.parametrize(("age", "since", "reason"), [
        (3 * DAY, 2 * HOUR, "evolink could not be asked"),
        (3 * DAY, MINUTE, None),  # it was named late, and has had no hour
        (HOUR, 2 * HOUR, None),  # its task may live
    ])  # fmt: skip
    def test_it_is_given_up_after_its_life_and_an_hour_of_silence(
        self, age: timedelta, since: timedelta, reason: str | None
    ) -> None:
        old = dict.fromkeys(("created_at", "sending_at", "lost_at", "closed_at"), NOW - age)
        outcome = decided(case(job(State.FAILED), expired(**ASKED, **old, unanswered_since=NOW - since)))
        assert outcome.facts.attempts.get(1, {}).get("named_refused") == reason
        assert (outcome.alarm_at is None) is (reason is not None)

    @pytest.mark.parametrize(
        ("outcome", "reason"),
        [(A.NOT_SENT, "the order never left this machine"), (A.REFUSED, "evolink refused the order")],
    )
    def test_nobody_asks_for_an_order_that_turned_out_to_have_made_nothing(
        self, outcome: AttemptOutcome, reason: str
    ) -> None:
        nothing = {"outcome": outcome, "standing": Standing.NONE, "closed_at": NOW - SECOND}
        decision = decided(case(job(State.FAILED), lost(**IN_VAIN, **nothing)))
        assert (decision.facts.attempts[1]["named_refused"], decision.alarm_at) == (reason, None)

    @pytest.mark.parametrize(
        ("row", "told"),
        [
            (ASKED, {"state": "asking", "reason": None}),
            ({**ASKED, "named_refused": "no such task"}, {"state": "refused", "reason": "no such task"}),
            ({**ASKED, "task_id": "task-named"}, {"state": "believed", "reason": None}),
            ({**ASKED, "task_id": "t-2"}, {"state": "refused", "reason": "its task turned out to be t-2"}),
        ],
    )
    def test_the_job_tells_what_came_of_it(self, row: dict[str, str], told: dict[str, Any]) -> None:
        (order,) = job_json(case(job(State.UNCONFIRMED), lost(**row)))["attempts"]
        assert order["named"] == {"task_id": "task-named", **told}


class TestALateCallback:
    @pytest.mark.parametrize("state", sorted(ENDED))
    @pytest.mark.parametrize("over", [lost(**NOT_MADE), expired(), failed()], ids=["not made", "expired", "failed"])
    def test_an_ended_job_asks_about_an_order_without_a_video(self, state: State, over: Attempt) -> None:
        assert decided(case(job(state), over, callbacks=[callback()])).alarm_at == NOW

    def test_it_does_so_until_task_and_link_are_dead(self) -> None:
        made = NOW - 2 * DAY
        over = expired(created_at=made, sending_at=made, lost_at=made + SECOND, closed_at=made + SECOND)
        assert heard_until(over, SETTINGS, PROVIDERS) == NOW + SECOND
        assert decided(case(job(State.FAILED), over, callbacks=[callback()])).alarm_at == NOW
        dead = expired(created_at=made - SECOND, sending_at=made, lost_at=made, closed_at=made)
        assert decided(case(job(State.FAILED), dead, callbacks=[callback()])).alarm_at is None

    def test_one_of_an_order_with_a_video_wakes_nobody(self) -> None:
        delivered = finished(outcome=A.DELIVERED)
        assert decided(case(job(State.ARCHIVED), delivered, callbacks=[callback()])).alarm_at is None
