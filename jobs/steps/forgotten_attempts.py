"""Orders that may have been made and are forgotten, because a backup of the database was put back.

Such an order has a row of its own: open, sent at a time that is not known, under a callback URL that only we can have
minted, with a guess for its gateway. It is never sent again, not even under its idempotency key: it may have been
refused, and another have followed it. A callback that names it tells the gateway; our query of the task, all the rest.

An order that has no row at all is made known by no callback alone: whoever has a callback key could make one up. While
the task that it tells of is asked about, its job is not ordered; only the gateway's answer gives it a row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from jobs.errors import BadRequest
from jobs.machine.outcome import Facts, Note, Outcome
from jobs.machine.rows import Case, KeptCallback, Origin, Standing
from jobs.providers.base import Provider
from jobs.providers.prices import Estimate, estimate
from jobs.settings import Settings
from jobs.steps.answers import Inquiry, Reply, misfit
from jobs.steps.resources import Resources
from jobs.store import attempt_rows, cases, late_facts, leases, spending
from jobs.store.attempt_rows import attempt_of
from jobs.store.leases import Lease

ASKED_FOR = timedelta(hours=1)  # about an order that no row knows, where its gateway does not answer
UNKNOWN_KEY = ""  # the fingerprint of a key that is not configured here


@dataclass(frozen=True)
class Judged:
    """The lease with the rows of orders that were recognised, the replies about known orders, and what is to be told.

    `left`: the callbacks that stay unread, as their gateway has not answered yet.
    """

    lease: Lease
    replies: list[Reply]
    notes: tuple[Note, ...]
    left: frozenset[int]


def correct_guesses(case: Case, resources: Resources) -> Case | None:
    """The case, with the gateways that its unread callbacks name, and no guesses. None: somebody else has moved it.

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
            # What was reserved at the gateway that was guessed goes back.
            spending.adjust(db, case.job.id, number, {"standing": Standing.NONE})
            row = _row(case, callback, resources, now)
            attempt_rows.add_attempt(db, row)
            spending.open_day(db, row["provider"], row["day"])
        return cases.read_case(db, case.job.id)


def strange_orders(case: Case, resources: Resources, now: datetime) -> list[Inquiry]:
    """What to ask about orders that no row knows and unread callbacks tell of, the newest first."""
    told = [x for x in reversed(case.unread) if x.attempt not in case.attempts and x.task_id]
    return [Inquiry(attempt_of(_row(case, x, resources, now)), str(x.task_id), candidate=True) for x in told]


def judge_strange(lease: Lease, replies: list[Reply], resources: Resources, now: datetime) -> Judged:
    """What becomes of callbacks about orders that no row knows, by what the gateway says of the tasks that they name.

    One that the gateway knows, and that fits, has been ordered: its row is written. All other callbacks move nothing;
    one about which it does not answer is asked about for an hour.
    """
    case, notes, left = lease.case, [], set()
    for callback in [x for x in case.unread if x.attempt not in case.attempts]:
        reply = next((r for r in replies if _is_about(r, callback)), None)
        reason = "it tells no task" if callback.task_id is None else _why_not(reply, case, resources, now)
        if reason is None and reply is not None and callback.attempt not in case.attempts:
            row = _row(case, callback, resources, now)
            if _write_row(lease, row, str(callback.task_id), resources):
                case = replace(case, attempts={**case.attempts, callback.attempt: attempt_of(row)})
                notes.append(Note("order_recognised", callback.attempt, {"provider": callback.provider}))
                continue
            reason = "it is the task of another order"
        is_silent = callback.task_id is not None and (reply is None or not reply.final)
        if is_silent and now - ASKED_FOR < callback.received_at <= now + ASKED_FOR:
            left.add(callback.id)
            continue
        told = {"provider": callback.provider, "task_id": callback.task_id, "reason": reason}
        notes.append(Note("unknown_order", callback.attempt, told))
    known = [r for r in replies if r.inquiry.attempt.number in case.attempts]
    return Judged(replace(lease, case=case), known, tuple(notes), frozenset(left))


def _is_about(reply: Reply, callback: KeptCallback) -> bool:
    asked = reply.inquiry
    return (asked.attempt.number, asked.task_id) == (callback.attempt, callback.task_id)


def _why_not(reply: Reply | None, case: Case, resources: Resources, now: datetime) -> str | None:
    """Why a task cannot be that of an order which no row knows; None: it can."""
    if reply is None or not reply.final:
        return "its gateway has not answered"
    if reply.report is None:
        return f"{reply.inquiry.attempt.provider} knows no such task"
    return misfit(reply.report, reply.inquiry, case, resources.providers[reply.inquiry.attempt.provider], now)


def _write_row(lease: Lease, row: dict[str, Any], task_id: str, resources: Resources) -> bool:
    """False: the lease is lost, or the task is another order's."""
    with resources.database.write() as db:
        now = resources.database.clock(db)
        if not leases.renew_lease(db, lease, lease_s=resources.settings.query_lease_s, now=now):
            return False
        if late_facts.bearer_of(db, attempt_of(row), task_id) is not None:
            return False
        attempt_rows.add_attempt(db, row)
        spending.open_day(db, row["provider"], row["day"])
    return True


def _row(case: Case, callback: KeptCallback, resources: Resources, now: datetime) -> dict[str, Any]:
    since, origin = case.job.created_at, Origin.CALLED_BACK
    return forgotten_row(case, callback.attempt, callback.provider, origin, resources, since=since, now=now)


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
    """Whether a callback tells more of an order that is only guessed at."""
    known = case.attempts.get(callback.attempt)
    if known is None or known.task_id is not None or not known.is_forgotten:
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
