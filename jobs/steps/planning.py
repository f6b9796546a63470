"""Planning an order: all that may take time and all that may hinder it, before anything is claimed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from jobs import callback_urls
from jobs.errors import BadRequest
from jobs.machine import routing, schedule
from jobs.machine.breaker import LONGEST_REST_S
from jobs.machine.case import Case
from jobs.machine.error_codes import OWN_TROUBLE
from jobs.machine.routing import Candidate, Choice, Obstacle
from jobs.machine.rows import Attempt, AttemptOutcome, Origin
from jobs.providers.base import Provider, Request
from jobs.providers.client import Account
from jobs.providers.prices import Estimate
from jobs.settings import Settings
from jobs.steps import health
from jobs.steps.health import Exchange
from jobs.steps.resources import Resources
from jobs.store import attempt_rows, availability, orders_out, spending

RESOLVE_WITHIN_S = 5

Ask = Callable[[Account, Resources], bool]  # True: the gateway answered, and one order may go


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


def plan(
    case: Case, resources: Resources, leave_out: Collection[str] = (), *, ask: Ask | None = health.ask_for_free
) -> Plan | Wait:
    """Route, pauses, room and name look-up: everything that may take time comes before the claim.

    `leave_out`: gateways that were tried in this step, in vain. `ask`: how one that is to be asked for free is asked;
    None: it is passed over, as there is no time for that.
    """
    request = case.job.wanted
    try:
        found = resources.candidates(request)
        names = routing.remaining(routing.route(found), case.attempts.values())
    except BadRequest:
        names = []
    names = [name for name in names if name not in leave_out]
    if not names:
        gone = Obstacle("no_gateway", "no gateway of its route is configured", resources.settings.overdue_poll_s)
        return Wait(gone, flagged="no_gateway")
    choice = routing.choose(found, names, lambda candidate: _obstacle(candidate, case, resources, ask))
    chosen = choice.chosen
    if chosen is None or chosen.estimate is None:
        first = min(choice.obstacles.values(), key=lambda obstacle: obstacle.wait_s)
        return Wait(replace(first, wait_s=resources.jitter(first.wait_s)))
    provider, number = resources.providers[chosen.name], next_number(case, chosen.name)
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


def _obstacle(candidate: Candidate, case: Case, resources: Resources, ask: Ask | None) -> Obstacle | None:
    account = resources.settings.accounts[candidate.name]
    usd = candidate.estimate.usd if candidate.estimate else None

    def hindrance() -> tuple[Obstacle | None, datetime]:
        with resources.database.read() as db:
            looked = orders_out.look(db, account, resources.settings, resources.database)
            return availability.obstacle(db, account, usd, resources.settings, looked), looked.now

    found, now = hindrance()
    answers = False
    if found is not None and found.may_ask and ask is not None:
        answers = ask(account, resources)
        found, now = hindrance()
    if not answers:  # else what could not be sent lately can be sent now
        found = found or _tried_lately(case, candidate.name, resources.settings, now)
    if found is None and (unsent := resources.client.resolve(account, timeout_s=RESOLVE_WITHIN_S)):
        by = resources.new_lease_holder()
        health.hear_unsent(account, Exchange(case.job.id, now, by), unsent, resources)
        found, now = hindrance()  # which may rest from here on, or is excused
        return found or unsendable(candidate.name, unsent.ours, unsent.reason, resources.settings.retry_first_s)
    return found


def unsendable(provider: str, ours: bool, reason: str, wait_s: float) -> Obstacle:
    """Nothing can be sent; what is our own trouble counts against no gateway."""
    if ours:
        return Obstacle(OWN_TROUBLE, f"{provider}: {reason}", wait_s)
    return Obstacle("unreachable", f"{provider}: {reason}", wait_s, provider)


def _tried_lately(case: Case, provider: str, settings: Settings, now: datetime) -> Obstacle | None:
    """A gateway to which this very job's order could not be sent: it waits its turn, and the others have theirs."""
    unsent = _unsent(case, provider)
    if unsent is None or unsent.error_code is None:
        return None
    wait_s = (schedule.tries_again_at(case, unsent, settings) - now).total_seconds()
    if not 0 < wait_s <= LONGEST_REST_S:
        return None
    return unsendable(provider, unsent.error_code == OWN_TROUBLE, unsent.error_message or "", wait_s)


def next_number(case: Case, provider: str) -> int:
    """An attempt is at most one POST at one gateway; one that was provably not sent is used again there."""
    unsent = _unsent(case, provider)
    return unsent.number if unsent else max(case.attempts, default=0) + 1


def _unsent(case: Case, provider: str) -> Attempt | None:
    """The job's attempt at this gateway of which provably nothing was sent, where there is one."""
    unsent = (a for a in case.attempts.values() if a.outcome is AttemptOutcome.NOT_SENT and a.provider == provider)
    return next(unsent, None)


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
