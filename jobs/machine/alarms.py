"""When a job next wants attention, by its rows and what was just learnt. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.machine import schedule
from jobs.machine.case import Case
from jobs.machine.outcome import Facts
from jobs.machine.rows import ACCEPTED, KEPT_ASIDE, UNBOUGHT, Attempt, AttemptOutcome
from jobs.machine.states import ENDED, State
from jobs.providers.base import Provider
from jobs.settings import Settings

S = State


@dataclass(frozen=True)
class Rules:
    """What decisions rest on beside the rows. `remaining`: the gateways still open to a case, best first."""

    settings: Settings
    providers: Mapping[str, Provider]
    remaining: Callable[[Case], list[str]]
    jitter: Callable[[float], float]


def may_resubmit(case: Case, rules: Rules) -> bool:
    """Whether the client chose to risk paying twice and may risk it again: each lost submit counts as bought."""
    risked = sum(a.sending_at is not None and a.outcome not in UNBOUGHT for a in case.attempts.values())
    chosen = case.job.on_unconfirmed == "resubmit" and not case.job.cancel_requested_at
    return chosen and risked < rules.settings.max_attempts


def alarm(case: Case, facts: Facts, now: datetime, rules: Rules) -> datetime | None:
    """When the job next wants attention. Unread news wants it at once; a trouble of our own waits its turn."""
    job, attempt = case.job, case.current
    elsewhere = job.state is S.QUEUED and attempt and set(rules.remaining(case)) - {attempt.provider}
    waits = facts.trouble and not (elsewhere and attempt and attempt.outcome is AttemptOutcome.NOT_SENT)
    trouble = schedule.backoff_end(job.troubles, now, rules.settings, rules.jitter) if waits else now
    if attempt and attempt.outcome is AttemptOutcome.NOT_SENT:
        trouble = min(trouble, now + timedelta(seconds=schedule.UNSENT_PAUSE_S))
    cooled = now + timedelta(seconds=facts.cooldown.seconds) if facts.cooldown and not elsewhere else now
    floor = max(trouble, cooled)
    named_at = _named_at(case, now, rules)
    if job.state in ENDED:
        return _alarm_after_end(case, floor, named_at, now, rules)
    is_told = bool(case.unread) or bool(case.strange)
    if attempt is None or (job.state is S.QUEUED and is_told):
        return min(floor, schedule.look_by(now, now)) if is_told else floor
    if job.state is S.QUEUED:  # nothing is ordered while a task that a person named may be its own
        return max(floor, min(named_at, job.start_by)) if named_at else floor
    if job.state is S.ARCHIVING:
        held = _look_at_held(case, attempt, now, rules) if attempt.last_word == KEPT_ASIDE else None
        end = schedule.link_end(attempt, rules.settings, rules.providers)
        wanted = min(floor, schedule.try_by(end, now, rules.settings))
        wanted = held if held is not None and not facts.trouble else wanted
        if attempt.last_word == KEPT_ASIDE:
            rivals = schedule.rivals(case, attempt, now, rules.settings, rules.providers)
            wanted = min([wanted, *(max(floor, each.ask_at) for each in rivals)])
        if is_told:  # while a step had it; not at once, as a gateway may be silent about it, and a copy is no trouble
            wanted = min(wanted, max(floor, now + timedelta(seconds=rules.settings.retry_first_s)))
        if attempt.accepted_film and not (attempt.last_word or "").startswith((ACCEPTED, KEPT_ASIDE)):
            return now  # nobody has tried to copy it since it was accepted
        return min(wanted, named_at or wanted)
    if job.state is S.GENERATING:
        end = schedule.life_end(attempt, rules.settings, rules.providers)
        wanted = schedule.next_poll(attempt, now, rules.settings, rules.providers, rules.jitter)
        wanted = min(wanted, _heard_at(case, attempt, now, rules) or wanted)
    else:
        end = schedule.unconfirmed_end(attempt, rules.settings, rules.providers)
        wanted = _alarm_unconfirmed(case, attempt, schedule.look_by(end, now), now, rules)
    wanted = now if is_told else min(wanted, named_at or wanted)
    return min(max(floor, wanted), schedule.look_by(end, now))


def _named_at(case: Case, now: datetime, rules: Rules) -> datetime | None:
    """When a gateway is next asked about a task that a person named: at once, then ever slower while it is silent."""
    pauses = [_pause_s(a, now, rules.settings) for a in case.attempts.values() if a.is_named]
    return now + timedelta(seconds=min(pauses)) if pauses else None


def _pause_s(attempt: Attempt, now: datetime, settings: Settings) -> float:
    if attempt.unanswered_since is None:
        return 0
    silent_s = (now - attempt.unanswered_since).total_seconds()
    return min(settings.retry_longest_s, max(settings.retry_first_s, silent_s))


def _alarm_unconfirmed(case: Case, attempt: Attempt, look_by: datetime, now: datetime, rules: Rules) -> datetime:
    ends = []
    if may_resubmit(case, rules):
        ends.append(schedule.resubmit_at(attempt, rules.settings))
    later = now + timedelta(seconds=rules.jitter(rules.settings.overdue_poll_s))
    resend = schedule.resend_at(case, now, rules.settings, rules.providers)
    if resend and not case.job.cancel_requested_at:
        ends.append(resend if resend > now else later)  # it was due, and could not go out: its key is gone
    open_ones = [a for a in case.attempts.values() if a.is_open]
    ends += [_heard_at(case, a, now, rules) or look_by for a in open_ones]
    ends += [_look_at_held(case, a, now, rules) or later for a in open_ones if a.is_failed_in_doubt]
    return min(ends, default=look_by)


def _look_at_held(case: Case, attempt: Attempt, now: datetime, rules: Rules) -> datetime | None:
    return schedule.look_at_held(attempt, now, rules.settings, is_undecided=case.is_undecided(attempt.number))


def _heard_at(case: Case, attempt: Attempt, now: datetime, rules: Rules) -> datetime | None:
    """When the next question about what callbacks said of an attempt's task is due."""
    at = case.heard_at(attempt.number)
    return at and min(at, now + timedelta(seconds=rules.settings.retry_longest_s))  # else the clock was set back


def _alarm_after_end(
    case: Case, floor: datetime, named_at: datetime | None, now: datetime, rules: Rules
) -> datetime | None:
    """None once there is nobody left to ask; else its attempts are asked about until their life is over."""
    looks = [max(floor, named_at)] if named_at else []
    if case.strange or any(not case.knows(callback.attempt, callback.provider) for callback in case.unread):
        looks.append(floor)
    for attempt in case.attempts.values():
        if _has_news(case, attempt, now, rules):
            return floor
        heard_at = _heard_at(case, attempt, now, rules)
        if heard_at and (attempt.is_open or _can_be_heard(attempt, now, rules)):
            looks.append(max(floor, heard_at))
        until = schedule.heard_until(attempt, rules.settings, rules.providers)
        if case.is_undecided(attempt.number) and now < until:
            looks.append(until)  # then nobody needs to look at it any more
        if not attempt.is_open:
            continue
        looks.append(schedule.look_by(schedule.life_end(attempt, rules.settings, rules.providers), now))
        if attempt.task_id:
            looks.append(max(floor, now + timedelta(seconds=rules.jitter(rules.settings.late_poll_s))))
    return min(looks, default=None)


def _has_news(case: Case, attempt: Attempt, now: datetime, rules: Rules) -> bool:
    """Whether an unread callback can still matter to an attempt of an ended job."""
    if attempt.is_open:
        return bool(case.unread)
    told = any(callback.attempt == attempt.number for callback in case.unread)
    return told and _can_be_heard(attempt, now, rules)


def _can_be_heard(attempt: Attempt, now: datetime, rules: Rules) -> bool:
    """Whether news can still matter to an order that is over."""
    return attempt.can_still_deliver and now < schedule.heard_until(attempt, rules.settings, rules.providers)
