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
from jobs.machine.rows import SUSPECTED, AttemptOutcome, Case, Letter, Standing
from jobs.providers.base import Provider
from jobs.providers.prices import Estimate, estimate
from jobs.settings import Settings
from jobs.steps.resources import Parts
from jobs.store import attempt_rows, cases, leases, spending
from jobs.store.tables import attempts

UNKNOWN_KEY = ""  # the fingerprint of a key that is not configured here


def recognise(case: Case, parts: Parts) -> Case | None:
    """The case, with a row for each order that only its unread callbacks know of. None: somebody else has moved it.

    A callback's URL names its gateway under our own token, so it outweighs a guess.
    """
    orders = {letter.attempt: letter for letter in case.unread if _tells_more(case, letter, parts.settings)}
    strangers = [letter for letter in case.unread if _contradicts(case, letter)]
    if not orders and not strangers:
        return case
    notes = [Note("order_recognised", n, {"provider": letter.provider}) for n, letter in orders.items()]
    notes += [Note("unknown_order", x.attempt, {"provider": x.provider, "task_id": x.task_id}) for x in strangers]
    flagged = "unknown_attempt" if strangers else case.job.flagged
    with parts.database.write() as db:
        now = parts.database.clock(db)
        said = Outcome(alarm_at=case.job.alarm_at, job={"flagged": flagged}, facts=Facts(notes=tuple(notes)))
        if not leases.move_unheld(db, case, said, now=now):
            return None
        for number, letter in orders.items():
            if number in case.attempts:  # what was reserved at the gateway that was guessed goes back
                spending.settle(db, case.job.id, number, {"standing": Standing.NONE})
            row = suspected_row(case, number, letter.provider, parts, since=case.job.created_at, now=now)
            attempt_rows.add_attempt(db, row)
            spending.open_day(db, row["provider"], row["day"])
        return cases.read_case(db, case.job.id)


def suspected_row(
    case: Case, number: int, provider: str, parts: Parts, *, since: datetime, now: datetime
) -> dict[str, Any]:
    """The row of an order that may have been made at this gateway after `since`; its money is nobody's yet."""
    settings = parts.settings
    account = settings.accounts.get(provider)
    price = _price(case, parts.providers[provider])
    calls = parts.providers[provider].callbacks is not None and settings.public_url is not None
    fresh: dict[str, Any] = {column.name: None for column in attempts.columns if column.nullable}
    return fresh | {
        "job_id": case.job.id,
        "number": number,
        "provider": provider,
        "base_url": account.base_url if account else parts.providers[provider].base_url,
        "account": account.fingerprint if account else UNKNOWN_KEY,
        "with_callback": calls,
        "request": {SUSPECTED: since.isoformat()},
        "outcome": AttemptOutcome.OPEN,
        "standing": Standing.NONE,
        "adopted": False,
        "rejected_task_ids": [],
        "day": spending.day_of(since),
        "estimated_credits": price.credits,
        "estimated_usd": price.usd,
        "estimate_exact": False,
        "reserved_micro_usd": 0,
        "created_at": since,
        "sending_at": since,
        "sends": 1,
        "lost_at": now,
    }


def guess(case: Case, parts: Parts) -> str:
    """The gateway that a forgotten order of a job went to, most likely: one that would call back, if there is one."""
    names = parts.remaining(case) or [case.job.provider or next(iter(parts.providers))]
    return next((name for name in names if parts.providers[name].callbacks is not None), names[0])


def _tells_more(case: Case, letter: Letter, settings: Settings) -> bool:
    """Whether a callback tells of an order that has no row, or more of one that is only suspected."""
    known = case.attempts.get(letter.attempt)
    if known is None:
        return True
    if known.task_id is not None or not known.is_suspected:
        return False
    is_found = known.account == UNKNOWN_KEY and letter.provider in settings.accounts
    return known.provider != letter.provider or is_found


def _contradicts(case: Case, letter: Letter) -> bool:
    """Whether a callback is of another gateway than the order that bears its number: that one was made as well."""
    known = case.attempts.get(letter.attempt)
    forgotten = known is None or (known.is_suspected and known.task_id is None)
    return known is not None and not forgotten and known.provider != letter.provider


def _price(case: Case, provider: Provider) -> Estimate:
    try:
        spec = case.job.wanted.generation
    except BadRequest:  # taken in by an earlier version
        return Estimate(0, None, None, exact=False)
    return estimate(spec, provider) if spec.kind in provider.abilities else Estimate(0, None, None, exact=False)
