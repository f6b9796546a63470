"""The account: every accepted job is archived, failed, cancelled or live, and each live one has an alarm or a holder.

Pure, but for the one read that counts. What a row cannot be, if every write was whole, is a finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.case import Case
from jobs.machine.rows import Attempt, AttemptOutcome, Standing
from jobs.machine.settlement import STANDINGS
from jobs.machine.states import ENDED, LIVE, State
from jobs.store.tables import attempts, jobs, spending

A, M = AttemptOutcome, Standing

# Where an attempt's money can be, by what became of it; where a person has said it, it is there.
POSSIBLE: Mapping[AttemptOutcome, frozenset[Standing]] = {
    A.OPEN: frozenset({M.NONE, M.HELD, M.UNCERTAIN}),
    A.NOT_SENT: frozenset({M.NONE}),
    A.REFUSED: frozenset({M.NONE}),
    A.FAILED: frozenset({M.REFUNDED, M.UNCERTAIN}),
    A.FINISHED: frozenset({M.CHARGED}),
    A.DELIVERED: frozenset({M.CHARGED}),
    A.UNDELIVERED: frozenset({M.CHARGED}),
    A.EXPIRED: frozenset({M.UNCERTAIN, M.NONE}),  # none: an order that was only suspected, and never heard of
    A.NOT_MADE: frozenset({M.NONE}),
}


@dataclass(frozen=True)
class Finding:
    """Something that does not balance. `code`: see error_codes.FINDINGS; `detail` is for people, with the values."""

    code: str
    detail: str
    job_id: str | None = None
    key: str | None = None
    provider: str | None = None
    day: str | None = None


@dataclass(frozen=True)
class Balance:
    """How many jobs stand where, at one moment."""

    states: Mapping[State, int]
    unwatched: int  # live ones without an alarm and without a holder

    @property
    def accepted(self) -> int:
        return sum(self.states.values())

    @property
    def live(self) -> int:
        return sum(count for state, count in self.states.items() if state not in ENDED)


def count(db: Connection) -> tuple[Balance, list[Finding]]:
    """The account of the moment that a snapshot sees, and the days whose sums differ from their orders'."""
    states = {
        State(state): n for state, n in db.execute(sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state))
    }
    unwatched = sa.and_(jobs.c.state.in_(LIVE), jobs.c.alarm_at.is_(None), jobs.c.lease_holder.is_(None))
    left_alone = db.execute(sa.select(sa.func.count()).where(unwatched)).scalar_one()
    return Balance(states, left_alone), list(_days(db))


def check(case: Case, told: str | None) -> Iterator[Finding]:
    """What is wrong with a job's rows. `told`: the state that its history ends in. Pure."""
    job = case.job
    if job.state not in ENDED and job.alarm_at is None and job.lease_holder is None:
        yield Finding("live_without_alarm", f"{job.state}, with neither alarm nor holder", job.id)
    open_ones = [a.number for a in case.attempts.values() if a.is_open]
    if job.state in ENDED and open_ones and job.alarm_at is None:
        orders = ", ".join(map(str, open_ones))
        yield Finding("open_attempt_without_alarm", f"{job.state}, order {orders} open, no alarm", job.id)
    if told != job.state:
        yield Finding("history_mismatch", f"{job.state}, but its history ends in {told}", job.id)
    for attempt in case.attempts.values():
        if wrong := _impossible(attempt):
            yield Finding("impossible_money", wrong, job.id)


def _impossible(attempt: Attempt) -> str | None:
    said = {STANDINGS[attempt.settled]} if attempt.settled else POSSIBLE[attempt.outcome]
    if attempt.standing in said:
        return None
    return f"order {attempt.number} is {attempt.outcome}, its money {attempt.standing}"


def _days(db: Connection) -> Iterator[Finding]:
    """Gateways' days whose sum is not that of their orders."""
    wanted = reserved(db)
    kept = {(row.provider, row.day): row.micro_usd for row in db.execute(sa.select(spending))}
    for provider, day in sorted(wanted.keys() | kept.keys()):
        has, should = kept.get((provider, day), 0), wanted.get((provider, day), 0)
        if has != should:
            said = f"{provider} on {day}: ${has / 1e6:.6f} counted, ${should / 1e6:.6f} ordered"
            yield Finding("spending_mismatch", said, provider=provider, day=day)


def reserved(db: Connection) -> dict[tuple[str, str], int]:
    """What the orders of each gateway and day take of its budget, in millionths of a US dollar."""
    amount = sa.func.sum(attempts.c.reserved_micro_usd)
    day = sa.select(attempts.c.provider, attempts.c.day, amount).group_by(attempts.c.provider, attempts.c.day)
    return {(provider, day_): int(total) for provider, day_, total in db.execute(day)}
