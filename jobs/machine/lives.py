"""The ends of tasks' lives, and of the windows of lost orders. None comes by the clock alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from jobs.machine import schedule
from jobs.machine.alarms import Rules
from jobs.machine.breaker import OUT_OF_REACH, Lane
from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges
from jobs.machine.outcome import Facts
from jobs.machine.rows import Attempt, AttemptOutcome, Standing
from jobs.machine.states import ENDED, State


def is_over(case: Case, attempt: Attempt, now: datetime, rules: Rules) -> bool:
    """Whether an open attempt is waited for no longer. Where there is a task to ask about, it has been asked about."""
    end = _end(case, attempt, rules)
    if case.may_be_known(attempt.number):
        return now >= end and schedule.is_asked_after(attempt, end, now)
    return now >= end


def is_at_an_end(case: Case, rules: Rules) -> bool:
    """Whether a due case is looked at because a life is over: its gateway is asked then, however ill it is."""
    due_at = case.job.alarm_at
    return due_at is not None and any(a.is_open and _end(case, a, rules) <= due_at for a in case.attempts.values())


def is_tried_by_others(case: Case, attempt: Attempt, lane: Lane, now: datetime, rules: Rules) -> bool:
    """Whether questions about other tasks say that an attempt at its end was tried in vain, though it was not asked.

    Its gateway could not be reached, which has nothing to do with any task: it was tried since the end, and within the
    last quarter of an hour, and has been out of reach for as long as this attempt has had no answer.
    """
    end = _end(case, attempt, rules)
    if not (attempt.is_open and attempt.task_id and end <= now and lane.reason in OUT_OF_REACH and lane.rests_s(now)):
        return False
    if lane.since is None or lane.began_at is None or not end <= lane.began_at <= now:
        return False
    return attempt.unanswered_since is None or attempt.unanswered_since < end or lane.since <= attempt.unanswered_since


def is_finished_without_link(attempt: Attempt) -> bool:
    return attempt.is_open and attempt.task_id is not None and attempt.finished_at is not None


def last_word(case: Case, attempt: Attempt) -> AttemptChanges:
    """What an open attempt comes to once its life is over."""
    if is_finished_without_link(attempt):
        return {"outcome": AttemptOutcome.UNDELIVERED, "standing": Standing.CHARGED}
    never_heard_of = attempt.is_unheeded and all(callback.attempt != attempt.number for callback in case.callbacks)
    return {"outcome": AttemptOutcome.EXPIRED, "standing": Standing.NONE if never_heard_of else Standing.UNCERTAIN}


def note_ages(case: Case, facts: Facts, now: datetime) -> Facts:
    """What was learnt, and which orders are from the future: how old they are is no longer known, also later on."""
    attempts = [attempt for attempt in case.attempts.values() if attempt.is_open and not attempt.age_unknown]
    ahead = [attempt.number for attempt in attempts if schedule.is_of_unknown_age(attempt, now)]
    noted: dict[int, AttemptChanges] = {n: {**facts.attempts.get(n, {}), "age_unknown": True} for n in ahead}
    return replace(facts, attempts={**facts.attempts, **noted})


def count_tries(case: Case, facts: Facts, now: datetime, rules: Rules) -> Facts:
    """What was learnt, with the hour of tries at the end of a life begun by the first question after it.

    `case` has the facts already, here as below.
    """
    counted: dict[int, AttemptChanges] = {}
    for number, said in facts.attempts.items():
        attempt = case.attempts[number]
        if said.get("unanswered_since") is not None and (attempt.is_open or attempt.is_named):
            since = schedule.unanswered_since(attempt, _end(case, attempt, rules), now)
            counted[number] = {**said, "unanswered_since": since}
    return replace(facts, attempts={**facts.attempts, **counted})


def close_dead(case: Case, facts: Facts, now: datetime, rules: Rules) -> Facts:
    """What was learnt, with the open attempts closed that the job no longer rests on and whose life is over."""
    closed: dict[int, AttemptChanges] = {}
    for number, attempt in case.attempts.items():
        resting = number == case.job.attempt and case.job.state not in ENDED
        if attempt.is_open and not resting and is_over(case, attempt, now, rules):
            closed[number] = {**facts.attempts.get(number, {}), "closed_at": now, **last_word(case, attempt)}
    return replace(facts, attempts={**facts.attempts, **closed})


def _end(case: Case, attempt: Attempt, rules: Rules) -> datetime:
    """Until when an attempt is waited for: its life, or the window of a job whose order has no answer.

    One that is over already is asked about, if a person named its task, for as long as a callback could matter.
    """
    lost = case.job.state is State.UNCONFIRMED and attempt.number == case.job.attempt and attempt.task_id is None
    of_open = schedule.unconfirmed_end if lost else schedule.life_end
    end = of_open if attempt.is_open else schedule.heard_until
    return end(attempt, rules.settings, rules.providers)
