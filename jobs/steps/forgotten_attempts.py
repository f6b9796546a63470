"""Orders that may have been made and are forgotten, because a backup of the database was put back.

Such an order has a row of its own: open, sent at a time that is not known, under a callback URL that only we can have
minted, with a guess for its gateway. It is never sent again, not even under its idempotency key: it may have been
refused, and another have followed it. A callback that names it tells the gateway; our query of the task, all the rest.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobs.errors import BadRequest
from jobs.machine.outcome import Facts, Note, Outcome
from jobs.machine.rows import Case, KeptCallback, Origin, Standing
from jobs.providers.base import Provider
from jobs.providers.prices import Estimate, estimate
from jobs.settings import Settings
from jobs.steps.resources import Resources
from jobs.store import attempt_rows, cases, leases, spending

UNKNOWN_KEY = ""  # the fingerprint of a key that is not configured here


def recognise(case: Case, resources: Resources) -> Case | None:
    """The case, with a row for each order that only its unread callbacks know of. None: somebody else has moved it.

    A callback's URL names its gateway under our own token, so it outweighs a guess.
    """
    named = {callback.attempt: callback for callback in case.unread if _tells_more(case, callback, resources.settings)}
    strangers = [callback for callback in case.unread if _contradicts(case, callback)]
    if not named and not strangers:
        return case
    notes = [Note("order_recognised", n, {"provider": callback.provider}) for n, callback in named.items()]
    notes += [Note("unknown_order", x.attempt, {"provider": x.provider, "task_id": x.task_id}) for x in strangers]
    flagged = "unknown_attempt" if strangers else case.job.flagged
    with resources.database.write() as db:
        now = resources.database.clock(db)
        said = Outcome(alarm_at=case.job.alarm_at, job={"flagged": flagged}, facts=Facts(notes=tuple(notes)))
        if not leases.move_unleased(db, case, said, now=now):
            return None
        for number, callback in named.items():
            if number in case.attempts:  # what was reserved at the gateway that was guessed goes back
                spending.adjust(db, case.job.id, number, {"standing": Standing.NONE})
            since, called_back = case.job.created_at, Origin.CALLED_BACK
            row = forgotten_row(case, number, callback.provider, called_back, resources, since=since, now=now)
            attempt_rows.add_attempt(db, row)
            spending.open_day(db, row["provider"], row["day"])
        return cases.read_case(db, case.job.id)


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


def _tells_more(case: Case, callback: KeptCallback, settings: Settings) -> bool:
    """Whether a callback tells of an order that has no row, or more of one that is only guessed at."""
    known = case.attempts.get(callback.attempt)
    if known is None:
        return True
    if known.task_id is not None or not known.is_forgotten:
        return False
    is_found = known.account == UNKNOWN_KEY and callback.provider in settings.accounts
    return known.provider != callback.provider or is_found


def _contradicts(case: Case, callback: KeptCallback) -> bool:
    """Whether a callback is of another gateway than the order that bears its number: that one was made as well."""
    known = case.attempts.get(callback.attempt)
    forgotten = known is None or (known.is_forgotten and known.task_id is None)
    return known is not None and not forgotten and known.provider != callback.provider


def _price(case: Case, provider: Provider) -> Estimate:
    try:
        spec = case.job.wanted.generation
    except BadRequest:  # taken in by an earlier version
        return Estimate(0, None, None, exact=False)
    return estimate(spec, provider) if spec.kind in provider.abilities else Estimate(0, None, None, exact=False)
