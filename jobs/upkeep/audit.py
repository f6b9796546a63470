"""The audit: the account, every job's rows, and database against bucket both ways, a page at a time.

Rows first, then the bucket, so that a service at work balances: an object is there before its job is archived, and a
job before its objects are. What looks wrong is looked at again before it is told.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.machine.case import Case
from jobs.machine.rows import AttemptOutcome
from jobs.machine.states import State
from jobs.steps.resources import Resources
from jobs.store import cases, history
from jobs.store.tables import jobs
from jobs.upkeep import balance
from jobs.upkeep.balance import Balance, Finding
from storage.bucket import StoredVideo
from storage.keys import VIDEO, job_of, poster_key, sidecar_key

PAGE = 500
HEADS_AT_ONCE = 8
MOST_TOLD = 1000  # findings that are kept one by one; the others are counted

NOTHING_BESIDE = "no object stands beside the video"

Repair = Callable[[Finding], str | None]  # what was done; None: nothing can be done without guessing


def leave(finding: Finding) -> None:
    """Repair nothing."""


@dataclass
class Report:
    """What an audit has found. `unchecked`: videos that are in another bucket than this one."""

    balance: Balance
    jobs: int = 0
    objects: int = 0
    unchecked: int = 0
    findings: list[tuple[Finding, str | None]] = field(default_factory=list)  # with what was done about it
    counts: Counter[str] = field(default_factory=Counter)
    left: int = 0  # findings that nothing was done about

    @property
    def balances(self) -> bool:
        return self.left == 0


def audit(
    resources: Resources, *, deep: bool = False, repair: Repair = leave, say: Callable[[str], None] = lambda _: None
) -> Report:
    """Look at everything. Raises DatabaseUnavailable, BucketUnavailable. `say` hears how far it is."""
    with resources.database.snapshot() as db:
        counted, findings = balance.count(db)
    report = Report(counted)
    for finding in chain(findings, _rows(resources, report, deep, say), _objects(resources, report, say)):
        _take(report, finding, repair)
    return report


def _take(report: Report, finding: Finding, repair: Repair) -> None:
    done = repair(finding)
    report.counts[finding.code] += 1
    report.left += done is None
    if len(report.findings) < MOST_TOLD:
        report.findings.append((finding, done))


def _rows(resources: Resources, report: Report, deep: bool, say: Callable[[str], None]) -> Iterator[Finding]:
    """Every job's rows, and the objects of those that are archived."""
    folders = _Folders(resources)
    after = ""
    with ThreadPoolExecutor(HEADS_AT_ONCE) as pool:
        while True:
            with resources.database.snapshot() as db:
                page = sa.select(jobs.c.id).where(jobs.c.id > after).order_by(jobs.c.id).limit(PAGE)
                ids = list(db.execute(page).scalars())
                found, told = cases.read_cases(db, ids), last_states(db, ids)
            if not ids:
                return
            after = ids[-1]
            report.jobs += len(ids)
            for case in found:
                yield from balance.check(case, told.get(case.job.id))
            archived = [case for case in found if case.job.state is State.ARCHIVED]
            here = [case for case in archived if case.job.bucket == resources.bucket.config.bucket]
            report.unchecked += len(archived) - len(here)
            for faults in pool.map(lambda case: list(_video(case, resources, deep)), here):
                yield from faults
            for case in here:
                yield from _beside(case, folders)
            say(f"{report.jobs} of {report.balance.accepted} jobs")


def last_states(db: Connection, ids: list[str]) -> dict[str, str]:
    """The state that each job's history ends in."""
    moves = ((job_id, line) for job_id, lines in history.of_jobs(db, ids).items() for line in lines)
    return {job_id: line["to_state"] for job_id, line in moves if line["to_state"] is not None}


def _video(case: Case, resources: Resources, deep: bool) -> Iterator[Finding]:
    """An archived job's video: there, ours, whole."""
    job = case.job
    stored = resources.bucket.head_with_checksum(job.archive_key)

    def found(finding: str, detail: str) -> Finding:
        return Finding(finding, detail, job.id, job.archive_key)

    if stored is None:
        yield found("missing_object", "no object stands at its key")
        return
    if stored.metadata.get("rushes-job") != job.id:
        yield found("foreign_object", f"it bears {stored.metadata.get('rushes-job', 'no job')}")
        return
    if stored.bytes != job.bytes:
        yield found("wrong_size", f"{stored.bytes} bytes, {job.bytes} on the job")
        return
    sums = {stored.sha256, stored.metadata.get("rushes-sha256")} - {None}
    if deep:
        sums.add(_sha256(resources, job.archive_key))
    if wrong := sums - {job.sha256}:
        yield found("wrong_checksum", f"{', '.join(sorted(map(str, wrong)))}, {job.sha256} on the job")


def _sha256(resources: Resources, key: str) -> str:
    digest = hashlib.sha256()
    for piece in resources.bucket.open(key):
        digest.update(piece)
    return digest.hexdigest()


def _beside(case: Case, folders: _Folders) -> Iterator[Finding]:
    """An archived job's poster, unless no frame of it could be read, and sidecar."""
    poster, sidecar = poster_key(case.job.archive_key), sidecar_key(case.job.archive_key)
    if case.job.width is not None and not folders.holds(poster):
        yield Finding("missing_poster", NOTHING_BESIDE, case.job.id, poster)
    if not folders.holds(sidecar):
        yield Finding("missing_sidecar", NOTHING_BESIDE, case.job.id, sidecar)


class _Folders:
    """Which objects stand in a folder. Jobs come in the order of their days, so the last few folders are enough."""

    def __init__(self, resources: Resources) -> None:
        self._bucket = resources.bucket
        self._known: dict[str, set[str]] = {}

    def holds(self, key: str) -> bool:
        folder = key.rpartition("/")[0] + "/"
        if folder not in self._known:
            if len(self._known) > 1:
                del self._known[next(iter(self._known))]
            self._known[folder] = {item.key for item in self._bucket.listing(folder)}
        return key in self._known[folder] or self._bucket.head(key) is not None


def _objects(resources: Resources, report: Report, say: Callable[[str], None]) -> Iterator[Finding]:
    """Every object of the bucket, and whether its job knows of it."""
    prefix = resources.bucket.config.prefix
    listed = resources.bucket.listing(f"{prefix}videos/")
    while page := list(islice(listed, PAGE)):
        ours = {item.key: job_id for item in page if (job_id := job_of(prefix, item.key)) is not None}
        report.objects += len(ours)
        with resources.database.read() as db:
            found = jobs.c.id.in_(set(ours.values()))
            states = {row.id: row.state for row in db.execute(sa.select(jobs.c.id, jobs.c.state).where(found))}
        yield from _strays(ours, states, resources)
        say(f"{report.objects} objects")


def _strays(ours: Mapping[str, str], states: Mapping[str, Any], resources: Resources) -> Iterator[Finding]:
    for key, job_id in ours.items():
        if job_id not in states:
            if key.endswith(VIDEO) or not resources.bucket.head(key.rpartition(".")[0] + VIDEO):
                yield Finding("object_without_job", "the database does not know its job", job_id, key)
        elif key.endswith(VIDEO) and states[job_id] not in (State.ARCHIVED, State.ARCHIVING):
            yield from _unadopted(resources.bucket.head(key), job_id, states[job_id], resources)


def _unadopted(stored: StoredVideo | None, job_id: str, state: str, resources: Resources) -> Iterator[Finding]:
    if stored is None:
        return
    with resources.database.read() as db:  # it may have moved on since
        case = cases.read_case(db, job_id)
    job = case.job
    if stored.key != job.archive_key or job.state in (State.ARCHIVED, State.ARCHIVING) or _waits(case):
        return
    owner = stored.metadata.get("rushes-job")
    if owner == job_id:
        yield Finding("object_not_adopted", f"its video is there, the job is {job.state}", job_id, stored.key)
    else:
        yield Finding("foreign_object", f"it bears {owner or 'no job'}", job_id, stored.key)


def _waits(case: Case) -> bool:
    """Whether the video is known, and will be taken once the job's present order is settled."""
    return case.job.alarm_at is not None and any(a.outcome is AttemptOutcome.FINISHED for a in case.attempts.values())
