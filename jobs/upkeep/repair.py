"""What an audit may put right without guessing. Nothing here deletes or overwrites a video, or says where money is.

Each repair looks again under its own transaction, compares the version, and leaves a line in the job's history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.case import Case
from jobs.machine.changes import AttemptChanges
from jobs.machine.decisions import decide
from jobs.machine.outcome import Facts, Note, Outcome
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import ENDED, State
from jobs.steps import object_metadata, sidecar
from jobs.steps.object_metadata import BadMetadata
from jobs.steps.resources import Resources
from jobs.steps.sidecar import BadSidecar
from jobs.store import attempt_rows, cases, late_facts, leases, spending
from jobs.store.tables import attempts, events, jobs
from jobs.store.tables import spending as days
from jobs.upkeep.balance import Finding
from storage.bucket import StoredVideo
from storage.errors import BadVideo
from storage.keys import VIDEO, poster_key, sidecar_key
from storage.publication import POSTER_TYPE, SIDECAR_TYPE
from storage.spool import Spool

LARGEST_SIDECAR_BYTES = 4 << 20


class _NeedsPerson(Exception):
    """Nothing can be done without guessing; what was begun in the database is undone."""


def repair(finding: Finding, resources: Resources) -> str | None:
    """Put one finding right. What was done, for people; None: that needs a person."""
    act = _REPAIRS.get(finding.code)
    try:
        return None if act is None else act(finding, resources)
    except _NeedsPerson:
        return None


def _wake(finding: Finding, resources: Resources) -> str | None:
    """Set the alarm of a job that lost it."""
    with resources.database.write() as db:
        now = resources.database.clock(db)
        case = cases.read_case(db, str(finding.job_id))
        if case.job.alarm_at is not None or case.job.lease_holder is not None:
            return "somebody has taken it up meanwhile"
        woken = Outcome(alarm_at=now, facts=_said(case, finding))
        return "its alarm is set" if leases.move_unleased(db, case, woken, now=now) else None


def _count_again(finding: Finding, resources: Resources) -> str | None:
    """What a day's orders come to, under the lock that claims take."""
    provider, day = str(finding.provider), str(finding.day)
    with resources.database.write() as db:
        spending.open_day(db, provider, day)
        row = sa.and_(days.c.provider == provider, days.c.day == day)
        db.execute(sa.select(days.c.micro_usd).where(row).with_for_update())
        of_day = sa.and_(attempts.c.provider == provider, attempts.c.day == day)
        amount = sa.select(sa.func.coalesce(sa.func.sum(attempts.c.reserved_micro_usd), 0)).where(of_day)
        db.execute(sa.update(days).where(row).values(micro_usd=int(db.execute(amount).scalar_one())))
    return "it is counted again"


def _adopt(finding: Finding, resources: Resources) -> str | None:
    """Let a job take the video that stands at its key: the order that made it has finished."""
    stored = resources.bucket.head(str(finding.key))
    if stored is None:
        return None
    try:
        said = object_metadata.read(stored)
    except BadMetadata as e:
        raise _NeedsPerson from e
    task_id = said.task_id
    with resources.database.write() as db:
        now = resources.database.clock(db)
        case = cases.read_case(db, str(finding.job_id))
        number = object_metadata.bearer(case, said) or said.attempt
        if case.job.state is State.CANCELLED:
            raise _NeedsPerson
        known = case.attempts.get(number)
        if known is None or (known.is_forgotten and known.task_id is None):  # its gateway is a guess at best
            attempt = _attempt_of(stored, number, resources)
            row = {**attempt, "outcome": AttemptOutcome.OPEN, "reserved_micro_usd": 0, "task_id": None}
            attempt_rows.add_attempt(db, row, instead_of=known)
            spending.open_day(db, attempt["provider"], attempt["day"])
            case = cases.read_case(db, case.job.id)
        made = case.attempts[number]
        if made.task_id not in (None, task_id) or task_id in made.rejected_task_ids:
            raise _NeedsPerson  # made from a task that turned out to be another order's
        named: AttemptChanges = {"task_id": task_id, "adopted": True} if task_id and made.task_id is None else {}
        done: AttemptChanges = {"outcome": AttemptOutcome.FINISHED, "standing": Standing.CHARGED, **named}
        facts = late_facts.resolve_task_ids(db, case, Facts({number: done}, notes=_said(case, finding).notes), now=now)
        outcome = decide(case, facts, now=now, rules=resources.rules)
        if "outcome" not in facts.attempts[number] or not leases.move_unleased(db, case, outcome, now=now):
            raise _NeedsPerson
    return "it will be adopted"


def _attempt_of(stored: StoredVideo, number: int, resources: Resources) -> dict[str, Any]:
    """The row of an order that the database does not know, as the sidecar has it. Raises _NeedsPerson."""
    try:
        _, made = _rows(stored, resources)
    except BadSidecar as e:
        raise _NeedsPerson from e
    attempt = {attempt["number"]: attempt for attempt in made}[number]
    account = resources.settings.accounts.get(attempt["provider"])
    return {**attempt, "account": account.fingerprint if account else ""}


def _rebuild(finding: Finding, resources: Resources) -> str | None:
    """The rows of a job that the database does not know, from its video and sidecar."""
    stored = resources.bucket.head(str(finding.key)) if str(finding.key).endswith(VIDEO) else None
    if stored is None or stored.metadata.get("rushes-job") != finding.job_id:
        return None
    try:
        job, made = _rows(stored, resources)
    except BadSidecar:
        return None
    with resources.database.write() as db:
        if db.execute(sa.select(jobs.c.id).where(jobs.c.id == finding.job_id)).first():
            return "it has come back meanwhile"
        db.execute(sa.insert(jobs).values(**job))
        for attempt in made:
            db.execute(sa.insert(attempts).values(**attempt))
            spending.reserve(db, attempt["provider"], attempt["day"], attempt["reserved_micro_usd"], None)
        line = {"job_id": job["id"], "at": job["updated_at"], "event": "rebuilt", "attempt": job["attempt"]}
        db.execute(sa.insert(events).values(**line, to_state=State.ARCHIVED, detail={"key": stored.key}))
    return "its job is built again"


def _rows(stored: StoredVideo, resources: Resources) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Raises BadSidecar."""
    key = sidecar_key(stored.key)
    beside = resources.bucket.head(key)
    if beside is None or beside.bytes > LARGEST_SIDECAR_BYTES:
        raise BadSidecar("there is none, or it is too long")
    body = b"".join(resources.bucket.open(key))
    with resources.database.read() as db:
        now = resources.database.clock(db)
    return sidecar.rows(body, stored, bucket=resources.bucket.config.bucket, providers=resources.providers, now=now)


def _write_sidecar(finding: Finding, resources: Resources) -> str | None:
    def write(case: Case, stored: StoredVideo) -> None:
        body = sidecar.write(case, stored.metadata)
        resources.bucket.put_small(sidecar_key(stored.key), body, SIDECAR_TYPE)

    return _put_beside(finding, resources, write)


def _make_poster(finding: Finding, resources: Resources) -> str | None:
    def write(case: Case, stored: StoredVideo) -> None:
        spool = Spool(resources.spool_dir, expected=stored.bytes)
        try:
            for piece in resources.bucket.open(stored.key):
                spool.write(piece)
            _, poster = resources.prober.probe(spool.finish().file)
        finally:
            spool.close()
        resources.bucket.put_small(poster_key(stored.key), poster, POSTER_TYPE)

    return _put_beside(finding, resources, write)


def _put_beside(finding: Finding, resources: Resources, write: Callable[[Case, StoredVideo], None]) -> str | None:
    """Write what is missing beside an archived video that is there and the job's own."""
    with resources.database.read() as db:
        case = cases.read_case(db, str(finding.job_id))
    stored = resources.bucket.head(case.job.archive_key)
    if stored is None or stored.metadata.get("rushes-job") != case.job.id or case.job.state not in ENDED:
        return None
    try:
        write(case, stored)
    except BadVideo:
        return None
    with resources.database.write() as db:
        _leave_word(db, finding, resources)
    return "it is written again"


def _leave_word(db: Connection, finding: Finding, resources: Resources) -> None:
    case = cases.read_case(db, str(finding.job_id))
    same = Outcome(alarm_at=case.job.alarm_at, facts=_said(case, finding))
    leases.move_unleased(db, case, same, now=resources.database.clock(db))


def _said(case: Case, finding: Finding) -> Facts:
    return Facts(notes=(Note("repaired", case.job.attempt, {"finding": finding.code}),))


_REPAIRS: Mapping[str, Callable[[Finding, Resources], str | None]] = {
    "live_without_alarm": _wake,
    "open_attempt_without_alarm": _wake,
    "spending_mismatch": _count_again,
    "object_not_adopted": _adopt,
    "object_without_job": _rebuild,
    "missing_sidecar": _write_sidecar,
    "missing_poster": _make_poster,
}
