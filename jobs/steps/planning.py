"""Planning an order: all that may take time and all that may hinder it, before anything is claimed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from jobs import callback_urls
from jobs.errors import BadRequest
from jobs.machine import routing
from jobs.machine.routing import Candidate, Choice, Obstacle
from jobs.machine.rows import AttemptOutcome, Case, Standing
from jobs.providers.base import Provider, Request
from jobs.providers.client import Account
from jobs.providers.prices import Estimate
from jobs.steps.resources import Parts
from jobs.store import availability, spending
from jobs.store.tables import attempts

RESOLVE_WITHIN_S = 5


@dataclass(frozen=True)
class Plan:
    """One POST that is ready to go: to whom, as which attempt."""

    case: Case
    number: int
    provider: Provider
    account: Account
    request: Request
    choice: Choice
    estimate: Estimate
    with_callback: bool


@dataclass(frozen=True)
class Wait:
    """Why nothing can go now, and for how long."""

    obstacle: Obstacle
    flagged: str | None = None


def plan(case: Case, parts: Parts) -> Plan | Wait:
    """Route, pauses, room and name look-up: everything that may take time comes before the claim."""
    request = case.job.wanted
    try:
        found = parts.candidates(request)
        names = routing.remaining(routing.route(found), case.attempts.values())
    except BadRequest:
        names = []
    if not names:
        gone = Obstacle("no_gateway", "no gateway of its route is configured", parts.settings.overdue_poll_s)
        return Wait(gone, flagged="no_gateway")
    choice = routing.choose(found, names, lambda candidate: _obstacle(candidate, parts))
    chosen = choice.chosen
    if chosen is None or chosen.estimate is None:
        first = min(choice.obstacles.values(), key=lambda obstacle: obstacle.wait_s)
        return Wait(replace(first, wait_s=parts.jitter(first.wait_s)))
    provider, number = parts.providers[chosen.name], next_number(case)
    url = _callback_url(provider, case.job.id, number, parts)
    return Plan(
        case,
        number,
        provider,
        parts.settings.accounts[chosen.name],
        provider.request_for(request.generation, url),
        choice,
        chosen.estimate,
        url is not None,
    )


def _obstacle(candidate: Candidate, parts: Parts) -> Obstacle | None:
    account = parts.settings.accounts[candidate.name]
    usd = candidate.estimate.usd if candidate.estimate else None
    with parts.database.read() as db:
        found = availability.obstacle(db, account, usd, parts.settings, now=parts.database.clock(db))
    if found is None and (reason := parts.client.resolve(account, timeout_s=RESOLVE_WITHIN_S)):
        return Obstacle("unreachable", f"{candidate.name}: {reason}", parts.settings.retry_first_s, candidate.name)
    return found


def next_number(case: Case) -> int:
    """An attempt is at most one POST; one that was provably not sent is used again."""
    current = case.current
    if current is not None and current.outcome is AttemptOutcome.NOT_SENT:
        return current.number
    return max(case.attempts, default=0) + 1


def _callback_url(provider: Provider, job_id: str, number: int, parts: Parts) -> str | None:
    settings = parts.settings
    if provider.callbacks is None or settings.public_url is None:
        return None
    url = callback_urls.mint(settings.public_url, settings.callback_keys, provider.name, job_id, number)
    return url if len(url) <= provider.callbacks.longest_url else None


def attempt_row(order: Plan, now: datetime) -> dict[str, Any]:
    """The row of a planned order's attempt, with nothing left over from one that was not sent."""
    fresh = {column.name: None for column in attempts.columns if column.nullable}
    return fresh | {
        "job_id": order.case.job.id,
        "number": order.number,
        "provider": order.provider.name,
        "base_url": order.account.base_url,
        "account": order.account.fingerprint,
        "with_callback": order.with_callback,
        "request": {
            "method": order.request.method,
            "path": order.request.path,
            "body": order.request.body,
            "headers": dict(order.request.headers),
        },
        "outcome": AttemptOutcome.OPEN,
        "standing": Standing.NONE,
        "adopted": False,
        "rejected_task_ids": [],
        "sends": 0,
        "day": spending.day_of(now),
        "estimated_credits": order.estimate.credits,
        "estimated_usd": order.estimate.usd,
        "estimate_exact": order.estimate.exact,
        "reserved_micro_usd": spending.micro(order.estimate.usd),
        "created_at": now,
    }
