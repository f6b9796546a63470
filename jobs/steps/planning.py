"""Planning an order: all that may take time and all that may hinder it, before anything is claimed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from jobs import callback_urls
from jobs.errors import BadRequest
from jobs.machine import routing
from jobs.machine.routing import Candidate, Choice, Obstacle
from jobs.machine.rows import AttemptOutcome, Case, Origin
from jobs.providers.base import Provider, Request
from jobs.providers.client import Account
from jobs.providers.prices import Estimate
from jobs.steps.resources import Resources
from jobs.store import attempt_rows, availability, spending

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


def plan(case: Case, resources: Resources) -> Plan | Wait:
    """Route, pauses, room and name look-up: everything that may take time comes before the claim."""
    request = case.job.wanted
    try:
        found = resources.candidates(request)
        names = routing.remaining(routing.route(found), case.attempts.values())
    except BadRequest:
        names = []
    if not names:
        gone = Obstacle("no_gateway", "no gateway of its route is configured", resources.settings.overdue_poll_s)
        return Wait(gone, flagged="no_gateway")
    choice = routing.choose(found, names, lambda candidate: _obstacle(candidate, resources))
    chosen = choice.chosen
    if chosen is None or chosen.estimate is None:
        first = min(choice.obstacles.values(), key=lambda obstacle: obstacle.wait_s)
        return Wait(replace(first, wait_s=resources.jitter(first.wait_s)))
    provider, number = resources.providers[chosen.name], next_number(case)
    url = _callback_url(provider, case.job.id, number, resources)
    return Plan(
        case,
        number,
        provider,
        resources.settings.accounts[chosen.name],
        provider.request_for(request.generation, url),
        choice,
        chosen.estimate,
        url is not None,
    )


def _obstacle(candidate: Candidate, resources: Resources) -> Obstacle | None:
    account = resources.settings.accounts[candidate.name]
    usd = candidate.estimate.usd if candidate.estimate else None
    with resources.database.read() as db:
        found = availability.obstacle(db, account, usd, resources.settings, now=resources.database.clock(db))
    if found is None and (reason := resources.client.resolve(account, timeout_s=RESOLVE_WITHIN_S)):
        return Obstacle("unreachable", f"{candidate.name}: {reason}", resources.settings.retry_first_s, candidate.name)
    return found


def next_number(case: Case) -> int:
    """An attempt is at most one POST; one that was provably not sent is used again."""
    current = case.current
    if current is not None and current.outcome is AttemptOutcome.NOT_SENT:
        return current.number
    return max(case.attempts, default=0) + 1


def _callback_url(provider: Provider, job_id: str, number: int, resources: Resources) -> str | None:
    settings = resources.settings
    if provider.callbacks is None or settings.public_url is None:
        return None
    url = callback_urls.mint(settings.public_url, settings.callback_keys, provider.name, job_id, number)
    return url if len(url) <= provider.callbacks.longest_url else None


def attempt_row(planned: Plan, now: datetime) -> dict[str, Any]:
    """The row of a planned attempt."""
    request, price = planned.request, planned.estimate
    return attempt_rows.new_row(
        planned.case.job.id,
        planned.number,
        planned.provider.name,
        Origin.ORDERED,
        base_url=planned.account.base_url,
        account=planned.account.fingerprint,
        with_callback=planned.with_callback,
        created_at=now,
        request={
            "method": request.method,
            "path": request.path,
            "body": request.body,
            "headers": dict(request.headers),
        },
        estimated_credits=price.credits,
        estimated_usd=price.usd,
        estimate_exact=price.exact,
        reserved_micro_usd=spending.micro(price.usd),
    )
