"""What all steps share: how one ends, and what happens to a doorbell that rang for another step's row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog
from sqlalchemy.exc import IntegrityError

from jobs.machine.case import Case
from jobs.machine.decisions import decide
from jobs.machine.outcome import About, Facts, Note, Outcome
from jobs.machine.states import State, next_state
from jobs.steps.resources import Resources
from jobs.store import cases, due, late_facts, leases, setting_aside
from jobs.store.cases import Found
from jobs.store.database import DatabaseUnavailable
from jobs.store.leases import Lease
from jobs.store.step_table import LOSE, SUBMIT, Step, wake

CONCLUDE_FOR_S = 30  # what was learnt is worth waiting for the database; an answer to a POST stands in the journal
FENCE = timedelta(hours=1)

log = structlog.get_logger()


class _Moved(Exception):
    """Seen only in the last write's own transaction, and undoes it: the row has moved since it was claimed."""


def conclude(lease: Lease, facts: Facts, resources: Resources, *, keep_for: State | None = None) -> Lease | None:
    """Write what a step has learnt, decide on the row as it stands now, let go of the lease, and ring.

    What was learnt under a lease that is lost by now is written all the same, and brought as news. What was learnt of a
    task that is not the order's any more is not, whoever has the lease. With `keep_for` the
    lease is kept if the job arrives in that state, and returned. Raises DatabaseUnavailable after half a minute.
    """
    facts = replace(facts, about={n: About.seen(lease.case.attempts.get(n)) for n in facts.attempts})
    tries, end = 0, resources.monotonic() + CONCLUDE_FOR_S
    # Whoever has sent an order has raised the version since, and what was told of tasks moves without it.
    as_claimed = facts.answer is None and not lease.case.is_told_more
    while True:
        try:
            written = _conclude_once(lease, facts, resources, keep_for, as_claimed=as_claimed)
        except (DatabaseUnavailable, IntegrityError):  # the second: another step wrote the same task id just now
            if not tries and facts.answer is not None:
                resources.journal.sync(facts.answer)
            as_claimed = False  # an order's money may move without the version
            tries += 1
            if resources.monotonic() >= end:
                raise
            resources.pause(min(2.0, 0.05 * 2**tries))
            continue
        except _Moved:
            as_claimed = False
            continue
        if written is not None:
            break
    if facts.answer is not None:
        resources.journal.drop(facts.answer)
    case, kept = written
    if kept:
        return Lease(case, lease.holder)
    resources.ring_for(case, notices=lease.job.notices)
    return None


@dataclass
class Work:
    """A step's turn at one row: what was read if it is due, our lease once it is claimed, and what the step learns."""

    found: Found | None
    lease: Lease | None = None
    facts: Facts = field(default_factory=Facts)
    kept: Lease | None = None  # the lease, if it outlives the turn


@contextmanager
def at_work(
    found: Found | None, resources: Resources, *, lease: Lease | None = None, keep_for: State | None = None
) -> Iterator[Work]:
    """One turn of a step, from the row as it was read to the write that ends it.

    Inside, the step claims by setting `lease`, and says in `facts` what it learns; the end of the block concludes.
    Should it raise under a lease, the lease is let go and the job waits; a begun submit is unconfirmed then.
    """
    work = Work(found, lease)
    try:
        yield work
        if work.lease is not None:
            work.kept = conclude(work.lease, work.facts, resources, keep_for=keep_for)
    except DatabaseUnavailable:  # the lease will run out by itself
        raise
    except Exception as e:
        if work.lease is None:
            raise
        log.exception("step_raised", job=work.lease.job.id)
        note = Note("step_raised", work.lease.job.attempt, {"error": type(e).__name__})
        conclude(work.lease, Facts(notes=(note,), trouble=True), resources)


def fence(job_id: str, resources: Resources) -> None:
    """A row that makes a step raise before anything is claimed is set aside for an hour, so that others go on."""
    with resources.database.write() as db:
        now = resources.database.clock(db)
        job = cases.read_case(db, job_id).job
        leases.postpone(db, job, until=now + FENCE, now=now, flagged="raises")


def _conclude_once(
    lease: Lease, facts: Facts, resources: Resources, keep_for: State | None, *, as_claimed: bool
) -> tuple[Case, bool] | None:
    """The case as written, and whether the lease is kept. None: decide again.

    `as_claimed`: on the row as it was claimed, which the write finds to be so by its version, or writes nothing.
    """
    with resources.database.write() as db:
        now = resources.database.clock(db)
        ours = lease if as_claimed else leases.reread(db, lease)
        if ours is None:
            log.info("lease_lost", job=lease.job.id)
            late_facts.bring_facts(db, lease.job.id, facts, now=now)
            setting_aside.lives(db, lease.job.id)
            return cases.read_case(db, lease.job.id), False
        resolved = late_facts.resolve_task_ids(db, ours.case, facts, now=now)
        outcome = decide(ours.case, resolved, now=now, rules=resources.rules)
        kept = keep_for is not None and end_state(ours.case, outcome) is keep_for
        written = leases.finish_step(db, ours, outcome, now=now, keep_lease=kept)
        if written is None and as_claimed:
            raise _Moved
        return None if written is None else (written, kept)


def end_state(case: Case, outcome: Outcome) -> State:
    """Where an outcome's moves take a case."""
    state = case.job.state
    for move in outcome.moves:
        state = next_state(state, move.event)
    return state


def due_case(job_id: str, step: Step, resources: Resources) -> Found | None:
    """The case, and the time, if this step is the one that its row asks for now.

    A doorbell for a row that is leased, or not due, is left: the holder rings when it has finished, and the sweep finds
    what is due. A row that is due for another step is rung for there. One whose holders have died too often is set
    aside.
    """
    with resources.database.read() as db:
        found = cases.find(db, resources.database, job_id)
    return if_due(found, step, resources)  # it may write, and ring: not with a connection in hand


def if_due(found: Found, step: Step, resources: Resources) -> Found | None:
    """As `due_case`, of what was read just now."""
    (case, now), job_id = found, found.case.job.id
    if not (due.may_start if step is SUBMIT else due.is_due)(case.job, now=now):
        return None
    wanted = wake(case.job.state, news=case.has_news)
    if wanted is not step:
        resources.ringer.ring(wanted.name, job_id)
        return None
    until = setting_aside.aside_until(case.job, now)
    if until is None or step is LOSE:  # that one touches nothing but the row, and says that an order is lost
        return found
    log.error("job_set_aside", job=job_id, holder=case.job.lease_holder, deaths=setting_aside.deaths(case.job))
    with resources.database.write() as db:
        setting_aside.set_aside(db, case.job, until, now)
    return None


def move_unleased(case: Case, facts: Facts, resources: Resources) -> None:
    """Decide and write a step that touches nothing but the database. If the row has moved, its mover rings."""
    with resources.database.write() as db:
        now = resources.database.clock(db)
        outcome = decide(case, facts, now=now, rules=resources.rules)
        written = leases.move_unleased(db, case, outcome, now=now)
    if written is not None:
        resources.ring_for(written, notices=case.job.notices)
