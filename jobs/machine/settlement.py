"""What a person's word about an order amounts to: for its money, for its job, and until the gateway says more. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from jobs.machine import schedule
from jobs.machine.alarms import Rules
from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges
from jobs.machine.outcome import Facts, Note
from jobs.machine.rows import FREE, Attempt, AttemptOutcome, Settled, Standing

# Where an order's money is, if a person says this of it.
STANDINGS: Mapping[Settled, Standing] = {
    Settled.NOT_MADE: Standing.NONE,
    Settled.CHARGED: Standing.CHARGED,
    Settled.NOT_CHARGED: Standing.NONE,
}
ABOUT_MONEY = frozenset({Settled.CHARGED, Settled.NOT_CHARGED})
WITHOUT_A_WORD = frozenset({AttemptOutcome.DELIVERED, AttemptOutcome.EXPIRED})  # of its gateway about the money
# What a job needs a person for until its orders are settled: its flags, and the orders that they are about.
DOUBTS: Mapping[str, Callable[[Attempt], bool]] = {
    "uncertain_money": lambda a: a.standing is Standing.UNCERTAIN and not a.is_open,
    "absurd_cost": lambda a: a.money.is_doubted and a.standing not in FREE,
}


def flag_left(case: Case, number: int) -> str | None:
    """The flag that a job keeps once a person has said what became of this order's money."""
    if case.job.flagged not in DOUBTS:
        return case.job.flagged
    others = [a for a in case.attempts.values() if a.number != number]
    return next((flag for flag, is_about in DOUBTS.items() if any(map(is_about, others))), None)


def weigh(case: Case, facts: Facts) -> Facts:
    """The facts, with a person's word where it outweighs them; `case` is the one before them.

    It yields to whatever the gateway says anew. That a video was stored, that nobody waits any longer, that a task
    failed whose money nobody speaks of, and what was known before the person looked, are nothing new about the money.
    """
    kept: dict[int, AttemptChanges] = {}
    for number, changes in facts.attempts.items():
        attempt = case.attempts.get(number)
        if attempt is None or attempt.settled not in ABOUT_MONEY or not _is_spoken_of(attempt, changes):
            continue
        if _says_nothing_new(attempt, changes):
            kept[number] = {**changes, "standing": attempt.standing, "settled": attempt.settled}
        elif "settled" in changes:
            kept[number] = {**changes, "settled": None}
    return replace(facts, attempts={**facts.attempts, **kept}) if kept else facts


def outweighed(case: Case, facts: Facts) -> list[Note]:
    """Which people's words about orders of the case the facts, as they were weighed, outweigh."""
    return [
        Note("outweighed", number, {"settled": attempt.settled.value, "standing": changes["standing"].value})
        for number, changes in facts.attempts.items()
        if (attempt := case.attempts.get(number)) is not None
        and attempt.settled is not None
        and "standing" in changes
        and changes.get("settled") is None
    ]


def _is_spoken_of(attempt: Attempt, changes: AttemptChanges) -> bool:
    """Whether the changes are about its money, and are neither what a person says of it nor weighed already."""
    if "settled" not in changes:
        return "standing" in changes
    return changes["settled"] is attempt.settled and changes.get("standing") is not attempt.standing


def _says_nothing_new(attempt: Attempt, changes: AttemptChanges) -> bool:
    outcome = changes.get("outcome", attempt.outcome)
    is_silent = changes["standing"] is Standing.UNCERTAIN or outcome in WITHOUT_A_WORD
    return is_silent or outcome is attempt.outcome


def stop_asking(case: Case, facts: Facts, now: datetime, rules: Rules) -> Facts:
    """No longer ask about a task that a person named, once it cannot live and the gateway has not answered for an hour.

    Nor once it is known that its order made nothing. `case` is the one with these facts.
    """
    given_up: dict[int, AttemptChanges] = {}
    for number, attempt in case.attempts.items():
        if attempt.is_named and (why := _why_not_asked(attempt, now, rules)):
            given_up[number] = {**facts.attempts.get(number, {}), "named_refused": why}
    return replace(facts, attempts={**facts.attempts, **given_up}) if given_up else facts


def _why_not_asked(attempt: Attempt, now: datetime, rules: Rules) -> str | None:
    if attempt.made_nothing:
        sent = attempt.outcome is AttemptOutcome.REFUSED
        return f"{attempt.provider} refused the order" if sent else "the order never left this machine"
    end = schedule.heard_until(attempt, rules.settings, rules.providers)
    is_over = schedule.is_tried_enough(attempt.unanswered_since, end, now)
    return f"{attempt.provider} could not be asked" if is_over else None
