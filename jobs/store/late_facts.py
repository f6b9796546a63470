"""What was learnt without a lease, and to whom a task id belongs that two attempts claim."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges, JobChanges, forgotten_task, rejection
from jobs.machine.outcome import About, Facts, Note
from jobs.machine.rows import OF_ONE_POST, Attempt, AttemptOutcome, Standing
from jobs.store import contests, hearsay
from jobs.store.attempt_rows import attempt_of, change_attempt
from jobs.store.cases import read_case
from jobs.store.history import write_notes
from jobs.store.leases import bring_news, lock_row
from jobs.store.prepared import of
from jobs.store.tables import attempts, jobs

PROVEN: AttemptChanges = {"adopted": False, "contested": False}  # of a task that our own POST was answered with
OF_ORDER = frozenset({"rejected_task_ids", "named_refused", "polls"})  # what holds of an order whichever task it has
_BEARER = (
    sa.select(attempts)
    .where(of(attempts.c.provider, attempts.c.task_id), ~of(attempts.c.job_id, attempts.c.number))
    .order_by(attempts.c.adopted)
    .limit(1)
)


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
                row = sa.update(jobs).where(jobs.c.id == job_id)
                db.execute(row.values(flagged="foreign_task", updated_at=now, version=jobs.c.version + 1))
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
    facts = _without_other_tasks(case, facts)
    resolved, notes, contested, proven = dict(facts.attempts), list(facts.notes), set(), set()
    found: dict[tuple[str, str], Attempt] = {}  # in this very round: an answer's task before one by hearsay
    for number, changes in sorted(resolved.items(), key=lambda each: bool(each[1].get("adopted"))):
        task_id, attempt = changes.get("task_id"), case.attempts[number]
        if task_id is None:
            continue
        if _is_second(attempt, task_id):
            del resolved[number]
            notes.append(Note("late_answer", number, {"task_id": task_id}))
            db.execute(sa.update(jobs).where(jobs.c.id == attempt.job_id).values(flagged="unknown_attempt"))
            continue
        task = (attempt.provider, task_id)
        bearer = found.get(task) or bearer_of(db, attempt, task_id)
        if bearer is not None and _are_two(attempt, changes, bearer):
            bearer = None
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
        if task_id != attempt.task_id:
            resolved[number] = {**forgotten_task(attempt), **changes}
            if attempt.task_id is not None:
                notes.append(Note("task_replaced", number, {"task_id": attempt.task_id, "by": task_id}))
        if not changes.get("adopted"):  # what a person names may yet turn out to be another order's
            resolved[number] = {**resolved[number], **PROVEN}
        found[task] = replace(attempt, adopted=False)
        if is_proven:
            proven.add(number)
            _withdraw(db, case, number, now)
        else:
            hearsay.contest(db, case.job.id, number, task_id, is_contested=False)
            if claimants := contests.claimants(db, replace(attempt, task_id=task_id)):
                # Another order was told of it beside the task that it has, and asked about it before this one did.
                resolved[number] = {**resolved[number], "contested": True}
                notes.append(Note("task_contested", number, {"task_id": task_id, "by": claimants[0].job_id}))
    for number in [n for n, said in resolved.items() if said.get("outcome") is AttemptOutcome.DELIVERED]:
        _withdraw(db, case, number, now)
    rivals = [task for task, what in facts.inquired.items() if what.is_rival and task[0] not in proven]
    _claim_rivals(db, case, rivals, resolved, now)
    if case.job.attempt in {number for number, _ in contested}:
        facts = replace(facts, progress=None)
    return replace(facts, attempts=resolved, notes=tuple(notes), contested=frozenset(contested))


def _withdraw(db: Connection, case: Case, number: int, now: datetime) -> None:
    """As `contests.withdraw`; who was told of no task lays claim to none."""
    if any(heard.attempt == number for heard in case.hearsay):
        contests.withdraw(db, case.attempts[number], now=now)


def _claim_rivals(
    db: Connection, case: Case, rivals: list[tuple[int, str]], resolved: dict[int, AttemptChanges], now: datetime
) -> None:
    """Orders that have a task by hearsay were told of others that their gateway knows, and which others may bear."""
    for number, task_id in rivals:
        attempt = case.attempts[number]
        bearer = bearer_of(db, attempt, task_id)
        if bearer is not None and bearer.adopted and bearer.job_id != attempt.job_id:
            contests.begin(db, attempt, bearer, task_id, now=now)
        elif bearer is not None:
            said, reason = resolved.get(number, {}), f"it is the task of another order, of {bearer.job_id}"
            resolved[number] = {**said, **rejection(attempt, said, task_id, reason)}


def _without_other_tasks(case: Case, facts: Facts) -> Facts:
    """The facts, without what was learnt of a task that is not its order's any more: it may have another one by now.

    What was asked about is no less asked about, and callbacks of these orders stay unread, so that it is asked anew.
    """
    kept: dict[int, AttemptChanges] = {}
    notes, dropped = list(facts.notes), set()
    for number, changes in facts.attempts.items():
        attempt, about = case.attempts[number], facts.about.get(number)
        held = _of_the_order(attempt, about, changes)
        if about is not None and _is_of_another_task(attempt, about, changes):
            dropped.add(number)
            notes = [note for note in notes if (note.event, note.attempt) != ("task_adopted", number)]
            notes += _told_of_another(attempt, about, changes)
            still_said = OF_ORDER if _is_same_order(attempt, about) else frozenset()
            held = cast(AttemptChanges, {name: said for name, said in held.items() if name in still_said})
        if held:
            kept[number] = held
    if not dropped:
        return replace(facts, attempts=kept)
    unread = {callback.id for callback in case.callbacks if callback.attempt in dropped}
    is_stored = any(changes.get("outcome") is AttemptOutcome.DELIVERED for changes in kept.values())
    return replace(
        facts,
        attempts=kept,
        read=tuple(number for number in facts.read if number not in unread),
        notes=tuple(notes),
        progress=None if case.job.attempt in dropped else facts.progress,
        video=facts.video if is_stored else JobChanges(),
    )


def _is_of_another_task(attempt: Attempt, about: About, changes: AttemptChanges) -> bool:
    """Whether changes speak of another task than the one that the attempt has by now."""
    is_answer = changes.get("task_id") is not None and not changes.get("adopted")
    if is_answer or (about.task_id == attempt.task_id and _is_same_order(attempt, about)):
        return False
    # Of a task that was given back, an object under the job's key is a fact all the same: a person looks whose it is.
    return attempt.task_id is not None or changes.get("outcome") is not AttemptOutcome.DELIVERED


def _is_same_order(attempt: Attempt, about: About) -> bool:
    """Whether the number has not been given to another order since."""
    return about.order in (None, About.seen(attempt).order)


def _of_the_order(attempt: Attempt, about: About | None, changes: AttemptChanges) -> AttemptChanges:
    """Changes, with candidates rejected beside those that others have rejected since, and of what is named now."""
    held = changes.copy()
    if "rejected_task_ids" in held:
        proven = None if attempt.adopted else attempt.task_id
        rejected = dict.fromkeys([*attempt.rejected_task_ids, *held["rejected_task_ids"]])
        held["rejected_task_ids"] = [task_id for task_id in rejected if task_id != proven]
    if about is not None and about.named_task_id != attempt.named_task_id:
        held.pop("named_refused", None)
    return held


def _told_of_another(attempt: Attempt, about: About, changes: AttemptChanges) -> list[Note]:
    """What history keeps of a task that is not the order's: that it was found, or what became of it."""
    task_id, outcome = changes.get("task_id") or about.task_id, changes.get("outcome")
    if task_id in (None, attempt.task_id) or outcome is None:
        return []
    return [Note("told_of_another", attempt.number, {"task_id": task_id, "outcome": outcome.value})]


def _still_lost(attempt: Attempt, changes: AttemptChanges, now: datetime) -> AttemptChanges:
    """What is left of an adoption that is not to be: that its gateway has answered."""
    said: AttemptChanges = {"lost_at": attempt.lost_at or now, "answered_at": changes.get("answered_at")}
    return {**said, "unanswered_since": None}


def _is_second(attempt: Attempt, task_id: str) -> bool:
    """Whether another POST under an attempt's number was answered as well: both are paid for, and the row has one."""
    is_other = attempt.task_id not in (None, task_id) and not attempt.adopted
    return is_other and (attempt.is_open or attempt.outcome is AttemptOutcome.FINISHED)


def _are_two(attempt: Attempt, changes: AttemptChanges, bearer: Attempt) -> bool:
    """Whether POSTs under two keys were answered with one id: to each its own task, whatever a gateway calls them."""
    is_answer = not changes.get("adopted")
    return is_answer and not bearer.adopted and bearer.account != attempt.account


def bearer_of(db: Connection, attempt: Attempt, task_id: str) -> Attempt | None:
    """The other attempt that bears this task id at the same gateway, if there is one; one that is proven comes first.

    Under whichever key: no page says that a task is shown to none but the key that ordered it.
    """
    task = {"of_provider": attempt.provider, "of_task_id": task_id}
    found = db.execute(_BEARER, {**task, "of_job_id": attempt.job_id, "of_number": attempt.number})
    row = found.mappings().one_or_none()
    return None if row is None else attempt_of(row)
