"""When: the next query, the end of a window, of a task's and of a link's life. Pure arithmetic on rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from jobs.machine.breaker import ASK_EVERY_S
from jobs.machine.callbacks import Hearsay
from jobs.machine.case import Case
from jobs.machine.rows import Attempt, AttemptOutcome
from jobs.machine.times import CLOCK_SET_BACK
from jobs.providers.base import Provider
from jobs.request.generation import Mode
from jobs.settings import Settings

Providers = Mapping[str, Provider]
RESENDS = (1, 5, 30)  # units after the loss; then every 60
HOURLY = 60
LAST_TRIES_S = 3600  # how long a gateway, or a link's host, is tried at the end of a life, where it does not answer
UNSENT_PAUSE_S = ASK_EVERY_S  # between tries at a gateway that cannot be reached, at most: they cost nothing
LAST_PAUSE_S = 600  # between these tries, at most
LONGEST_KEPT_D = 10_000  # films aside: older than any row, and no overflow
GIVEN_UP = frozenset({AttemptOutcome.EXPIRED, AttemptOutcome.UNDELIVERED})


def next_poll(
    attempt: Attempt,
    now: datetime,
    settings: Settings,
    providers: Providers,
    jitter: Callable[[float], float],
) -> datetime:
    """The next routine query of a running task: the gateway's advice first, ever slower once it is overdue."""
    accepted = attempt.accepted_at or now
    if accepted > now:  # the clock was set back, and nobody can say how old the task is
        return now + _s(jitter(settings.overdue_poll_s))
    advice = providers[attempt.provider].polling
    first, then = settings.poll_interval_s or advice.first_s, settings.poll_interval_s or advice.then_s
    if attempt.last_unfinished_at is None and now < accepted + _s(first):
        return accepted + _s(jitter(first))
    pause = then
    if now >= accepted + _s(12 * settings.expected_s):
        pause = settings.late_poll_s
    elif now >= accepted + _s(2 * settings.expected_s):
        pause = settings.overdue_poll_s
    return now + _s(jitter(pause))


def ask_again(asks: int, now: datetime, settings: Settings) -> datetime:
    """When a task that a callback told of, and its gateway did not know, is asked about again: ever more rarely."""
    return now + _s(min(settings.retry_longest_s, settings.retry_first_s * 2.0 ** min(asks, 30)))


def expected_end(mode: str, accepted: datetime, settings: Settings) -> datetime:
    """After this a running task is overdue. A deadline is no verdict: it stays alive."""
    return accepted + _s(settings.expected_s * (2 if mode == Mode.EDIT else 1))


def life_end(attempt: Attempt, settings: Settings, providers: Providers) -> datetime:
    """When neither the task of an open attempt nor its link can exist any longer.

    A task that was called finished, without a link that can be used, has its link's life left, and no more. One that
    is said to run has all of its life: that it takes long is no reason to give it up.
    """
    end = _lives_end(attempt, settings, providers)
    return end if attempt.finished_at is None else min(end, link_end(attempt, settings, providers))


def heard_until(attempt: Attempt, settings: Settings, providers: Providers) -> datetime:
    """Until when a callback can matter to an order that is over without a video: while task and link can live.

    An order that was given up may have finished just then, and its link lives from there.
    """
    end = _lives_end(attempt, settings, providers)
    if attempt.closed_at is None or attempt.outcome not in GIVEN_UP:
        return end
    return max(end, attempt.closed_at + _s(settings.life_s or providers[attempt.provider].link_life_s))


def _lives_end(attempt: Attempt, settings: Settings, providers: Providers) -> datetime:
    """The end of a task's whole life, and then its link's: whatever the gateway says meanwhile.

    Counted from the acceptance, or from the last moment at which the order may have been taken.
    """
    provider = providers[attempt.provider]
    begun = attempt.accepted_at or max(filter(None, (attempt.lost_at, attempt.sending_at, attempt.created_at)))
    return begun + _s(settings.life_s or provider.task_life_s) + _s(settings.life_s or provider.link_life_s)


def link_end(attempt: Attempt, settings: Settings, providers: Providers) -> datetime:
    """When the link dies: counted from the finish, or from the last "not yet" where no finish time is given."""
    born = attempt.finished_at or attempt.last_unfinished_at or attempt.accepted_at or attempt.created_at
    return born + _s(settings.life_s or providers[attempt.provider].link_life_s)


def held_until(attempt: Attempt, now: datetime, settings: Settings) -> datetime | None:
    """Until when a last word waits about a task that only a callback has named, as it may be another order's.

    From when we heard that word, for as long as a lost answer is waited for. None: it does not wait.
    """
    if not attempt.is_by_hearsay or attempt.closed_at is None:
        return None
    end = attempt.closed_at + _s(settings.unconfirmed_window_s)
    return end if now < end and attempt.closed_at <= now + CLOCK_SET_BACK else None


def rivals(case: Case, attempt: Attempt, now: datetime, settings: Settings, providers: Providers) -> list[Hearsay]:
    """The other tasks that may be an order's, where callbacks alone have named the one that it has.

    Those that its gateway knows as well, for as long as they can live; and those that nobody has asked about, for as
    long as its last word waits.
    """
    if not attempt.is_by_hearsay or now >= heard_until(attempt, settings, providers):
        return []
    is_held = held_until(attempt, now, settings) is not None
    return [each for each in case.heard(attempt.number) if each.is_contested or (is_held and not each.asks)]


def look_at_held(attempt: Attempt, now: datetime, settings: Settings, *, is_undecided: bool) -> datetime | None:
    """When it is looked again at a task that waits for whose it is: ever more rarely. None: it does not wait."""
    if is_undecided:  # whoever decides it wakes the job
        return now + _s(settings.late_poll_s)
    end = held_until(attempt, now, settings)
    if end is None or attempt.closed_at is None:
        return None
    held_s = (now - attempt.closed_at).total_seconds()
    return min(end, now + _s(min(settings.late_poll_s, max(settings.retry_first_s, held_s / 2))))


def unconfirmed_end(attempt: Attempt, settings: Settings, providers: Providers) -> datetime:
    """Until when a lost answer may still be made up for: by a callback, else only within a short window."""
    if attempt.with_callback:
        return life_end(attempt, settings, providers)
    return (attempt.lost_at or attempt.created_at) + _s(settings.unconfirmed_window_s)


def unanswered_since(attempt: Attempt, end: datetime, now: datetime) -> datetime:
    """Since when nobody answers about an attempt, with a question that has just stayed without an answer.

    Counted anew from the first one after `end`: what was tried before the service was down, or before the clock leapt,
    says nothing about now.
    """
    since = attempt.unanswered_since
    return now if since is None or since > now or since < end <= now else since


def is_tried_enough(unanswered_since: datetime | None, end: datetime, now: datetime) -> bool:
    """Whether it has been tried for an hour since `end`, and nobody answered."""
    return unanswered_since is not None and end <= unanswered_since <= now - _s(LAST_TRIES_S)


def is_asked_after(attempt: Attempt, end: datetime, now: datetime) -> bool:
    """Whether an attempt may be given up at the end of a life: its gateway has been asked after it.

    It has answered, without the word that would have saved the task; or has not, for an hour.
    """
    # An answer from the future was given before the clock was set back.
    answered = attempt.answered_at is not None and end <= attempt.answered_at <= now
    return answered or is_tried_enough(attempt.unanswered_since, end, now)


def look_by(end: datetime, now: datetime) -> datetime:
    """The latest moment for the next question about what lives until `end`: then, and every few minutes after it."""
    return end if now < end else now + _s(LAST_PAUSE_S)


def try_by(end: datetime, now: datetime, settings: Settings) -> datetime:
    """The latest moment for the next try at a link that lives until `end`: no pause takes all that is left."""
    left = (end - now).total_seconds()
    return now + _s(max(settings.retry_first_s, left / 2) if left > 0 else LAST_PAUSE_S)


def is_of_unknown_age(attempt: Attempt, now: datetime) -> bool:
    """Whether an order is, or once was, from the future: the clock was set back, and has its age no more."""
    return attempt.age_unknown or attempt.created_at > now + CLOCK_SET_BACK


def resubmit_at(attempt: Attempt, settings: Settings) -> datetime:
    return (attempt.lost_at or attempt.created_at) + _s(settings.resubmit_after_s)


def may_order_beside(case: Case, attempt: Attempt, now: datetime, settings: Settings) -> bool:
    """Whether the client's choice has come to its time, though this order may yet be made, or its failure another's."""
    return case.job.on_unconfirmed == "resubmit" and now >= resubmit_at(attempt, settings)


def resend_at(case: Case, now: datetime, settings: Settings, providers: Providers) -> datetime | None:
    """When the current POST may go out again under its idempotency key; None where it may not, or no longer.

    The key's life counts from the first POST: later, the gateway would take the same request for a new one.
    """
    attempt = case.current
    if attempt is None or is_of_unknown_age(attempt, now):
        return None
    provider = providers[attempt.provider]
    if provider.idempotency_header is None or attempt.lost_at is None or attempt.task_id is not None:
        return None
    # Had this one been refused, another order would have followed; sent now, it would be a second. So it would be where
    # an earlier one that was over when this one left is open again: somebody has told of a task of it since.
    if any(a.is_forgotten and a.is_open for a in case.attempts.values()):
        return None
    others = (a for a in case.attempts.values() if a.is_open and a.number != attempt.number)
    if not all(may_order_beside(case, a, now, settings) for a in others):
        return None
    done = attempt.sends - 1
    units = RESENDS[done] if done < len(RESENDS) else RESENDS[-1] + HOURLY * (done - len(RESENDS) + 1)
    at = attempt.lost_at + _s(units * settings.resend_unit_s)
    return at if max(at, now) < key_end(attempt, settings, providers) else None


def key_end(attempt: Attempt, settings: Settings, providers: Providers) -> datetime:
    """Until when its gateway honours the idempotency key of an order: later, the same POST would be another order."""
    return attempt.created_at + key_life(attempt.provider, settings, providers)


def key_life(provider: str, settings: Settings, providers: Providers) -> timedelta:
    """For how long after the first POST a gateway honours an idempotency key."""
    return _s(providers[provider].idempotency_life_s * settings.resend_unit_s / 60)


def tries_again_at(case: Case, attempt: Attempt, settings: Settings) -> datetime:
    """When a gateway that could not be reached for a job is tried for it again: so each has its turn once a round."""
    since = attempt.closed_at or attempt.created_at
    pause = settings.retry_first_s * 2.0 ** min(max(0, case.job.troubles - 1), 30)
    return since + _s(min(UNSENT_PAUSE_S, pause))


def backoff_end(troubles: int, now: datetime, settings: Settings, jitter: Callable[[float], float]) -> datetime:
    """The pause after the n-th trouble of our own in a row: doubling, up to a longest."""
    pause = min(settings.retry_longest_s, settings.retry_first_s * 2.0 ** min(max(0, troubles - 1), 30))
    return now + _s(jitter(pause))


def keeping(settings: Settings) -> timedelta:
    """How long a film is kept aside."""
    return timedelta(days=min(settings.keep_aside_d, LONGEST_KEPT_D))


def _s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)
