"""What a person sees of a task at first sight: a flag that comes and goes with what is said of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from made_cases import DAY, MINUTE, NOW, SECOND, SETTINGS, accepted, callback, case, finished, job, lost, rules

from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges
from jobs.machine.decisions import decide
from jobs.machine.error_codes import FLAGS
from jobs.machine.outcome import Facts, Outcome
from jobs.machine.rows import AttemptOutcome
from jobs.machine.schedule import heard_until
from jobs.machine.states import Event, State
from jobs.providers.registry import PROVIDERS

A = AttemptOutcome
DOING = ("transfer", "accepted", "not_kept")


def decided(subject: Case, said: AttemptChanges | None = None, **of_facts: Any) -> Outcome:
    return decide(subject, Facts({1: said} if said else {}, **of_facts), now=NOW, rules=rules())


def generating(**columns: Any) -> Case:
    return case(job(State.GENERATING), accepted(**columns))


@pytest.mark.parametrize(
    ("state", "word", "flag"),
    [
        (State.GENERATING, "finished_without_link", "no_link"),
        (State.GENERATING, "link_forbidden", "link_forbidden"),
        (State.GENERATING, "unknown:dreaming", "unknown_word"),
        (State.ARCHIVING, "transfer:LinkForbidden", "link_forbidden"),
        (State.ARCHIVING, "transfer:LinkDenied", "link_denied"),
        *((State.ARCHIVING, f"{doing}:BucketRefuses", "bucket_refuses") for doing in DOING),
        (State.ARCHIVING, "not_kept:Refused", "film_not_kept"),
        *((State.ARCHIVING, f"{doing}:SpoolFull", "disk_full") for doing in ("transfer", "accepted")),
    ],
)
def test_a_word_flags_its_job(state: State, word: str, flag: str) -> None:
    one = (accepted if state is State.GENERATING else finished)(last_word=word)
    assert decided(case(job(state), one)).job["flagged"] == flag
    assert flag in FLAGS


@pytest.mark.parametrize("word", ["transfer:BucketRefuses", "transfer:SpoolFull"])
def test_what_keeps_a_contested_film_from_being_kept_is_told_before_whose_it_is(word: str) -> None:
    claimed = case(job(State.ARCHIVING), finished(last_word=word, contested=True))
    assert decided(claimed).job["flagged"] in {"bucket_refuses", "disk_full"}
    assert decided(claimed, {"last_word": "kept_aside"}).job["flagged"] == "contested_task"


def test_which_of_two_tasks_was_an_orders_own_is_asked_for_as_long_as_they_can_live() -> None:
    """The job has its video from another order; the gateway knows one of them no more."""
    given_up = lost(2, outcome=A.EXPIRED, closed_at=NOW, lost_at=NOW, created_at=NOW)
    told = callback(2, task_id="task-9", read_at=NOW)
    archived = case(job(State.ARCHIVED, alarm_at=None), finished(outcome=A.DELIVERED), given_up, callbacks=[told])
    heard = tuple(replace(each, is_contested=True, ask_at=NOW + 9 * DAY) for each in archived.hearsay)
    subject = replace(archived, hearsay=heard)
    ends = heard_until(given_up, SETTINGS, PROVIDERS)
    assert decided(subject).job["flagged"] == "contested_task"
    flagged = replace(subject, job=replace(subject.job, flagged="contested_task"))
    before = decide(flagged, Facts(), now=ends - SECOND, rules=rules())
    assert ("flagged" in before.job, before.alarm_at) == (False, ends)
    over = decide(flagged, Facts(), now=ends, rules=rules())
    assert (over.job["flagged"], over.alarm_at) == (None, None)


def test_news_that_came_while_a_step_had_a_film_that_waits_is_looked_at_soon_and_not_without_a_pause() -> None:
    waits = finished(adopted=True, contested=True, last_word="kept_aside")
    other = lost(2, outcome=A.FINISHED, task_id="task-2", adopted=True, link="https://host/2.mp4")
    subject = case(job(State.ARCHIVING), waits, other)
    asleep, woken = subject, replace(subject, callbacks=(callback(2, task_id="task-7"),))
    assert (decided(asleep).alarm_at or NOW) > NOW + MINUTE
    assert decided(woken).alarm_at == NOW + SETTINGS.retry_first_s * SECOND


def test_a_day_past_the_time_that_it_was_expected_flags_it() -> None:
    late = {"accepted_at": NOW - DAY - 5 * MINUTE}
    assert decided(generating(**late)).job["flagged"] == "overdue_day"
    assert "flagged" not in decided(generating(accepted_at=NOW - DAY - 5 * MINUTE + SECOND)).job


def test_an_edit_may_take_twice_as_long() -> None:
    edit = job(State.GENERATING, mode="video-edit")
    assert "flagged" not in decided(case(edit, accepted(accepted_at=NOW - DAY - 5 * MINUTE))).job


@pytest.mark.parametrize("flag", ["no_link", "link_forbidden", "unknown_word", "overdue_day"])
def test_it_goes_when_the_gateway_says_that_the_task_runs(flag: str) -> None:
    flagged = case(job(State.GENERATING, flagged=flag), accepted(last_word="unknown:dreaming"))
    assert decided(flagged, {"last_word": "running"}).job["flagged"] is None


@pytest.mark.parametrize("flag", ["no_link", "link_forbidden", "unknown_word"])
@pytest.mark.parametrize("word", ["unreachable", "http_503", "unreadable"])
def test_it_stays_while_nothing_else_is_said(flag: str, word: str) -> None:
    flagged = case(job(State.GENERATING, flagged=flag), accepted())
    assert "flagged" not in decided(flagged, {"last_word": word}, trouble=True).job


@pytest.mark.parametrize(
    ("said", "event"),
    [
        ({"outcome": A.FAILED, "error_retryable": False}, Event.FAIL),
        ({"outcome": A.FAILED, "error_retryable": True}, Event.FAIL_RETRYABLE),
        ({"outcome": A.FINISHED, "link": "https://h/v"}, Event.FINISH),
        ({"task_id": None, "accepted_at": None}, Event.GIVE_BACK),
    ],
)
def test_it_goes_with_the_move_that_settles_it(said: AttemptChanges, event: Event) -> None:
    flagged = case(job(State.GENERATING, flagged="unknown_word"), accepted(last_word="unknown:dreaming"))
    outcome = decided(flagged, said)
    assert [move.event for move in outcome.moves] == [event]
    assert outcome.job["flagged"] is None


def test_it_outranks_our_own_troubles() -> None:
    troubled = case(job(State.GENERATING, flagged="troubled"), accepted())
    assert decided(troubled, {"last_word": "finished_without_link"}).job["flagged"] == "no_link"


@pytest.mark.parametrize("flag", ["unknown_attempt", "foreign_task"])
def test_it_outranks_no_other(flag: str) -> None:
    other = case(job(State.GENERATING, flagged=flag), accepted())
    assert "flagged" not in decided(other, {"last_word": "finished_without_link"}).job
