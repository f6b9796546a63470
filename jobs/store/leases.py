"""Guarded writes. The caller opens the transaction, commits, and then rings.

Every claim, every step's write and every piece of news adds one to `version`. A write that rests on what was read
compares it; only the holder's own write lets go of the lease; news never touches a lease.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.sql.dml import ReturningUpdate

from jobs import measures
from jobs.machine.case import Case
from jobs.machine.flags import HOLDER_DIED
from jobs.machine.outcome import Note, Outcome
from jobs.machine.rows import AttemptOutcome, Job
from jobs.machine.states import ENDED, State, next_state
from jobs.store import due, hearsay, notices, setting_aside, told
from jobs.store.attempt_rows import change_known
from jobs.store.cases import JOB_COLUMNS, job_of, read_case
from jobs.store.history import line, write_notes
from jobs.store.many import one_of
from jobs.store.prepared import at, of
from jobs.store.tables import attempts, inbox, jobs

_JOB = of(jobs.c.id)
_LOCK = sa.select(jobs.c.id).where(_JOB).with_for_update()
_WAKE = sa.update(jobs).where(_JOB, jobs.c.alarm_at.is_not(None)).values(version=jobs.c.version + 1)
_ANY = sa.update(jobs).where(_JOB)
_HELD = _ANY.where(of(jobs.c.lease_holder))
# What a write that rests on what was read compares: the version, and who has the lease.
_UNMOVED = _ANY.where(of(jobs.c.version))
_UNMOVED_HELD, _UNMOVED_UNLEASED = _UNMOVED.where(of(jobs.c.lease_holder)), _UNMOVED.where(due.UNLEASED)
_UNCANCELLED_HELD = _UNMOVED_HELD.where(jobs.c.leased_until > at("now"), jobs.c.cancel_requested_at.is_(None))
_MARK = (
    sa.update(attempts)
    .where(of(attempts.c.job_id, attempts.c.number), attempts.c.outcome == AttemptOutcome.OPEN.value)
    .values(sends=attempts.c.sends + 1)
)
_ALL_READ = sa.update(inbox).where(one_of(inbox.c.id, "of_ids"))


@dataclass(frozen=True)
class Lease:
    """Our lease of a job, and the case as it was when we took it."""

    case: Case
    holder: str

    @property
    def job(self) -> Job:
        return self.case.job


def lock_row(db: Connection, job_id: str) -> None:
    """Nobody else may change the job until the transaction ends."""
    db.execute(_LOCK, {"of_id": job_id})


def reread(db: Connection, lease: Lease) -> Lease | None:
    """The case as it is now; None when the lease is no longer ours."""
    case = read_case(db, lease.job.id)
    return Lease(case, lease.holder) if case.job.lease_holder == lease.holder else None


def claim(
    db: Connection, case: Case, *, holder: str, lease_s: float, now: datetime, outcome: Outcome | None = None
) -> Lease | None:
    """Take the lease of a job that nobody has one of, as it stands in `case`; None when somebody was faster.

    The alarm stays where it is: should we die, the job is due again once the lease has run out. With `outcome`, the
    moves of a first step are written in the same breath.
    """
    outcome = outcome or Outcome(alarm_at=case.job.alarm_at)
    if outcome.alarm_at is not None and outcome.alarm_at > now:
        # Due only because the clock was set back. Our write looks new, so whoever comes after us would wait for it.
        outcome = replace(outcome, alarm_at=now)
    taken = {"lease_holder": holder, "leased_until": now + timedelta(seconds=lease_s)}
    taken["holder_deaths"] = setting_aside.deaths(case.job)
    written = _write(db, case, outcome, taken, now, _UNMOVED_UNLEASED, due.unleased(now))
    return None if written is None else Lease(written, holder)


def finish_step(
    db: Connection, lease: Lease, outcome: Outcome, *, now: datetime, keep_lease: bool = False
) -> Case | None:
    """Write what the step came to, let go of our lease, set the next alarm; the case after it.

    None: news came, or the lease is lost.
    """
    taken = {} if keep_lease else {"lease_holder": None, "leased_until": None, **setting_aside.FORGOTTEN}
    if not keep_lease and lease.job.flagged == HOLDER_DIED and not outcome.moves:
        outcome = replace(outcome, job={"flagged": None, **outcome.job})
    return _write(db, lease.case, outcome, taken, now, _UNMOVED_HELD, {"of_lease_holder": lease.holder})


def move_unleased(db: Connection, case: Case, outcome: Outcome, *, now: datetime) -> Case | None:
    """A write that needs no lease, because nothing outside the database is touched; the case after it.

    None: the row has moved.
    """
    taken = {"lease_holder": None, "leased_until": None, "holder_deaths": setting_aside.deaths(case.job)}
    return _write(db, case, outcome, taken, now, _UNMOVED_UNLEASED, due.unleased(now))


def write_wish(db: Connection, case: Case, outcome: Outcome, *, now: datetime) -> Case | None:
    """What a client wishes of its job, as it stands in `case`; the case after it. Leaves the lease alone.

    None: the row has moved.
    """
    return _write(db, case, outcome, {}, now, _UNMOVED, {})


def renew_lease(db: Connection, lease: Lease, *, lease_s: float, now: datetime) -> bool:
    """Keep a lease that is ours. Leaves `version`: it is no news. False: it is no longer ours, stop."""
    ours = {"of_id": lease.job.id, "of_lease_holder": lease.holder}
    return db.execute(_HELD, {**ours, "leased_until": now + timedelta(seconds=lease_s)}).rowcount == 1


def ask_in_vain(db: Connection, lease: Lease, since: datetime | None, *, lease_s: float, now: datetime) -> None:
    """Keep a lease that is ours, and since when questions about orders that no row knows are not all answered."""
    if renew_lease(db, lease, lease_s=lease_s, now=now):
        db.execute(_ANY, {"of_id": lease.job.id, "strange_since": since})


def flag(db: Connection, job_id: str, *, flagged: str, instead_of: Collection[str], now: datetime) -> None:
    """Show a job to a person, unless it is shown for something else than these reasons. The version is raised."""
    is_free = sa.or_(jobs.c.flagged.is_(None), jobs.c.flagged.in_(sorted(instead_of)))
    values = {"flagged": flagged, "updated_at": now, "version": jobs.c.version + 1}
    db.execute(sa.update(jobs).where(jobs.c.id == job_id, is_free).values(**values))


def bring_news(db: Connection, job_id: str, *, now: datetime) -> bool:
    """Alarm to now, version + 1, where the alarm is not NULL. Never touches the lease. False: nobody to tell."""
    return db.execute(_WAKE, {"of_id": job_id, "alarm_at": now, "updated_at": now}).rowcount == 1


def postpone(
    db: Connection,
    job: Job,
    *,
    until: datetime,
    now: datetime,
    flagged: str | None = None,
    waiting: Mapping[str, Any] | None = None,
) -> Job | None:
    """Move the alarm of a job that nobody holds and that has not moved since `job` was read; the job after it.

    `waiting` says why ({provider, code, reason}); history has a line where that is another reason than before.
    """
    seen = {"of_id": job.id, "of_version": job.version, **due.unleased(now)}
    values: dict[str, Any] = {"alarm_at": until, "updated_at": now, "version": job.version + 1}
    values |= {"flagged": flagged or job.flagged, "waiting": waiting}
    if db.execute(_UNMOVED_UNLEASED, seen | values).rowcount != 1:
        return None
    before = job.waiting or {}
    if waiting and (waiting["provider"], waiting["code"]) != (before.get("provider"), before.get("code")):
        write_notes(db, job.id, [Note("waiting", job.attempt, waiting)], now)
    return replace(job, **values)


def mark_sending(db: Connection, lease: Lease, number: int, *, lease_s: float, now: datetime) -> bool:
    """Say that a byte may leave from here on.

    False: nothing may be sent, as the lease is no longer ours, the client wishes to cancel, news has come since the
    claim, which may show that an earlier order made the video, or somebody has said meanwhile what became of the order,
    such as a worker that slept before it sent anything.

    Raises `version`: whoever has read that nothing was sent must read again.
    """
    ours = {"of_id": lease.job.id, "of_version": lease.job.version, "of_lease_holder": lease.holder, "now": now}
    pushed = {"leased_until": now + timedelta(seconds=lease_s), "version": lease.job.version + 1, "updated_at": now}
    if not db.execute(_UNCANCELLED_HELD, ours | pushed).rowcount:
        return False
    return db.execute(_MARK, {"of_job_id": lease.job.id, "of_number": number, "sending_at": now}).rowcount == 1


def _write(
    db: Connection,
    case: Case,
    outcome: Outcome,
    lease: Mapping[str, Any],
    now: datetime,
    guarded: sa.Update,
    guard: Mapping[str, Any],
) -> Case | None:
    """The one place that writes a job's state: guarded by version, with its history, facts and notices.

    `guarded`: the statement, which compares the version; `guard`: what else it compares. The case after it, which is
    not read again, as the version has shown that all stood as it was read. None: something has moved.
    """
    job, facts = case.job, outcome.facts
    state = job.state
    lines: list[dict[str, Any]] = []
    for move in outcome.moves:
        target = next_state(state, move.event)
        lines.append(line(job.id, move, now, state, target))
        state = target
    values: dict[str, Any] = {**outcome.job, **lease, "alarm_at": outcome.alarm_at, "updated_at": now}
    values |= {"state": state, "version": job.version + 1}
    if facts.progress is not None:
        values["progress"] = facts.progress
    if outcome.moves:
        values.setdefault("waiting", None)
    if (state in ENDED) != (job.state in ENDED):
        values["ended_at"] = now if state in ENDED else None
    wanted = notices.due_for(job, state, overdue=values.get("overdue", job.overdue))
    if wanted:
        values["notices"] = job.notices + len(wanted)
    seen = {"of_id": job.id, "of_version": job.version, **guard}
    row = db.execute(_returning(guarded), seen | values).one_or_none()
    if row is None:
        return None
    attempts = dict(case.attempts)
    # In one order of gateways and days, so that two who correct the same days do not lock each other out.
    for number, changes in sorted(facts.attempts.items(), key=lambda x: _day_of(case, x[0])):
        attempts[number] = change_known(db, attempts[number], changes, now)
    if facts.read:
        db.execute(_ALL_READ, {"of_ids": facts.read, "read_at": now})
    hearsay.write(db, job.id, facts.inquired)
    if state in ENDED and job.state not in ENDED:
        told.observe(db, measures.JOB_S, (now - job.created_at).total_seconds(), state)
    if state is State.FAILED and job.state is not State.FAILED:
        told.count(db, measures.JOBS_FAILED, row.error_code or "", row.provider or "")
    providers = {number: attempt.provider for number, attempt in attempts.items()}
    write_notes(db, job.id, facts.notes, now, moves=lines, providers=providers)
    callbacks = tuple(replace(x, read_at=now) if x.id in facts.read else x for x in case.callbacks)
    written = Case(job_of(row), attempts, callbacks, case.hearsay)
    # What was told of tasks moves without the job's version: contests begin and end on it.
    if facts.inquired or written.is_told_more:
        written = read_case(db, job.id)
    if wanted:
        notices.write(db, written, wanted, now=now)
    return written


@cache
def _returning(guarded: sa.Update) -> ReturningUpdate[Any]:
    return guarded.returning(*JOB_COLUMNS)


def _day_of(case: Case, number: int) -> tuple[str, str]:
    attempt = case.attempts[number]
    return attempt.provider, attempt.day
