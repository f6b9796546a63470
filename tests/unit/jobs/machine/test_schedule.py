from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from made_cases import DAY, HOUR, MINUTE, NOW, SECOND, SETTINGS, accepted, attempt, case, job, lost, settings

from jobs.machine import schedule
from jobs.machine.case import Case
from jobs.machine.rows import Attempt, AttemptOutcome
from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS

DATES = {"lost_at": NOW, "created_at": NOW}


def same(s: float) -> float:
    return s


def unconfirmed(attempt: Attempt) -> Case:
    return case(job(State.UNCONFIRMED, attempt=1), attempt)


def test_the_first_poll_comes_as_long_after_the_acceptance_as_the_gateway_advises() -> None:
    young = accepted(accepted_at=NOW - 4 * SECOND)
    assert schedule.next_poll(young, NOW, SETTINGS, PROVIDERS, same) == NOW + 11 * SECOND


def test_each_gateway_has_its_own_pace() -> None:
    young = accepted(provider="gravitex", accepted_at=NOW)
    assert schedule.next_poll(young, NOW, SETTINGS, PROVIDERS, same) == NOW + 10 * SECOND


@pytest.mark.parametrize(
    ("age", "pause"),
    [
        (20 * SECOND, 15 * SECOND),
        (10 * MINUTE - SECOND, 15 * SECOND),
        (10 * MINUTE, 60 * SECOND),
        (HOUR - SECOND, 60 * SECOND),
        (HOUR, 5 * MINUTE),
        (20 * HOUR, 5 * MINUTE),
    ],
)
def test_later_polls_come_ever_slower(age: datetime, pause: datetime) -> None:
    running = accepted(accepted_at=NOW - age, last_unfinished_at=NOW - SECOND)
    assert schedule.next_poll(running, NOW, SETTINGS, PROVIDERS, same) == NOW + pause


def test_a_first_answer_of_not_yet_ends_the_first_wait() -> None:
    asked_early = accepted(accepted_at=NOW - SECOND, last_unfinished_at=NOW)
    assert schedule.next_poll(asked_early, NOW, SETTINGS, PROVIDERS, same) == NOW + 15 * SECOND


def test_the_setting_outranks_the_gateways_advice() -> None:
    quick = settings(POLL_INTERVAL_S="2")
    assert schedule.next_poll(accepted(accepted_at=NOW), NOW, quick, PROVIDERS, same) == NOW + 2 * SECOND


def test_jitter_moves_the_pause_alone() -> None:
    running = accepted(last_unfinished_at=NOW)
    assert schedule.next_poll(running, NOW, SETTINGS, PROVIDERS, lambda s: s / 3) == NOW + 5 * SECOND


@pytest.mark.parametrize("mode", ["text-to-video", "image-to-video", "reference-to-video"])
def test_a_generation_is_expected_within_five_minutes(mode: str) -> None:
    assert schedule.expected_end(mode, NOW, SETTINGS) == NOW + 5 * MINUTE


def test_an_edit_is_expected_within_ten() -> None:
    assert schedule.expected_end("video-edit", NOW, SETTINGS) == NOW + 10 * MINUTE


@pytest.mark.parametrize(
    ("on_unconfirmed", "lost_ago", "may"),
    [("wait", 3 * HOUR, False), ("resubmit", 3 * HOUR, True), ("resubmit", MINUTE, False)],
)
def test_beside_an_order_that_is_open_again_none_is_resent_but_by_the_clients_choice(
    on_unconfirmed: str, lost_ago: timedelta, may: bool
) -> None:
    """An earlier order was over when the next one left; a person has named a task of it since."""
    reopened = lost(1, provider="evolink", named_task_id="t-7", lost_at=NOW - lost_ago)
    later = lost(2, provider="apiframe", **DATES)
    told = case(job(State.UNCONFIRMED, attempt=2, on_unconfirmed=on_unconfirmed), reopened, later)
    assert (schedule.resend_at(told, NOW, SETTINGS, PROVIDERS) is not None) is may
    closed = replace(reopened, outcome=AttemptOutcome.FAILED, closed_at=NOW)
    told = case(job(State.UNCONFIRMED, attempt=2, on_unconfirmed=on_unconfirmed), closed, later)
    assert schedule.resend_at(told, NOW, SETTINGS, PROVIDERS) is not None


@pytest.mark.parametrize("said", [{}, {"last_unfinished_at": NOW - HOUR}, {"answered_at": NOW}])
def test_a_life_is_counted_from_the_acceptance_whatever_is_said_meanwhile(said: dict[str, datetime]) -> None:
    running = accepted(accepted_at=NOW - 20 * HOUR, **said)
    assert schedule.life_end(running, SETTINGS, PROVIDERS) == NOW + 28 * HOUR


def test_a_finished_task_without_a_link_has_its_links_life_left() -> None:
    unlinked = accepted(accepted_at=NOW - 20 * HOUR, finished_at=NOW - 19 * HOUR)
    assert schedule.life_end(unlinked, SETTINGS, PROVIDERS) == NOW + 5 * HOUR


def test_and_no_more_than_a_running_one() -> None:
    late = accepted(accepted_at=NOW - 47 * HOUR, finished_at=NOW)
    assert schedule.life_end(late, SETTINGS, PROVIDERS) == NOW + HOUR


def test_without_an_answer_the_task_may_have_begun_late_and_its_link_lives_after_it() -> None:
    assert schedule.life_end(lost(lost_at=NOW), SETTINGS, PROVIDERS) == NOW + 2 * DAY


def test_a_task_can_be_heard_of_for_its_life_and_its_links_whatever_was_said_meanwhile() -> None:
    running = accepted(accepted_at=NOW - 20 * HOUR, last_unfinished_at=NOW - SECOND)
    assert schedule.heard_until(running, SETTINGS, PROVIDERS) == NOW + 28 * HOUR


def test_an_order_that_went_out_again_may_have_been_taken_then() -> None:
    again = lost(provider="apiframe", created_at=NOW - DAY, lost_at=NOW - DAY, sending_at=NOW - HOUR, sends=9)
    assert schedule.heard_until(again, SETTINGS, PROVIDERS) == NOW + 47 * HOUR


@pytest.mark.parametrize(
    ("times", "born"),
    [
        ({"finished_at": NOW - HOUR, "last_unfinished_at": NOW - 2 * HOUR}, NOW - HOUR),
        ({"last_unfinished_at": NOW - 2 * HOUR}, NOW - 2 * HOUR),
        ({}, NOW - MINUTE),
    ],
)
def test_a_link_lives_from_the_finish_or_from_the_last_not_yet(times: dict[str, datetime], born: datetime) -> None:
    assert schedule.link_end(accepted(**times), SETTINGS, PROVIDERS) == born + DAY


def test_lives_can_be_set() -> None:
    short = settings(LIFE_S="60")
    assert schedule.link_end(accepted(accepted_at=NOW), short, PROVIDERS) == NOW + MINUTE
    assert schedule.life_end(lost(lost_at=NOW), short, PROVIDERS) == NOW + 2 * MINUTE


@pytest.mark.parametrize(
    ("times", "is_asked"),
    [
        ({}, False),
        ({"answered_at": NOW - HOUR - SECOND}, False),
        ({"answered_at": NOW - HOUR}, True),
        ({"answered_at": NOW}, True),
        ({"answered_at": NOW + DAY}, False),
        ({"unanswered_since": NOW - HOUR}, True),
        ({"unanswered_since": NOW - HOUR + SECOND}, False),
        ({"unanswered_since": NOW - 2 * HOUR}, False),
        ({"unanswered_since": NOW + DAY}, False),
    ],
    ids=[
        "never asked",
        "answered before the end",
        "answered at the end",
        "answered now",
        "answered before the clock was set back",
        "unanswered for an hour",
        "unanswered for less",
        "the hour began before the end",
        "unanswered before the clock was set back",
    ],
)
def test_a_life_ends_with_an_answer_after_it_or_after_an_hour_of_tries(
    times: dict[str, datetime], is_asked: bool
) -> None:
    assert schedule.is_asked_after(accepted(**times), NOW - HOUR, NOW) is is_asked


@pytest.mark.parametrize(
    ("since", "end", "counted"),
    [
        (None, NOW + HOUR, NOW),
        (NOW - MINUTE, NOW + HOUR, NOW - MINUTE),
        (NOW - 3 * HOUR, NOW - HOUR, NOW),
        (NOW - MINUTE, NOW - HOUR, NOW - MINUTE),
        (NOW + DAY, NOW - HOUR, NOW),
    ],
    ids=["the first", "while it lives", "the first after the end", "a later one", "the clock was set back"],
)
def test_the_hour_of_tries_begins_with_the_first_after_the_end(
    since: datetime | None, end: datetime, counted: datetime
) -> None:
    assert schedule.unanswered_since(accepted(unanswered_since=since), end, NOW) == counted


def test_a_task_is_asked_about_at_the_end_of_its_life_and_every_ten_minutes_after_it() -> None:
    assert schedule.look_by(NOW + SECOND, NOW) == NOW + SECOND
    assert schedule.look_by(NOW - DAY, NOW) == NOW + 10 * MINUTE


@pytest.mark.parametrize(
    ("left", "pause"), [(DAY, 12 * HOUR), (HOUR, 30 * MINUTE), (5 * SECOND, 10 * SECOND), (-DAY, 10 * MINUTE)]
)
def test_no_pause_takes_all_that_is_left_of_a_links_life(left: timedelta, pause: timedelta) -> None:
    assert schedule.try_by(NOW + left, NOW, SETTINGS) == NOW + pause


def test_a_task_that_was_accepted_while_the_clock_was_ahead_is_asked_about_all_the_same() -> None:
    ahead = accepted(accepted_at=NOW + DAY)
    assert schedule.next_poll(ahead, NOW, SETTINGS, PROVIDERS, same) == NOW + MINUTE


def test_a_lost_answer_is_waited_for_within_a_window_where_no_callback_can_come() -> None:
    silent = lost(with_callback=False, lost_at=NOW)
    assert schedule.unconfirmed_end(silent, SETTINGS, PROVIDERS) == NOW + 15 * MINUTE


def test_with_a_callback_it_is_waited_for_as_long_as_task_and_link_can_live() -> None:
    assert schedule.unconfirmed_end(lost(lost_at=NOW), SETTINGS, PROVIDERS) == NOW + 2 * DAY


@pytest.mark.parametrize(("sends", "minutes"), [(1, 1), (2, 5), (3, 30), (4, 90), (5, 150), (6, 210)])
def test_a_lost_post_goes_out_again_after_1_5_30_minutes_and_then_hourly(sends: int, minutes: int) -> None:
    one = lost(provider="apiframe", lost_at=NOW, created_at=NOW, sends=sends)
    assert schedule.resend_at(unconfirmed(one), NOW, SETTINGS, PROVIDERS) == NOW + minutes * MINUTE


def test_it_goes_out_for_as_long_as_the_gateway_remembers_the_key() -> None:
    ends = [
        schedule.resend_at(unconfirmed(lost(provider="apiframe", sends=n, **DATES)), NOW, SETTINGS, PROVIDERS)
        for n in range(1, 40)
    ]
    last = max(end for end in ends if end)
    assert NOW + 21 * HOUR < last < NOW + 23 * HOUR
    assert ends[-1] is None


def test_the_keys_life_counts_from_the_first_post_however_often_it_went_out_again() -> None:
    first = NOW - 23 * HOUR - 10 * MINUTE
    one = lost(provider="apiframe", created_at=first, lost_at=first, sending_at=NOW - 20 * MINUTE, sends=24)
    assert schedule.resend_at(unconfirmed(one), NOW, SETTINGS, PROVIDERS) is None


def test_a_post_that_was_due_while_nobody_worked_does_not_go_out_under_a_dead_key() -> None:
    first = NOW - 30 * HOUR
    one = lost(provider="apiframe", created_at=first, lost_at=first, sending_at=first, sends=1)
    assert schedule.resend_at(unconfirmed(one), NOW, SETTINGS, PROVIDERS) is None


@pytest.mark.parametrize(
    "one",
    [
        lost(provider="evolink"),
        attempt(provider="apiframe"),
        lost(provider="apiframe", task_id="t"),
        lost(provider="apiframe", created_at=NOW + MINUTE),
        lost(provider="apiframe", age_unknown=True),
    ],
    ids=["no idempotency key there", "not lost", "accepted", "from the future", "once from the future"],
)
def test_it_does_not_go_out_again(one: Attempt) -> None:
    assert schedule.resend_at(unconfirmed(one), NOW, SETTINGS, PROVIDERS) is None


@pytest.mark.parametrize(
    ("troubles", "seconds"), [(0, 10), (1, 10), (2, 20), (3, 40), (9, 2560), (10, 3600), (10_000, 3600)]
)
def test_troubles_of_our_own_wait_twice_as_long_each_time_up_to_an_hour(troubles: int, seconds: int) -> None:
    assert schedule.backoff_end(troubles, NOW, SETTINGS, same) == NOW + seconds * SECOND


def test_a_resubmit_comes_a_quarter_of_an_hour_after_the_loss() -> None:
    assert schedule.resubmit_at(lost(lost_at=NOW), SETTINGS) == NOW + 15 * MINUTE
