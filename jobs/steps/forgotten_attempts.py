"""Orders that may have been made and are forgotten, because a backup of the database was put back.

Such an order has a row of its own: open, sent at a time that is not known, under a callback URL that only we can have
minted, with a guess for its gateway and key. It is never sent again, not even under its idempotency key: it may have
been refused, and another have followed it. The answer to its POST tells the gateway, if a journal has it, or a callback
that names it (`strange_orders`); our query of the task, all the rest.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobs.errors import BadRequest
from jobs.machine.case import Case
from jobs.machine.rows import Attempt, Origin
from jobs.providers.base import Provider
from jobs.providers.prices import Estimate, estimate
from jobs.steps.resources import Resources
from jobs.store import attempt_rows

UNKNOWN_KEY = ""  # the fingerprint of a key that is not configured here


def forgotten_row(
    case: Case, number: int, provider: str, origin: Origin, resources: Resources, *, since: datetime, now: datetime
) -> dict[str, Any]:
    """The row of an attempt that may have been made at this gateway after `since`; its money is nobody's yet."""
    settings = resources.settings
    account = settings.accounts.get(provider)
    price = _price(case, resources.providers[provider])
    return attempt_rows.new_row(
        case.job.id,
        number,
        provider,
        origin,
        base_url=account.base_url if account else resources.providers[provider].base_url,
        account=account.fingerprint if account else UNKNOWN_KEY,
        with_callback=resources.providers[provider].callbacks is not None and settings.public_url is not None,
        created_at=since,
        estimated_credits=price.credits,
        estimated_usd=price.usd,
        sending_at=since,
        sends=1,
        lost_at=now,
    )


def guess(case: Case, resources: Resources) -> str:
    """The gateway that a forgotten order of a job went to, most likely: one that would call back, if there is one."""
    names = resources.remaining(case) or [case.job.provider or next(iter(resources.providers))]
    return next((name for name in names if resources.providers[name].callbacks is not None), names[0])


def is_guess(attempt: Attempt) -> bool:
    """Whether nothing but a guess says where an order went. What a person named for it is asked about first."""
    return attempt.is_forgotten and attempt.may_have_a_task and not attempt.is_named


def _price(case: Case, provider: Provider) -> Estimate:
    try:
        spec = case.job.wanted.generation
    except BadRequest:  # taken in by an earlier version
        return Estimate(0, None, None, exact=False)
    return estimate(spec, provider) if spec.kind in provider.abilities else Estimate(0, None, None, exact=False)
