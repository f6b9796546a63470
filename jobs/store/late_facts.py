"""What was learnt without a lease, and to whom a task id belongs that two attempts claim."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.outcome import Facts, Note
from jobs.machine.rows import (
    Attempt,
    AttemptChanges,
    AttemptOutcome,
    Case,
    Standing,
    rejection,
)
from jobs.store import contests, hearsay
from jobs.store.attempt_rows import attempt_of, change_attempt
from jobs.store.cases import read_case
from jobs.store.history import write_notes
from jobs.store.leases import bring_news, lock_row
from jobs.store.tables import attempts, jobs

PROVEN: AttemptChanges = {"adopted": False, "contested": False}  # of a task that our own POST was answered with
LAST_WORDS = frozenset({AttemptOutcome.FINISHED, AttemptOutcome.FAILED})  # of a gateway, about a task
OF_ONE_POST = frozenset({AttemptOutcome.NOT_SENT, AttemptOutcome.REFUSED})


def bring_facts(db: Connection, job_id: str, facts: Facts, *, now: datetime) -> None:
    """Write what was learnt without a lease on the attempts' rows, and bring it as news.

    A closed attempt keeps its last word, with three exceptions: a task id that it does not have yet opens it again
    (there is somebody to ask now), a finished video outweighs a failure, and one that a slow PUT has stored after all
    is there to be found.
    """
    # What is written here rests on what is read here, and no version guards it.
    lock_row(db, job_id)
    case = read_case(db, job_id)
    facts = resolve_task_ids(db, case, facts, now=now)
    notes = list(facts.notes)
    for number, changes in facts.attempts.items():
        attempt, task_id = case.attempts[number], changes.get("task_id")
        if attempt.is_open:
            # "Not sent" and "refused" are said of one POST; another may have gone out since, under the same key.
            unsaid = changes.get("outcome") in OF_ONE_POST and (attempt.sends > 1 or attempt.task_id)
            if not unsaid:
                change_attempt(db, job_id, number, changes, now)
        elif task_id and task_id != attempt.task_id:
            notes.append(Note("late_answer", number, {"task_id": task_id}))
            if attempt.outcome is AttemptOutcome.DELIVERED:
                flagged = {"flagged": "foreign_task", "updated_at": now, "version": jobs.c.version + 1}
                db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(**flagged))
                continue
            again: AttemptChanges = {
                "outcome": AttemptOutcome.OPEN,
                "standing": Standing.HELD,
                "closed_at": None,
                "adopted": changes.get("adopted", False),
            }
            change_attempt(db, job_id, number, {**changes, **again}, now)
            contests.wake(db, job_id, now)
        elif task_id and attempt.adopted and not changes.get("adopted"):
            change_attempt(db, job_id, number, PROVEN, now)
            contests.wake(db, job_id, now)
        elif changes.get("outcome") is AttemptOutcome.FINISHED and attempt.is_without_video:
            change_attempt(db, job_id, number, changes, now)
            contests.wake(db, job_id, now)
        elif changes.get("outcome") is AttemptOutcome.DELIVERED and attempt.outcome is AttemptOutcome.UNDELIVERED:
            change_attempt(db, job_id, number, {"outcome": AttemptOutcome.FINISHED}, now)
            contests.wake(db, job_id, now)
    write_notes(db, job_id, notes, now)
    bring_news(db, job_id, now=now)


def resolve_task_ids(db: Connection, case: Case, facts: Facts, *, now: datetime) -> Facts:
    """No task id is borne twice: the answer to our own POST, or a person, beats hearsay, and what was proven a guess.

    Where both have it by hearsay neither is proven: the first one bears it, and a person decides (`contests`).
    """
    resolved = {n: changes for n, changes in facts.attempts.items() if not _is_of_a_task_given_up(case, n, changes)}
    notes, contested = list(facts.notes), set()
    found: dict[tuple[str, str, str], Attempt] = {}  # in this very round: an answer's task before one by hearsay
    for number, changes in sorted(facts.attempts.items(), key=lambda each: bool(each[1].get("adopted"))):
        task_id, attempt = changes.get("task_id"), case.attempts[number]
        if task_id is None:
            continue
        task = (attempt.provider, attempt.account, task_id)
        bearer = found.get(task) or bearer_of(db, attempt, task_id)
        is_proven = not changes.get("adopted") or (attempt.is_named and attempt.named_task_id == task_id)
        if bearer is not None and bearer.adopted and is_proven:
            contests.give_back(db, bearer, task_id, "it is the task of another order", now=now)
            if bearer.job_id == attempt.job_id:
                resolved.pop(bearer.number, None)
        elif bearer is not None and bearer.adopted and bearer.job_id != attempt.job_id:
            contests.begin(db, attempt, bearer, task_id, now=now)
            resolved[number] = _still_lost(attempt, changes, now)
            contested.add((number, task_id))
            notes = [note for note in notes if (note.event, note.attempt) != ("task_adopted", number)]
            notes.append(Note("task_contested", number, {"task_id": task_id, "by": bearer.job_id}))
            continue
        elif bearer is not None:
            reason = f"it is the task of another order, of {bearer.job_id}"
            resolved[number] = {**rejection(attempt, changes, task_id, reason), "lost_at": attempt.lost_at or now}
            notes.append(Note("task_id_taken", number, {"task_id": task_id, "by": bearer.job_id}))
            continue
        if not changes.get("adopted"):  # what a person names may yet turn out to be another order's
            resolved[number] = {**changes, **PROVEN}
        found[task] = replace(attempt, adopted=False)
        if is_proven:
            contests.withdraw(db, attempt, now=now)
        else:
            hearsay.contest(db, case.job.id, number, task_id, is_contested=False)
    for number in [n for n, said in resolved.items() if said.get("outcome") is AttemptOutcome.DELIVERED]:
        contests.withdraw(db, case.attempts[number], now=now)
    _claim_rivals(db, case, facts, resolved, now)
    if case.job.attempt in {number for number, _ in contested}:
        facts = replace(facts, progress=None)
    return replace(facts, attempts=resolved, notes=tuple(notes), contested=frozenset(contested))


def _claim_rivals(db: Connection, case: Case, facts: Facts, resolved: dict[int, AttemptChanges], now: datetime) -> None:
    """An order that has a task by hearsay was told of another one that its gateway knows, and which others may bear."""
    for number, task_id in [task for task, what in facts.inquired.items() if what.is_rival]:
        attempt = case.attempts[number]
        bearer = bearer_of(db, attempt, task_id)
        if bearer is not None and bearer.adopted and bearer.job_id != attempt.job_id:
            contests.begin(db, attempt, bearer, task_id, now=now)
        elif bearer is not None:
            said, reason = resolved.get(number, {}), f"it is the task of another order, of {bearer.job_id}"
            resolved[number] = {**said, **rejection(attempt, said, task_id, reason)}


def _is_of_a_task_given_up(case: Case, number: int, changes: AttemptChanges) -> bool:
    """Whether it is a last word about a task that its order has had to give up since it was asked about."""
    has_task = bool(changes.get("task_id") or case.attempts[number].task_id)
    return changes.get("outcome") in LAST_WORDS and not has_task


def _still_lost(attempt: Attempt, changes: AttemptChanges, now: datetime) -> AttemptChanges:
    """What is left of an adoption that is not to be: that its gateway has answered."""
    said: AttemptChanges = {"lost_at": attempt.lost_at or now, "answered_at": changes.get("answered_at")}
    return {**said, "unanswered_since": None}


def bearer_of(db: Connection, attempt: Attempt, task_id: str) -> Attempt | None:
    """The other attempt that bears this task id of the same account, if there is one."""
    found = db.execute(
        sa.select(attempts).where(
            attempts.c.provider == attempt.provider,
            attempts.c.account == attempt.account,
            attempts.c.task_id == task_id,
            sa.or_(attempts.c.job_id != attempt.job_id, attempts.c.number != attempt.number),
        )
    )
    row = found.mappings().one_or_none()
    return None if row is None else attempt_of(row)
