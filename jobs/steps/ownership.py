"""Whose a finished task is that only a callback has named: who else may have ordered it, and what its film shows.

An order that was told another order's task bears it, and nobody sees that until the owner is told of it as well. So its
film waits for the other orders whose answers were lost; the films themselves tell apart what was ordered differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Connection

from jobs.machine import schedule
from jobs.machine.callbacks import Hearsay
from jobs.machine.case import Case
from jobs.machine.rows import KEPT_ASIDE, Attempt
from jobs.request.generation import Film, Generation
from jobs.steps.resources import Resources
from jobs.store import cases, contests, hearsay, leases
from jobs.store.leases import Lease


@dataclass(frozen=True)
class Doubt:
    """An order, those of other jobs that may have made its task, and other tasks that may be its own.

    Either the others were told of it by callbacks as well (`bearer.contested`), or nobody knows yet what they were
    told. `rivals`: task ids that callbacks told of this order as well, which the gateway knows, or was not asked about.
    """

    bearer: Attempt
    others: tuple[Attempt, ...] = ()
    rivals: tuple[str, ...] = ()


class Undecided(Exception):
    """Since a step has looked, callbacks have told of another owner of the task, or of another task of the order."""


def doubt(case: Case, resources: Resources) -> Doubt | None:
    """None: nobody else may have ordered the task of the current order, or the time to say so is over."""
    bearer = case.current
    assert bearer is not None
    if not (bearer.contested or bearer.is_by_hearsay):
        return None
    with resources.database.read() as db:
        now = resources.database.clock(db)
        others = contests.claimants(db, bearer) if bearer.contested else []
        if not bearer.contested and schedule.held_until(bearer, now, resources.settings) is not None:
            others = contests.may_be_of(db, bearer)
    rivals = tuple(each.task_id for each in _rivals(case, bearer, now, resources))
    return Doubt(bearer, tuple(others), rivals) if bearer.contested or others or rivals else None


def asks(case: Case, resources: Resources, now: datetime) -> bool:
    """Whether a film that is kept aside may be decided by asking about the order's other tasks, of which one is due."""
    bearer = case.current
    if bearer is None or bearer.last_word != KEPT_ASIDE:
        return False
    return any(each.ask_at <= now for each in _rivals(case, bearer, now, resources))


def end_contests(case: Case, resources: Resources) -> None:
    """End the contests about the tasks of a case to which nobody lays claim any more.

    Such an order has a task of its own since, can have none any more as its life is over, or was pruned.
    """
    for bearer in [each for each in case.attempts.values() if each.contested]:
        with resources.database.write() as db:
            now = resources.database.clock(db)
            leases.lock_row(db, bearer.job_id)
            found = cases.read_case(db, bearer.job_id).attempts[bearer.number]
            same = found.contested and found.task_id == bearer.task_id
            if same and all(_is_over(each, now, resources) for each in contests.claimants(db, found)):
                contests.lapse(db, found, now=now)


def require_decided(db: Connection, lease: Lease, resources: Resources) -> None:
    """Raises Undecided where the task that is about to be archived is contested by now."""
    case, bearer = cases.read_case(db, lease.job.id), lease.case.current
    now = resources.database.clock(db)
    found = bearer and case.attempts.get(bearer.number)
    if found is None or found.task_id != (bearer and bearer.task_id):
        raise Undecided("its task was given back")
    if found.contested or _rivals(case, found, now, resources):
        raise Undecided("another order, or another task of this one, was told of")


def _rivals(case: Case, bearer: Attempt, now: datetime, resources: Resources) -> list[Hearsay]:
    return schedule.rivals(case, bearer, now, resources.settings, resources.providers)


def _is_over(attempt: Attempt, now: datetime, resources: Resources) -> bool:
    """Whether no task that an order may have, nor its link, can exist any more."""
    return now >= schedule.heard_until(attempt, resources.settings, resources.providers)


def is_denied(film: Film, bearer: Attempt, resources: Resources) -> bool:
    """Whether the film contradicts what its order asked for, though callbacks alone have named its task."""
    if not bearer.is_by_hearsay:
        return False
    ordered = _ordered(bearer, resources)
    return ordered is not None and ordered.is_denied_by(film)


def reject(doubt: Doubt, resources: Resources) -> None:
    """The film is not what the order asked for, so the task is not its own; whoever else may have it asks about it."""
    bearer, task_id = doubt.bearer, doubt.bearer.task_id or ""
    with resources.database.write() as db:
        now = resources.database.clock(db)
        leases.lock_row(db, bearer.job_id)
        found = cases.read_case(db, bearer.job_id).attempts[bearer.number]
        if not found.is_by_hearsay or found.task_id != bearer.task_id:
            return  # somebody has decided meanwhile
        claimants = contests.claimants(db, found)
        contests.give_back(db, found, task_id, contests.NOT_ASKED_FOR, now=now)
        hearsay.ask_now(db, bearer.job_id, bearer.number, *doubt.rivals, now=now)
        for claimant in claimants:
            hearsay.ask_now(db, claimant.job_id, claimant.number, task_id, now=now)
            contests.wake(db, claimant.job_id, now)


def is_ours(film: Film, doubt: Doubt, resources: Resources) -> bool:
    """Whether the film shows that the bearer ordered it. Where two orders lay claim to it, it decides between them."""
    bearer = doubt.bearer
    fitting = [each for each in (bearer, *doubt.others) if _may_be_of(film, each, resources)]
    if not bearer.contested and bearer not in fitting:
        _tell(fitting, bearer, resources)
    is_sure = len(doubt.others) < contests.MOST and not doubt.rivals  # else one more may have asked for it
    decides = bearer.contested and len(fitting) == 1 and bool(doubt.others) and is_sure
    if not decides and is_denied(film, bearer, resources):
        reject(doubt, resources)
        return False
    if not bearer.contested:
        return fitting == [bearer] and is_sure
    if not decides:
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
    ordered = _ordered(attempt, resources)
    return ordered is None or ordered.may_be(film)


def _ordered(attempt: Attempt, resources: Resources) -> Generation | None:
    """What an order asked for; None: an earlier version took it in, and it cannot be read any more."""
    with resources.database.read() as db:
        return cases.read_case(db, attempt.job_id).job.ordered
