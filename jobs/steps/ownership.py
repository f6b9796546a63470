"""Whose a finished task is that only a callback has named: who else may have ordered it, and what its film shows.

An order that was told another order's task bears it, and nobody sees that until the owner is told of it as well. So its
film waits for the other orders whose answers were lost; the films themselves tell apart what was ordered differently.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.errors import BadRequest
from jobs.machine import schedule
from jobs.machine.rows import Attempt, Case
from jobs.request.generation import Film
from jobs.steps.resources import Resources
from jobs.store import cases, contests, hearsay, leases


@dataclass(frozen=True)
class Doubt:
    """An order, and those of other jobs that may have made its task.

    Either they were told of it by callbacks as well (`bearer.contested`), or nobody knows yet what they were told.
    """

    bearer: Attempt
    others: tuple[Attempt, ...]


def doubt(case: Case, resources: Resources) -> Doubt | None:
    """None: nobody else may have ordered the task of the current order, or the time to say so is over."""
    bearer = case.current
    assert bearer is not None
    with resources.database.read() as db:
        now = resources.database.clock(db)
        if bearer.contested:
            return Doubt(bearer, tuple(contests.claimants(db, bearer)))
        if schedule.held_until(bearer, now, resources.settings) is None:
            return None
        others = contests.may_be_of(db, bearer)
    return Doubt(bearer, tuple(others)) if others else None


def is_ours(film: Film, doubt: Doubt, resources: Resources) -> bool:
    """Whether the film shows that the bearer ordered it. Where two orders lay claim to it, it decides between them."""
    bearer = doubt.bearer
    if len(doubt.others) == contests.MOST:  # there may be more, and one of these may have asked for it
        return False
    fitting = [each for each in (bearer, *doubt.others) if _may_be_of(film, each, resources)]
    if not bearer.contested:
        if bearer not in fitting:
            _tell(fitting, bearer, resources)
        return fitting == [bearer]
    if len(fitting) != 1 or not doubt.others:
        return False
    with resources.database.write() as db:
        leases.lock_row(db, bearer.job_id)
        as_it_stands = cases.read_case(db, bearer.job_id).attempts[bearer.number]
        if (as_it_stands.contested, as_it_stands.task_id) != (True, bearer.task_id):
            return False  # somebody has decided meanwhile; the next look sees how
        contests.award(db, as_it_stands, fitting[0], now=resources.database.clock(db))
    return fitting == [bearer]


def _tell(owners: list[Attempt], bearer: Attempt, resources: Resources) -> None:
    """The film is not what the bearer asked for, and may be what these did: they ask about its task as well."""
    with resources.database.write() as db:
        now = resources.database.clock(db)
        for owner in owners:
            if hearsay.note(db, owner.job_id, owner.number, owner.provider, bearer.task_id or "", again=False, now=now):
                contests.wake(db, owner.job_id, now)


def _may_be_of(film: Film, attempt: Attempt, resources: Resources) -> bool:
    with resources.database.read() as db:
        job = cases.read_case(db, attempt.job_id).job
    try:
        return job.wanted.generation.may_be(film)
    except BadRequest:  # an earlier version took it in
        return True
