"""When a lane rests, who probes it, and what counts for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobs.machine import breaker
from jobs.machine.breaker import FIRST_REST_S, LONGEST_REST_S, Kind, Lane, Word, hear

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FAILURES = (Kind.LOST, Kind.UNREACHED)


def word(kind: Kind, of: str = "job", *, at: datetime = NOW, by: str = "A", advice_s: float | None = None) -> Word:
    return Word(kind, of, at, by, advice_s, "rate_limited" if kind is Kind.ASKED_FOR_REST else None)


def heard(lane: Lane, *words: Word, is_full: bool = False, now: datetime = NOW) -> Lane:
    for each in words:
        lane = hear(lane, each, is_full=is_full, now=now)
    return lane


def ill(kind: Kind = Kind.LOST, *, advice_s: float | None = None) -> Lane:
    """A lane that has begun its first rest just now."""
    return heard(Lane(), word(kind, "one", advice_s=advice_s), word(kind, "two", advice_s=advice_s))


def probed(lane: Lane, at: datetime, by: str = "P") -> Lane:
    return lane.probe(by, at, for_s=90)


@pytest.mark.parametrize("kind", FAILURES)
def test_two_failures_in_a_row_of_different_jobs_let_it_rest(kind: Kind) -> None:
    assert heard(Lane(), word(kind, "one")).is_well
    assert heard(Lane(), word(kind, "one"), word(kind, "one"), word(kind, "one")).is_well
    lane = ill(kind)
    assert (lane.rests_s(NOW), lane.since) == (FIRST_REST_S, NOW)
    assert lane.reason == {Kind.LOST: breaker.NO_ANSWER, Kind.UNREACHED: breaker.UNREACHABLE}[kind]


@pytest.mark.parametrize("between", [Kind.ACCEPTED, Kind.ALIVE])
def test_a_sign_of_life_between_them_begins_the_row_anew(between: Kind) -> None:
    assert heard(Lane(), word(Kind.LOST, "one"), word(between, "x"), word(Kind.LOST, "two")).is_well


def test_troubles_of_this_machine_count_for_nothing() -> None:
    lane = heard(Lane(), word(Kind.LOST, "one"), word(Kind.OURS, "two"), word(Kind.OURS, "three"))
    assert lane == heard(Lane(), word(Kind.LOST, "one"))
    assert heard(ill(), word(Kind.OURS, at=NOW + SECOND)) == ill()


def test_each_rest_after_a_failed_probe_is_twice_as_long_up_to_the_longest() -> None:
    lane, now, lengths = ill(), NOW, []
    for _ in range(9):
        lengths.append(lane.rests_s(now))
        now += timedelta(seconds=lane.rests_s(now))
        lane = heard(probed(lane, now), word(Kind.LOST, "p", at=now, by="P"), now=now)
    assert lengths == [15, 30, 60, 120, 240, 480, 900, 900, 900]
    assert lane.since == NOW


def test_the_gateways_own_advice_is_taken() -> None:
    assert ill(advice_s=120).rests_s(NOW) == 120
    assert ill(advice_s=2).rests_s(NOW) == 2
    assert ill(advice_s=5000).rests_s(NOW) == LONGEST_REST_S


def test_advice_is_taken_after_each_probe_and_without_it_rests_are_as_long_as_they_would_have_been() -> None:
    lane, now = ill(advice_s=30), NOW
    for _ in range(3):
        now += lane.rests_s(now) * SECOND
        lane = heard(probed(lane, now), word(Kind.LOST, at=now, by="P", advice_s=30), now=now)
        assert lane.rests_s(now) == 30
    now += 30 * SECOND
    lane = heard(probed(lane, now), word(Kind.LOST, at=now, by="P"), now=now)
    assert lane.rests_s(now) == 16 * FIRST_REST_S


def test_with_the_bound_used_up_advice_shortens_no_rest() -> None:
    lane = replace(ill(), rest_s=LONGEST_REST_S)
    now = NOW + FIRST_REST_S * SECOND
    failed = word(Kind.LOST, at=now, by="P", advice_s=30)
    assert heard(probed(lane, now), failed, is_full=True, now=now).rests_s(now) == LONGEST_REST_S


def test_with_the_bound_used_up_advice_lengthens_a_rest() -> None:
    lane, now = ill(), NOW + FIRST_REST_S * SECOND
    after = heard(probed(lane, now), word(Kind.LOST, at=now, by="P", advice_s=600), is_full=True, now=now)
    assert (after.rests_s(now), after.rest_s) == (600, 2 * FIRST_REST_S)
    short = heard(probed(lane, now), word(Kind.LOST, at=now, by="P", advice_s=20), is_full=True, now=now)
    assert short.rests_s(now) == 2 * FIRST_REST_S


@pytest.mark.parametrize("advice_s", [None, 5, 30, 300])
def test_a_free_question_that_is_refused_shortens_no_way_to_the_longest_rest(advice_s: float | None) -> None:
    lane, now, silent_s = probed(ill(), NOW + 15 * SECOND), NOW + 15 * SECOND, 0.0
    while lane.rest_s < LONGEST_REST_S:
        refused = replace(word(Kind.ASKED_FOR_REST, at=now, by="P", advice_s=advice_s), is_question=True, is_free=True)
        lane = heard(lane, refused, is_full=True, now=now)
        silent_s += lane.rests_s(now)
        now += lane.rests_s(now) * SECOND
        lane = probed(lane, now)
    assert silent_s >= 30 + 60 + 120 + 240 + 480 + 900


def test_a_free_question_that_is_refused_in_the_middle_of_a_rest_leaves_the_way_as_long_as_it_was() -> None:
    long, now = Lane(rest_s=480).rest(breaker.UNREACHABLE, 480, NOW).silent(NOW), NOW + 60 * SECOND
    for advice_s, left_s in ((30, 420), (430, 430)):
        refused = replace(word(Kind.ASKED_FOR_REST, at=now, by="P", advice_s=advice_s), is_question=True, is_free=True)
        after = heard(probed(long, now), refused, is_full=True, now=now)
        assert (after.rests_s(now), after.rest_s, after.prober) == (left_s, 480, None)


def test_a_key_that_is_refused_to_the_one_order_more_is_what_its_rest_says() -> None:
    lane = probed(Lane(rest_s=900).rest(breaker.UNCONFIRMED, 900, NOW), NOW)
    refused = replace(word(Kind.ASKED_FOR_REST, by="P", advice_s=300), reason="unauthorized")
    after = heard(lane, refused, is_full=True, now=NOW + SECOND)
    assert (after.reason, after.rests_s(NOW), after.prober) == ("unauthorized", 900, None)
    assert heard(lane, replace(refused, by="another"), now=NOW + SECOND) == lane


def test_a_question_about_news_that_fails_in_a_rest_leaves_the_next_one_its_time() -> None:
    lane = probed(ill(), NOW)
    failed = replace(word(Kind.LOST, at=NOW, by="P"), is_question=True)
    assert heard(lane, failed, now=NOW + SECOND).probed_s(NOW + SECOND, longest_s=90) == FIRST_REST_S - 1
    late = NOW + 20 * SECOND
    assert heard(lane, failed, now=late).probed_s(late, longest_s=90) == 0


def test_a_free_question_that_the_key_may_not_ask_lengthens_the_next_rest() -> None:
    refused = replace(word(Kind.ASKED_FOR_REST, by="P", advice_s=300), is_question=True, is_free=True)
    lane = probed(ill(), NOW + FIRST_REST_S * SECOND)
    heard_of = heard(lane, replace(refused, left_at=NOW + FIRST_REST_S * SECOND), now=NOW + FIRST_REST_S * SECOND)
    assert heard_of.rest_s > FIRST_REST_S - 1


@pytest.mark.parametrize("kind", [Kind.ACCEPTED, Kind.ALIVE])
def test_a_probe_that_is_answered_ends_it_all(kind: Kind) -> None:
    now = NOW + timedelta(seconds=16)
    lane = heard(probed(ill(), now), word(kind, "p", at=now, by="P"), now=now)
    assert lane == Lane(accepted_at=now if kind is Kind.ACCEPTED else None)


@pytest.mark.parametrize("kind", [Kind.ACCEPTED, Kind.ALIVE, Kind.LOST, Kind.UNREACHED, Kind.ASKED_FOR_REST])
@pytest.mark.parametrize("later", [SECOND, timedelta(minutes=5)])
def test_what_left_before_the_rest_began_neither_lengthens_nor_ends_it(kind: Kind, later: timedelta) -> None:
    assert heard(ill(), word(kind, "old", at=NOW - SECOND), now=NOW + later) == ill()


@pytest.mark.parametrize("kind", FAILURES)
def test_only_the_probers_failure_lengthens_a_rest(kind: Kind) -> None:
    now = NOW + timedelta(seconds=16)
    lane = probed(ill(), now)
    assert heard(lane, word(kind, "x", at=now, by="another"), now=now) == lane
    during = NOW + SECOND
    assert heard(probed(ill(), during), word(kind, "x", at=during, by="P"), now=during) == probed(ill(), during)


def test_the_failure_of_one_order_more_counts_though_the_rest_that_it_began_lasts() -> None:
    lane = probed(Lane(rest_s=60).rest(breaker.UNCONFIRMED, 60, NOW), NOW)
    after = heard(lane, word(Kind.LOST, "x", by="P"), is_full=True, now=NOW + SECOND)
    assert (after.prober, after.reason, after.rests_s(NOW + SECOND)) == (None, breaker.NO_ANSWER, 120)


@pytest.mark.parametrize("free", [True, False])
def test_a_gateway_that_nobody_hears_of_is_asked_once_a_minute_while_its_lane_rests_long(free: bool) -> None:
    """And not where an order was lost: that it answers questions is nothing new then, and says nothing of orders."""
    kind = Kind.LOST if free else Kind.UNREACHED
    silent = replace(word(kind, "p", by="P"), is_question=free)
    for rest_s, asked in ((15.0, False), (60.0, True), (400.0, True)):
        lane = heard(probed(Lane(rest_s=rest_s).rest(breaker.NO_ANSWER, 0, NOW), NOW), silent, is_full=True)
        assert lane.rests_s(NOW) == 2 * rest_s
        assert lane.may_ask(NOW + 60 * SECOND) is asked
        assert not lane.may_ask(NOW + 59 * SECOND)
    lost = heard(probed(Lane(rest_s=480).rest(breaker.NO_ANSWER, 0, NOW), NOW), word(Kind.LOST, by="P"), is_full=True)
    assert not lost.may_ask(NOW + 60 * SECOND)


def test_a_question_in_the_middle_of_a_rest_ends_it_or_leaves_it_as_long_as_it_was() -> None:
    long = Lane(rest_s=480).rest(breaker.UNREACHABLE, 480, NOW).silent(NOW)
    now = NOW + 60 * SECOND
    asking = probed(long.silent(now), now)
    in_vain = heard(asking, replace(word(Kind.LOST, at=now, by="P"), is_free=True), is_full=True, now=now)
    assert in_vain == long.silent(now)
    assert in_vain.may_ask(NOW + 120 * SECOND)
    assert not in_vain.may_ask(NOW + 119 * SECOND)
    answered = breaker.answered(asking, "P", now)
    assert (answered.rests_s(now), answered.may_risk, answered.prober) == (0, True, None)
    assert breaker.answered(asking, "another", now) == asking


def test_a_clock_that_was_set_back_makes_nobody_wait_to_ask() -> None:
    long = Lane().rest(breaker.UNREACHABLE, 900, NOW).silent(NOW + timedelta(minutes=5))
    assert long.may_ask(NOW + timedelta(minutes=1))


def test_a_dead_probers_right_runs_out() -> None:
    lane = probed(ill(), NOW)
    assert lane.probed_s(NOW, longest_s=90) == 90
    assert lane.probed_s(NOW + timedelta(seconds=90), longest_s=90) == 0


def test_a_probe_that_failed_for_our_own_reasons_gives_its_right_back() -> None:
    lane = heard(probed(ill(), NOW), word(Kind.OURS, by="P"))
    assert lane == ill()


def test_a_rest_that_was_asked_for_is_its_own_and_a_longer_one_stays() -> None:
    lane = heard(Lane(), word(Kind.ASKED_FOR_REST, advice_s=100))
    assert (lane.reason, lane.rests_s(NOW)) == ("rate_limited", 100)
    shorter = heard(lane, word(Kind.ASKED_FOR_REST, at=NOW + SECOND, advice_s=10), now=NOW + SECOND)
    assert shorter.until == lane.until


def test_with_the_bound_used_up_it_rests_at_the_first_failure_and_after_a_refusal() -> None:
    assert not heard(Lane(), word(Kind.LOST), is_full=True).is_well
    refused = heard(Lane(), word(Kind.ALIVE), is_full=True)
    assert (refused.reason, refused.rests_s(NOW)) == (breaker.UNCONFIRMED, FIRST_REST_S)


def test_a_rest_by_hand_is_ended_by_hand_or_by_time() -> None:
    lane = Lane().rest(breaker.BY_HAND, 3600, NOW)
    for kind in Kind:
        after = heard(lane, word(kind, at=NOW + SECOND, advice_s=10), now=NOW + SECOND)
        assert (after.reason, after.until) == (breaker.BY_HAND, lane.until)


@pytest.mark.parametrize("back", [timedelta(minutes=10), timedelta(days=1)])
def test_a_clock_that_was_set_back_makes_no_rest_longer_than_it_was_meant(back: timedelta) -> None:
    """Else it would rest as long at every look, until the clock has caught up."""
    lane = probed(ill(), NOW)
    assert lane.rests_s(NOW - back) == 0
    assert Lane().rest(breaker.BY_HAND, 3600, NOW).rests_s(NOW - back) == 3600
    assert lane.probed_s(NOW - back, longest_s=90) == 0
    # What has left since is not taken for old because the rest began in a future that has not come.
    now = NOW - back
    assert heard(lane, word(Kind.ACCEPTED, at=now), now=now).is_well
