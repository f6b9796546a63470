"""What all steps share: how one ends, and what happens to a doorbell that rang for another step's row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from sqlalchemy.exc import IntegrityError

from jobs.machine.decisions import decide
from jobs.machine.outcome import Facts, Note, Outcome
from jobs.machine.rows import Case
from jobs.machine.states import State, next_state, next_step
from jobs.steps.resources import Parts
from jobs.store import cases, due, late_facts, leases
from jobs.store.database import DatabaseUnavailable
from jobs.store.leases import Held

CONCLUDE_TRIES = 20  # what a gateway has answered is worth waiting for the database, for half a minute
FENCE = timedelta(hours=1)

log = structlog.get_logger()


def conclude(held: Held, facts: Facts, parts: Parts, *, keep_for: State | None = None) -> Held | None:
    """Write what a step has learnt, decide on the row as it stands now, let go of the hold, and ring.

    What was learnt under a hold that is lost by now is written all the same, and brought as news. With `keep_for` the
    hold is kept if the job arrives in that state, and returned. Raises DatabaseUnavailable after long trying.
    """
    tries = 0
    while True:
        try:
            written = _conclude_once(held, facts, parts, keep_for)
        except (DatabaseUnavailable, IntegrityError):  # the second: another step wrote the same task id just now
            tries += 1
            if tries == CONCLUDE_TRIES:
                raise
            parts.pause(min(2.0, 0.05 * 2**tries))
            continue
        if written is not None:
            break
    case, outcome, kept = written
    if kept:
        return Held(case, held.holder)
    ring_if_due(case, parts, outcome)
    return None


@contextmanager
def holding(held: Held, parts: Parts) -> Iterator[None]:
    """Work under a hold. Should it raise, the hold is let go and the job waits; a begun submit is unconfirmed."""
    try:
        yield
    except DatabaseUnavailable:  # the hold will run out by itself
        raise
    except Exception as e:
        log.exception("step_raised", job=held.job.id)
        note = Note("step_raised", held.job.attempt, {"error": type(e).__name__})
        conclude(held, Facts(notes=(note,), trouble=True), parts)


def fence(job_id: str, parts: Parts) -> None:
    """A row that makes a step raise before anything is claimed is set aside for an hour, so that others go on."""
    with parts.database.write() as db:
        now = parts.database.clock(db)
        job = cases.read_case(db, job_id).job
        leases.postpone(db, job, until=now + FENCE, now=now, flagged="raises")


def _conclude_once(
    held: Held, facts: Facts, parts: Parts, keep_for: State | None
) -> tuple[Case, Outcome | None, bool] | None:
    """The case as written, its outcome (None: the hold was lost), whether the hold is kept. None: decide again."""
    with parts.database.write() as db:
        now = parts.database.clock(db)
        ours = leases.read_held(db, held)
        if ours is None:
            log.info("hold_lost", job=held.job.id)
            late_facts.bring_facts(db, held.job.id, facts, now=now)
            return cases.read_case(db, held.job.id), None, False
        settled = late_facts.settle_task_ids(db, ours.case, facts, now=now)
        outcome = decide(ours.case, settled, now=now, rules=parts.rules)
        kept = keep_for is not None and end_state(ours.case, outcome) is keep_for
        if not leases.finish_step(db, ours, outcome, now=now, keep_hold=kept):
            return None
        return cases.read_case(db, held.job.id), outcome, kept


def end_state(case: Case, outcome: Outcome) -> State:
    """Where an outcome's moves take a case."""
    state = case.job.state
    for move in outcome.moves:
        state = next_state(state, move.event)
    return state


def ring_if_due(case: Case, parts: Parts, outcome: Outcome | None = None) -> None:
    """Ring for a row that a committed write has left due, and for the notices that it may have written."""
    if outcome is not None and case.job.notify_url and (outcome.moves or outcome.job.get("overdue")):
        parts.ringer.ring("webhooks.notify", case.job.id)
    with parts.database.read() as db:
        now = parts.database.clock(db)
    if due.is_due(case.job, now=now):
        parts.ringer.ring(next_step(case.job.state, unread=bool(case.unread)), case.job.id)


def due_case(job_id: str, step: str, parts: Parts) -> Case | None:
    """The case, if this step is the one that its row asks for now.

    A doorbell for a row that is held, or not due, is left: the holder rings when it has finished, and the sweep finds
    what is due. A row that is due for another step is rung for there.
    """
    with parts.database.read() as db:
        case = cases.read_case(db, job_id)
        now = parts.database.clock(db)
    if not due.is_due(case.job, now=now):
        return None
    wanted = next_step(case.job.state, unread=bool(case.unread))
    if wanted == step:
        return case
    parts.ringer.ring(wanted, job_id)
    return None


def move_unheld(case: Case, facts: Facts, parts: Parts) -> None:
    """Decide and write a step that touches nothing but the database. If the row has moved, its mover rings."""
    with parts.database.write() as db:
        now = parts.database.clock(db)
        outcome = decide(case, facts, now=now, rules=parts.rules)
        if not leases.move_unheld(db, case, outcome, now=now):
            return
        case = cases.read_case(db, case.job.id)
    ring_if_due(case, parts, outcome)
