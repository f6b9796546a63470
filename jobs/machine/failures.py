"""Failures of tasks that callbacks alone have named: such a task may be another order's, and its failure as well. Pure.

Believed at once, it would order anew beside a task that runs, and call that one's money free. So it waits as a film
does: for as long as a lost answer is waited for, and while there is more to ask about.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from jobs.machine.alarms import Rules
from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges
from jobs.machine.outcome import Facts
from jobs.machine.rows import Attempt, AttemptOutcome, Standing
from jobs.machine.times import CLOCK_SET_BACK
from jobs.providers.base import Provider


def standing(cost: float | None, provider: Provider) -> Standing:
    """Where the money of a failed order is. A gateway that refunds failures and yet tells a cost contradicts itself."""
    is_kept = cost is not None and cost > 0
    return Standing.REFUNDED if provider.refunds_failures and not is_kept else Standing.UNCERTAIN


def in_doubt(attempt: Attempt, now: datetime) -> AttemptChanges:
    """What stays of a verdict that is not believed yet: the order is open, and when it was first heard."""
    heard_at = attempt.closed_at if attempt.is_failed_in_doubt else None
    is_known = heard_at is not None and heard_at <= now + CLOCK_SET_BACK
    return {
        "outcome": AttemptOutcome.OPEN,
        "standing": Standing.UNCERTAIN,
        "closed_at": heard_at if is_known else now,
    }


def believe(case: Case, facts: Facts, now: datetime, rules: Rules) -> Facts:
    """What was learnt, with the failures that are in doubt no longer. `case` has the facts already."""
    believed: dict[int, AttemptChanges] = {}
    for number, attempt in case.attempts.items():
        if attempt.is_failed_in_doubt and not _is_in_doubt(case, attempt, now, rules):
            left = standing(attempt.reported_credits, rules.providers[attempt.provider])
            said = facts.attempts.get(number, {})
            believed[number] = {**said, "outcome": AttemptOutcome.FAILED, "standing": left, "closed_at": now}
    return replace(facts, attempts={**facts.attempts, **believed}) if believed else facts


def _is_in_doubt(case: Case, attempt: Attempt, now: datetime, rules: Rules) -> bool:
    if not attempt.is_by_hearsay or attempt.closed_at is None:
        return False
    is_unasked = any(not each.asks for each in case.heard(attempt.number))
    is_early = now < attempt.closed_at + timedelta(seconds=rules.settings.unconfirmed_window_s)
    return is_unasked or is_early or case.is_undecided(attempt.number)
