"""Reads and guarded writes. The caller opens the transaction, commits, and then rings.

Every claim, every step's write and every piece of news adds one to `version`. A write that rests on what was read
compares it; only the holder's own write lets go of the hold; news never touches a hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from jobs.errors import UnknownJob
from jobs.machine.rows import (
    Attempt,
    AttemptOutcome,
    Case,
    Facts,
    Job,
    Letter,
    Move,
    Note,
    Outcome,
    Standing,
    with_times,
)
from jobs.machine.states import ENDED, State, next_state
from jobs.store import notices, spending, unknown_words
from jobs.store.tables import attempts, events, inbox, jobs

# On SQLite the clock is this machine's and may be set back. A row written "in the future" would sleep until then.
CLOCK_SET_BACK = timedelta(seconds=5)

OF_ONE_POST = frozenset({AttemptOutcome.NOT_SENT, AttemptOutcome.REFUSED})
WITHOUT_VIDEO = frozenset({AttemptOutcome.FAILED, AttemptOutcome.EXPIRED})

# Reading a case is what every step does most; a statement that is built once is not analysed again each time.
_NEW_JOB = sa.insert(jobs)
_IDS: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
_JOBS = sa.select(jobs).where(jobs.c.id.in_(_IDS))
_ATTEMPTS = sa.select(attempts).where(attempts.c.job_id.in_(_IDS)).order_by(attempts.c.number)
_LETTERS = (
    sa.select(inbox.c.job_id, *[inbox.c[name] for name in Letter.__dataclass_fields__])
    .where(inbox.c.job_id.in_(_IDS))
    .order_by(inbox.c.id)
)


@dataclass(frozen=True)
class Held:
    """Our hold on a job, and the case as it was when we took it."""

    case: Case
    holder: str

    @property
    def job(self) -> Job:
        return self.case.job


def read_case(db: Connection, job_id: str) -> Case:
    """A job with its attempts and letters. Raises UnknownJob."""
    found = read_cases(db, [job_id])
    if not found:
        raise UnknownJob(f"No job {job_id}.")
    return found[0]


def read_cases(db: Connection, job_ids: Sequence[str]) -> list[Case]:
    """The jobs of these ids that there are, in this order, with their attempts and letters."""
    cases = read_shown(db, job_ids)
    letters: dict[str, list[Letter]] = {case.job.id: [] for case in cases}
    for job_id, *values in db.execute(_LETTERS, {"ids": list(job_ids)}):
        if job_id in letters:  # the inbox also keeps those of jobs that are not here
            letters[job_id].append(Letter(*values))
    return [replace(case, letters=tuple(letters[case.job.id])) for case in cases]


def read_shown(db: Connection, job_ids: Sequence[str]) -> list[Case]:
    """As `read_cases`, for views: without the letters, which no view shows."""
    chosen = {"ids": list(job_ids)}
    rows = {row["id"]: row for row in db.execute(_JOBS, chosen).mappings()}
    tries: dict[str, dict[int, Attempt]] = {job_id: {} for job_id in rows}
    for row in db.execute(_ATTEMPTS, chosen).mappings():
        tries[row["job_id"]][row["number"]] = attempt_of(row)
    return [Case(_job(rows[job_id]), tries[job_id], ()) for job_id in job_ids if job_id in rows]


def read_held(db: Connection, held: Held) -> Held | None:
    """The case as it is now; None when the hold is no longer ours."""
    case = read_case(db, held.job.id)
    return Held(case, held.holder) if case.job.holder == held.holder else None


def is_due(job: Job, *, now: datetime) -> bool:
    """Whether the alarm has rung and nobody holds the job."""
    if job.alarm_at is None:
        return False
    if job.updated_at > now + CLOCK_SET_BACK:
        return True
    return job.alarm_at <= now and (job.held_until is None or job.held_until <= now)


def claim(
    db: Connection, case: Case, *, holder: str, hold_s: float, now: datetime, outcome: Outcome | None = None
) -> Held | None:
    """Take the hold of a job nobody holds, as it stands in `case`; None when somebody was faster.

    The alarm stays where it is: should we die, the job is due again once the hold has run out. With `outcome`, the
    moves of a first step are written in the same breath.
    """
    outcome = outcome or Outcome(alarm_at=case.job.alarm_at)
    if outcome.alarm_at is not None and outcome.alarm_at > now:
        # Due only because the clock was set back. Our write looks new, so whoever comes after us would wait for it.
        outcome = replace(outcome, alarm_at=now)
    hold = {"holder": holder, "held_until": now + timedelta(seconds=hold_s)}
    unheld = _unheld(now)
    if not _write(db, case, outcome, hold, now, unheld):
        return None
    return Held(read_case(db, case.job.id), holder)


def finish_step(db: Connection, held: Held, outcome: Outcome, *, now: datetime, keep_hold: bool = False) -> bool:
    """Write what the step came to, let go of our hold, set the next alarm. False: news came, or the hold is lost."""
    hold = {} if keep_hold else {"holder": None, "held_until": None}
    return _write(db, held.case, outcome, hold, now, jobs.c.holder == held.holder)


def move_unheld(db: Connection, case: Case, outcome: Outcome, *, now: datetime) -> bool:
    """A write that needs no hold, because nothing outside the database is touched. False: the row has moved."""
    unheld = _unheld(now)
    return _write(db, case, outcome, {"holder": None, "held_until": None}, now, unheld)


def write_wish(db: Connection, case: Case, outcome: Outcome, *, now: datetime) -> bool:
    """What a client wishes of its job, as it stands in `case`. Leaves the hold alone. False: the row has moved."""
    return _write(db, case, outcome, {}, now, sa.true())


def push_hold(db: Connection, held: Held, *, hold_s: float, now: datetime) -> bool:
    """Keep a hold that is ours. Leaves `version`: it is no news. False: it is no longer ours, stop."""
    statement = sa.update(jobs).where(jobs.c.id == held.job.id, jobs.c.holder == held.holder)
    return db.execute(statement.values(held_until=now + timedelta(seconds=hold_s))).rowcount == 1


def bring_news(db: Connection, job_id: str, *, now: datetime) -> bool:
    """Alarm to now, version + 1, where the alarm is not NULL. Never touches the hold. False: nobody to tell."""
    statement = sa.update(jobs).where(jobs.c.id == job_id, jobs.c.alarm_at.is_not(None))
    return db.execute(statement.values(alarm_at=now, updated_at=now, version=jobs.c.version + 1)).rowcount == 1


def bring_facts(db: Connection, job_id: str, facts: Facts, *, now: datetime) -> None:
    """Write what was learnt without a hold on the attempts' rows, and bring it as news.

    A closed attempt keeps its last word, with three exceptions: a task id that it does not have yet opens it again
    (there is somebody to ask now), a finished video outweighs a failure, and one that a slow PUT has stored after all
    is there to be found.
    """
    # What is written here rests on what is read here, and no version guards it.
    db.execute(sa.select(jobs.c.id).where(jobs.c.id == job_id).with_for_update())
    case = read_case(db, job_id)
    facts = settle_task_ids(db, case, facts, now=now)
    notes = list(facts.notes)
    for number, changes in facts.attempts.items():
        attempt, task_id = case.attempts[number], changes.get("task_id")
        if attempt.is_open:
            # "Not sent" and "refused" are said of one POST; another may have gone out since, under the same key.
            unsaid = changes.get("outcome") in OF_ONE_POST and (attempt.sends > 1 or attempt.task_id)
            if not unsaid:
                _change_attempt(db, job_id, number, changes, now)
        elif task_id and task_id != attempt.task_id:
            notes.append(Note("late_answer", number, {"task_id": task_id}))
            if attempt.outcome is AttemptOutcome.DELIVERED:
                db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(flagged="foreign_task"))
                continue
            again = {"outcome": AttemptOutcome.OPEN, "standing": Standing.HELD, "closed_at": None, "adopted": False}
            _change_attempt(db, job_id, number, {**changes, **again}, now)
            _wake_ended(db, job_id, now)
        elif changes.get("outcome") is AttemptOutcome.FINISHED and attempt.outcome in WITHOUT_VIDEO:
            _change_attempt(db, job_id, number, changes, now)
            _wake_ended(db, job_id, now)
        elif changes.get("outcome") is AttemptOutcome.DELIVERED and attempt.outcome is AttemptOutcome.UNDELIVERED:
            _change_attempt(db, job_id, number, {"outcome": AttemptOutcome.FINISHED}, now)
            _wake_ended(db, job_id, now)
    _note(db, job_id, notes, now)
    bring_news(db, job_id, now=now)


def postpone(
    db: Connection,
    job: Job,
    *,
    until: datetime,
    now: datetime,
    flagged: str | None = None,
    waiting: Mapping[str, Any] | None = None,
) -> bool:
    """Move the alarm of a job that nobody holds and that has not moved since `job` was read.

    `waiting` says why ({provider, code, reason}); history has a line where that is another reason than before.
    """
    unheld = _unheld(now)
    statement = sa.update(jobs).where(jobs.c.id == job.id, jobs.c.version == job.version, unheld)
    values: dict[str, Any] = {"alarm_at": until, "updated_at": now, "version": job.version + 1}
    values |= {"flagged": flagged or job.flagged, "waiting": waiting}
    if db.execute(statement.values(**values)).rowcount != 1:
        return False
    before = job.waiting or {}
    if waiting and (waiting["provider"], waiting["code"]) != (before.get("provider"), before.get("code")):
        _note(db, job.id, [Note("waiting", job.attempt, waiting)], now)
    return True


def mark_sending(db: Connection, held: Held, number: int, *, hold_s: float, now: datetime) -> bool:
    """Say that a byte may leave from here on.

    False: nothing may be sent, as the hold is no longer ours or the client wishes to cancel.

    Raises `version`: whoever has read that nothing was sent must read again.
    """
    mine = sa.and_(jobs.c.id == held.job.id, jobs.c.holder == held.holder, jobs.c.held_until > now)
    ours = sa.update(jobs).where(mine, jobs.c.cancel_requested_at.is_(None))
    pushed = {"held_until": now + timedelta(seconds=hold_s), "version": jobs.c.version + 1, "updated_at": now}
    if not db.execute(ours.values(**pushed)).rowcount:
        return False
    row = sa.update(attempts).where(attempts.c.job_id == held.job.id, attempts.c.number == number)
    return db.execute(row.values(sending_at=now, sends=attempts.c.sends + 1)).rowcount == 1


def settle_task_ids(db: Connection, case: Case, facts: Facts, *, now: datetime) -> Facts:
    """No task id is borne twice: the answer to our own POST beats an adoption, and a bearer beats a guess."""
    settled = dict(facts.attempts)
    notes = list(facts.notes)
    for number, changes in facts.attempts.items():
        task_id = changes.get("task_id")
        bearer = _bearer_of(db, case.attempts[number], task_id) if task_id else None
        if task_id is None or bearer is None:
            continue
        if bearer.adopted and not changes.get("adopted"):
            _take_back(db, bearer, task_id, now=now)
            continue
        rejected = [*case.attempts[number].rejected_task_ids, task_id]
        settled[number] = {"rejected_task_ids": rejected, "lost_at": case.attempts[number].lost_at or now}
        notes.append(Note("task_id_taken", number, {"task_id": task_id, "by": bearer.job_id}))
    return replace(facts, attempts=settled, notes=tuple(notes))


def add_job(db: Connection, values: Mapping[str, Any]) -> Case:
    """A new job, of which nothing else is known yet. Columns that are left out are NULL."""
    row = {**dict.fromkeys(Job.__dataclass_fields__), **values}
    db.execute(_NEW_JOB, row)
    return Case(Job(**row), {}, ())


def add_attempt(db: Connection, values: Mapping[str, Any]) -> None:
    """A new attempt, or the same one once more when it was provably not sent."""
    row = sa.and_(attempts.c.job_id == values["job_id"], attempts.c.number == values["number"])
    if not db.execute(sa.update(attempts).where(row).values(**values)).rowcount:
        db.execute(sa.insert(attempts).values(**values))


def history(db: Connection, job_id: str) -> list[RowMapping]:
    """Every line of a job's history, oldest first."""
    return list(db.execute(sa.select(events).where(events.c.job_id == job_id).order_by(events.c.id)).mappings())


def _write(
    db: Connection, case: Case, outcome: Outcome, hold: Mapping[str, Any], now: datetime, guard: sa.ColumnElement[bool]
) -> bool:
    """The one place that writes a job's state: guarded by version, with its history, facts and notices."""
    job, facts = case.job, outcome.facts
    state = job.state
    lines: list[dict[str, Any]] = []
    for move in outcome.moves:
        target = next_state(state, move.event)
        lines.append(_line(job.id, move, now, state, target))
        state = target
    values: dict[str, Any] = {**outcome.job, **hold, "alarm_at": outcome.alarm_at, "updated_at": now}
    values |= {"state": state, "version": job.version + 1}
    if facts.progress is not None:
        values["progress"] = facts.progress
    if outcome.moves:
        values["waiting"] = None
    if (state in ENDED) != (job.state in ENDED):
        values["ended_at"] = now if state in ENDED else None
    told = notices.due_for(job, state, overdue=values.get("overdue", job.overdue))
    if told:
        values["notices"] = job.notices + len(told)
    if not db.execute(
        sa.update(jobs).where(jobs.c.id == job.id, jobs.c.version == job.version, guard).values(**values)
    ).rowcount:
        return False
    for number, changes in facts.attempts.items():
        _change_attempt(db, job.id, number, changes, now)
    if facts.read:
        db.execute(sa.update(inbox).where(inbox.c.id.in_(facts.read)).values(read_at=now))
    _note(db, job.id, facts.notes, now)
    if lines:
        db.execute(sa.insert(events), lines)
    if told:
        notices.write(db, read_case(db, job.id), told, now=now)
    return True


def _bearer_of(db: Connection, attempt: Attempt, task_id: str) -> Attempt | None:
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


def _take_back(db: Connection, adopter: Attempt, task_id: str, *, now: datetime) -> None:
    """An adopted task id turns out to be the answer to another attempt's submit: its adopter gives it up.

    Its job hears of it as news and is unconfirmed again at its next step; one that is archived already needs a person.
    """
    given_up = {
        "task_id": None,
        "adopted": False,
        "rejected_task_ids": [*adopter.rejected_task_ids, task_id],
        "outcome": AttemptOutcome.OPEN,
        "standing": Standing.UNCERTAIN,
        "accepted_at": None,
        "finished_at": None,
        "link": None,
        "closed_at": None,
    }
    _change_attempt(db, adopter.job_id, adopter.number, given_up, now)
    _note(db, adopter.job_id, [Note("task_given_back", adopter.number, {"task_id": task_id})], now)
    settled = sa.and_(jobs.c.id == adopter.job_id, jobs.c.state == State.ARCHIVED)
    db.execute(sa.update(jobs).where(settled).values(flagged="foreign_task"))
    _wake_ended(db, adopter.job_id, now)
    bring_news(db, adopter.job_id, now=now)


def _unheld(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(jobs.c.holder.is_(None), jobs.c.held_until <= now, jobs.c.updated_at > now + CLOCK_SET_BACK)


def _wake_ended(db: Connection, job_id: str, now: datetime) -> None:
    """An ended job that was settled has something to look at again."""
    db.execute(sa.update(jobs).where(jobs.c.id == job_id, jobs.c.alarm_at.is_(None)).values(alarm_at=now))


def _change_attempt(db: Connection, job_id: str, number: int, changes: Mapping[str, Any], now: datetime) -> None:
    values = with_times(spending.settle(db, job_id, number, changes), now)
    if values:
        row = sa.and_(attempts.c.job_id == job_id, attempts.c.number == number)
        db.execute(sa.update(attempts).where(row).values(**values))


def _note(db: Connection, job_id: str, notes: Iterable[Note], now: datetime) -> None:
    notes = tuple(notes)
    if notes:
        db.execute(sa.insert(events), [_line(job_id, note, now) for note in notes])
        unknown_words.count(db, notes, now=now)


def _line(
    job_id: str, said: Note | Move, now: datetime, before: State | None = None, after: State | None = None
) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "at": now,
        "event": str(said.event),
        "attempt": said.attempt,
        "from_state": before,
        "to_state": after,
        "detail": dict(said.detail),
    }


def _job(row: RowMapping) -> Job:
    return Job(**{**row, "state": State(row["state"])})


def attempt_of(row: RowMapping) -> Attempt:
    """An attempt's row as a value; further columns are left out."""
    values = {name: row[name] for name in Attempt.__dataclass_fields__}
    return Attempt(**{**values, "outcome": AttemptOutcome(row["outcome"]), "standing": Standing(row["standing"])})
