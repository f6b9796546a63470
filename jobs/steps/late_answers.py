"""Answers to POSTs that the database could not take when they came, brought as late news of their orders."""

from __future__ import annotations

import json
from datetime import datetime

import structlog
from sqlalchemy.engine import Connection

from jobs.errors import UnknownJob
from jobs.machine.outcome import Facts, PostAnswer
from jobs.machine.rows import Attempt, AttemptChanges, Case
from jobs.steps.resources import Resources
from jobs.store import callbacks, cases, late_facts
from jobs.store.callbacks import Callback
from jobs.store.database import DatabaseUnavailable
from jobs.store.journal import told

WRITERS_TIME_S = 5  # in which whoever was answered usually has written it himself; to bring it twice does no harm

log = structlog.get_logger()


def bring(resources: Resources) -> int:
    """Bring what the journal holds, as far as the database answers; how many."""
    brought = 0
    for answer in resources.journal.left(older_than_s=WRITERS_TIME_S):
        try:
            with resources.database.write() as db:
                _bring(db, answer, resources, now=resources.database.clock(db))
        except DatabaseUnavailable:
            break
        except Exception:  # it stays, and is tried again; the others are brought
            log.exception("answer_not_brought", **told(answer))
            continue
        resources.journal.drop(answer)
        brought += 1
    return brought


def _bring(db: Connection, answer: PostAnswer, resources: Resources, *, now: datetime) -> None:
    try:
        case = cases.read_case(db, answer.job_id)
    except UnknownJob:
        case = None
    attempt = _attempt(case, answer)
    if attempt is None:
        _keep_for_unknown_order(db, answer, resources, now=now)
        return
    log.info("late_answer", **told(answer))
    task_id = answer.said.get("task_id")
    if task_id is None and _may_be_taken(attempt, answer):
        return
    if task_id is not None and task_id == attempt.task_id and not attempt.adopted:
        return
    said: AttemptChanges = answer.said
    if task_id is not None:  # whoever else told of it, this proves it
        said = {**said, "accepted_at": answer.left_at, "adopted": False}
    late_facts.bring_facts(db, answer.job_id, Facts({answer.attempt: said}), now=now)


def _may_be_taken(attempt: Attempt, answer: PostAnswer) -> bool:
    """Whether the order may have been taken although this POST of it was not.

    A later POST may have been; and of an order that a backup has forgotten nobody knows what followed it.
    """
    is_known = not attempt.is_forgotten and attempt.is_open and attempt.task_id is None
    return not is_known or attempt.sends != answer.send


def _attempt(case: Case | None, answer: PostAnswer) -> Attempt | None:
    """The order that was answered; not one that bears its number since a backup was put back."""
    attempt = case.attempts.get(answer.attempt) if case else None
    if attempt is None or (attempt.provider, attempt.account) != (answer.provider, answer.account):
        return None
    return attempt if attempt.created_at <= answer.left_at else None


def _keep_for_unknown_order(db: Connection, answer: PostAnswer, resources: Resources, *, now: datetime) -> None:
    """A backup that was put back has forgotten the order: told as a callback would have been, its task is asked about.

    Where the job itself is not known, it stands in the list of what needs a person.
    """
    log.warning("answer_to_unknown_order", **told(answer))
    task_id = answer.said.get("task_id")
    if task_id is None:
        return
    body = json.dumps({"task_id": task_id, "said_by": "the answer to our POST, from the journal"}).encode()
    callback = Callback(
        answer.provider, answer.job_id, answer.attempt, body, {}, readable=True, task_id=task_id, status=200
    )
    callbacks.keep(db, callback, resources.settings, resources.providers, now=now)
