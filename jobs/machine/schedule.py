"""When: the next query, the end of a window, of a task's and of a link's life. Pure arithmetic on rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from jobs.machine.breaker import LONGEST_REST_S
from jobs.machine.rows import Attempt, Case
from jobs.providers.base import Provider
from jobs.request.generation import Mode
from jobs.settings import Settings

Providers = Mapping[str, Provider]
RESENDS = (1, 5, 30)  # units after the loss; then every 60
HOURLY = 60


def next_poll(
    attempt: Attempt,
    now: datetime,
    settings: Settings,
    providers: Providers,
    jitter: Callable[[float], float],
) -> datetime:
    """The next routine query of a running task: the gateway's advice first, ever slower once it is overdue."""
    accepted = attempt.accepted_at or now
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


def expected_end(mode: str, accepted: datetime, settings: Settings) -> datetime:
    """After this a running task is overdue. A deadline is no verdict: it stays alive."""
    return accepted + _s(settings.expected_s * (2 if mode == Mode.EDIT else 1))


def life_end(attempt: Attempt, settings: Settings, providers: Providers) -> datetime:
    """When neither the task nor its link can exist any longer, so that nobody is left to ask."""
    provider = providers[attempt.provider]
    task_end = (attempt.accepted_at or attempt.lost_at or attempt.created_at) + _s(
        settings.life_s or provider.task_life_s
    )
    return (
        max(task_end, link_end(attempt, settings, providers))
        if attempt.accepted_at
        else task_end + _s(settings.life_s or provider.link_life_s)
    )


def link_end(attempt: Attempt, settings: Settings, providers: Providers) -> datetime:
    """When the link dies: counted from the finish, or from the last "not yet" where no finish time is given."""
    born = attempt.finished_at or attempt.last_unfinished_at or attempt.accepted_at or attempt.created_at
    return born + _s(settings.life_s or providers[attempt.provider].link_life_s)


def unconfirmed_end(attempt: Attempt, settings: Settings, providers: Providers) -> datetime:
    """Until when a lost answer may still be made up for: by a callback, else only within a short window."""
    if attempt.with_callback:
        return life_end(attempt, settings, providers)
    return (attempt.lost_at or attempt.created_at) + _s(settings.unconfirmed_window_s)


def callback_end(attempt: Attempt, settings: Settings, providers: Providers) -> datetime:
    """Until when a callback can matter to an order that is over without a video: as long as task and link can live."""
    provider = providers[attempt.provider]
    lives = (settings.life_s or provider.task_life_s) + (settings.life_s or provider.link_life_s)
    return (attempt.lost_at or attempt.created_at) + _s(lives)


def resubmit_at(attempt: Attempt, settings: Settings) -> datetime:
    return (attempt.lost_at or attempt.created_at) + _s(settings.resubmit_after_s)


def resend_at(case: Case, now: datetime, settings: Settings, providers: Providers) -> datetime | None:
    """When the current POST may go out again under its idempotency key; None where it may not, or no longer.

    The key's life counts from the first POST: later, the gateway would take the same request for a new one.
    """
    attempt = case.current
    if attempt is None:
        return None
    provider = providers[attempt.provider]
    if provider.idempotency_header is None or attempt.lost_at is None or attempt.task_id is not None:
        return None
    # Had this one been refused, another order would have followed; sent now, it would be a second.
    if any(a.is_forgotten and a.is_open for a in case.attempts.values()):
        return None
    done = attempt.sends - 1
    units = RESENDS[done] if done < len(RESENDS) else RESENDS[-1] + HOURLY * (done - len(RESENDS) + 1)
    at = attempt.lost_at + _s(units * settings.resend_unit_s)
    end = attempt.created_at + _s(provider.idempotency_life_s * settings.resend_unit_s / 60)
    return at if max(at, now) < end else None


def tries_again_at(case: Case, attempt: Attempt, settings: Settings) -> datetime:
    """When a gateway that could not be reached for a job is tried for it again: so each has its turn once a round."""
    since = attempt.closed_at or attempt.created_at
    pause = min(LONGEST_REST_S, settings.retry_first_s * 2.0 ** min(max(0, case.job.troubles - 1), 30))
    return since + _s(pause)


def backoff_end(troubles: int, now: datetime, settings: Settings, jitter: Callable[[float], float]) -> datetime:
    """The pause after the n-th trouble of our own in a row: doubling, up to a longest."""
    pause = min(settings.retry_longest_s, settings.retry_first_s * 2.0 ** min(max(0, troubles - 1), 30))
    return now + _s(jitter(pause))


def _s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)
