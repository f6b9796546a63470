"""Answers to POSTs that the database could not take when they came, brought as late news of their orders."""

from __future__ import annotations

import json
from datetime import datetime

import structlog
from sqlalchemy.engine import Connection

from jobs.errors import UnknownJob
from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges
from jobs.machine.outcome import ANSWERED, Facts, Note, PostAnswer
from jobs.machine.rows import Attempt, Origin, Standing
from jobs.steps import forgotten_attempts
from jobs.steps.resources import Resources
from jobs.store import attempt_rows, cases, contests, hearsay, keeping, late_facts, leases, spending
from jobs.store.database import DatabaseUnavailable
from jobs.store.journal import told
from jobs.store.keeping import Callback

WRITERS_TIME_S = 5  # in which whoever was answered usually has written it himself; to bring it twice does no harm

log = structlog.get_logger()


def bring(resources: Resources) -> int:
    """Bring what the journal holds, as far as the database answers; how many."""
    brought = 0
    for answer in resources.journal.left(older_than_s=WRITERS_TIME_S):
        try:
            with resources.database.write() as db:
                is_kept = _bring(db, answer, resources, now=resources.database.clock(db))
        except DatabaseUnavailable:
            break
        except Exception:  # it stays, and is tried again; the others are brought
            log.exception("answer_not_brought", **told(answer))
            continue
        if is_kept:
            resources.journal.drop(answer)
            brought += 1
    return brought


def bring_of(job_id: str, resources: Resources) -> None:
    """The same of one job, before it is ordered: what its orders came to may stand here alone.

    Raises DatabaseUnavailable.
    """
    for answer in resources.journal.left(older_than_s=0):
        if answer.job_id == job_id:
            with resources.database.write() as db:
                is_kept = _bring(db, answer, resources, now=resources.database.clock(db))
            if is_kept:
                resources.journal.drop(answer)


def _bring(db: Connection, answer: PostAnswer, resources: Resources, *, now: datetime) -> bool:
    """False: it is kept nowhere yet, and has to stay."""
    leases.lock_row(db, answer.job_id)  # what is written here rests on the case
    try:
        case = cases.read_case(db, answer.job_id)
    except UnknownJob:
        return _keep_for_unknown_job(db, answer, resources, now=now)
    task_id = answer.said.get("task_id")
    attempt = _attempt(case, answer)
    if attempt is None and task_id is not None:
        attempt = _forgotten(db, case, answer, task_id, resources, now=now)
    log.info("late_answer", **told(answer))
    if attempt is None or (task_id is None and _may_be_taken(attempt, answer)):
        return True
    if task_id is not None and task_id == attempt.task_id and not attempt.adopted:
        return True
    said: AttemptChanges = answer.said
    if task_id is not None:  # whoever else told of it, this proves it
        said = {**said, "accepted_at": answer.left_at, "adopted": False}
        if attempt.is_forgotten:
            said = {**said, "standing": Standing.HELD}
    notes = () if answer.told is None else (Note(ANSWERED, attempt.number, answer.told),)
    late_facts.bring_facts(db, answer.job_id, Facts({attempt.number: said}, notes=notes), now=now)
    if attempt.is_forgotten:
        contests.wake(db, answer.job_id, now)
    return True


def _may_be_taken(attempt: Attempt, answer: PostAnswer) -> bool:
    """Whether the order may have been taken although this POST of it was not.

    A later POST may have been; and of an order that a backup has forgotten nobody knows what followed it.
    """
    is_known = not attempt.is_forgotten and attempt.is_open and attempt.task_id is None
    return not is_known or attempt.sends != answer.send


def _attempt(case: Case, answer: PostAnswer) -> Attempt | None:
    """The order that was answered; not one that bears its number since commits were lost."""
    attempt = case.attempts.get(answer.attempt)
    if attempt is None or (attempt.provider, attempt.account) != (answer.provider, answer.account):
        return None
    return attempt if attempt.created_at <= answer.left_at else None


def _forgotten(
    db: Connection, case: Case, answer: PostAnswer, task_id: str, resources: Resources, *, now: datetime
) -> Attempt:
    """The order that was answered, of which the database has lost all, or guesses where it went: with its row.

    Nobody else's word is needed for it: the entry is our own, and names gateway, key and task. Where another order
    bears its number by now, it has the next one.
    """
    log.warning("answer_to_unknown_order", **told(answer))
    borne = (a for a in case.attempts.values() if (a.provider, a.task_id) == (answer.provider, task_id))
    if (bearer := next(borne, None)) is not None:  # by a callback, or brought before
        return bearer
    at_number = case.attempts.get(answer.attempt)
    where = {"provider": answer.provider, "account": answer.account, "base_url": _base_url(answer, resources)}
    is_guessed = at_number is not None and at_number.is_forgotten and at_number.task_id is None
    number = answer.attempt if at_number is None or is_guessed else max(case.attempts) + 1
    row = forgotten_attempts.forgotten_row(
        case, number, answer.provider, Origin.FORGOTTEN, resources, since=answer.left_at, now=now
    )
    row |= {**where, "lost_at": None}
    if at_number is not None and is_guessed:
        attempt_rows.correct_guess(db, at_number, row, now)
    else:
        attempt_rows.add_attempt(db, row)
        spending.open_day(db, row["provider"], row["day"])
    return cases.read_case(db, answer.job_id).attempts[number]


def _base_url(answer: PostAnswer, resources: Resources) -> str:
    account = resources.settings.account_of(answer.provider, answer.account)
    known = account.base_url if account else resources.providers[answer.provider].base_url
    return answer.base_url or known


def _keep_for_unknown_job(db: Connection, answer: PostAnswer, resources: Resources, *, now: datetime) -> bool:
    """A backup that was put back has forgotten the job: kept as a callback, it stands among what needs a person.

    False: there is no room for it.
    """
    log.warning("answer_to_unknown_job", **told(answer))
    task_id = answer.said.get("task_id")
    if task_id is None:
        return True
    body = json.dumps({"task_id": task_id, "said_by": "the answer to our POST, from the journal"}).encode()
    callback = Callback(
        answer.provider, answer.job_id, answer.attempt, body, {}, readable=True, task_id=task_id, status=200
    )
    kept = keeping.keep(db, callback, resources.settings, resources.providers, now=now)
    return kept.kept or hearsay.is_kept(db, answer.job_id, answer.attempt, task_id)
