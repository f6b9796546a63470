"""The rows as they stand after a commit, and which of them it changed: what the rules look at.

The database notes the rows that are written where it can (`SimDatabase.take_noted`), so that a commit costs as much as
it changed, and not as much as there is. Sums and sets that rules need are kept up with each change.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from sim_database import SimDatabase
from sim_gateways import Owner

from jobs.machine.held_jobs import ASKS
from jobs.machine.rows import AttemptOutcome, Standing

Key = tuple[str, str]  # a gateway and the fingerprint of a key


class JobRow(NamedTuple):
    id: str
    state: str
    version: int
    alarm_at: str | None
    lease_holder: str | None
    leased_until: str | None
    attempt: int
    updated_at: str
    flagged: str | None
    troubles: int
    cancel_requested_at: str | None
    sha256: str | None
    accepted_by: str | None
    archive_key: str
    notices: int
    on_unconfirmed: str
    start_by: str
    request: str
    waiting: str | None
    set_aside_until: str | None

    @property
    def is_aside(self) -> bool:
        """Whether it is left alone because those who worked on it died."""
        return self.set_aside_until is not None and self.alarm_at == self.set_aside_until

    def waits_for(self, provider: str) -> bool:
        """Whether it was not ordered, when last looked at, because of this gateway."""
        why = json.loads(self.waiting) if self.waiting is not None else {}
        return why.get("provider") == provider and why.get("code") != ASKS

    def route(self, configured: Iterable[str]) -> list[str]:
        """The gateways that its client would take."""
        wanted = json.loads(self.request)["provider"]
        return list(configured) if wanted == "auto" else [wanted] if isinstance(wanted, str) else wanted


class AttemptRow(NamedTuple):
    job_id: str
    number: int
    provider: str
    account: str
    outcome: str
    standing: str
    task_id: str | None
    adopted: int
    contested: int
    sends: int
    accepted_at: str | None
    closed_at: str | None
    lost_at: str | None
    day: str
    reserved_micro_usd: int
    link: str | None
    finished_at: str | None
    reported_credits: float | None
    rejected_task_ids: str
    created_at: str
    origin: str
    settled: str | None
    named_task_id: str | None
    named_refused: str | None
    unproven: str | None
    sending_at: str | None
    answered_at: str | None
    age_unknown: int

    @property
    def is_asked_about(self) -> bool:
        """Whether a person waits to hear of the task that they named."""
        return self.named_task_id is not None and self.named_refused is None and self.task_id is None

    @property
    def owner(self) -> Owner:
        return self.job_id, self.number

    @property
    def key(self) -> Key:
        return self.provider, self.account

    @property
    def is_lost(self) -> bool:
        """Whether its answer was lost, and nobody knows what became of it; that a wait is over is no knowledge."""
        return self.lost_at is not None and self.accepted_at is None and self.standing == Standing.UNCERTAIN

    def has_answered(self, since: str) -> bool:
        """Whether its gateway has answered the order, or a question about its task, that left after this moment."""
        is_heard = self.accepted_at is not None or self.outcome == AttemptOutcome.REFUSED
        return (is_heard and (self.sending_at or "") > since) or (self.answered_at or "") > since

    @property
    def is_on_way(self) -> bool:
        """Whether it was claimed, and its answer has neither come nor been lost."""
        return self.is_open and self.origin == "ordered" and self.accepted_at is None and self.lost_at is None

    @property
    def is_open(self) -> bool:
        return self.outcome == AttemptOutcome.OPEN


class CallbackRow(NamedTuple):
    id: int
    job_id: str
    attempt: int
    task_id: str | None
    received_at: str
    read_at: str | None


class LaneRow(NamedTuple):
    provider: str
    account: str
    lane: str
    until: str | None
    reason: str | None
    began_at: str | None
    since: str | None
    rest_s: float
    ask_at: str | None

    @property
    def key(self) -> Key:
        return self.provider, self.account


class SpendingRow(NamedTuple):
    provider: str
    day: str
    micro_usd: int


Row = TypeVar("Row", JobRow, AttemptRow, CallbackRow, LaneRow, SpendingRow)


class Change(NamedTuple, Generic[Row]):
    """A row before and after a commit. None: there was none, or there is none any more."""

    old: Row | None
    new: Row | None

    @property
    def row(self) -> Row:
        """What it is about."""
        row = self.new or self.old
        assert row is not None
        return row


class Table(Generic[Row]):
    """One table's rows, by the number that the database has for each."""

    def __init__(self, database: SimDatabase, name: str, row: type[Row]) -> None:
        self._database, self._name, self._row = database, name, row
        self._rows: dict[Any, Row] = {}

    def read(self, numbers: list[Any] | None) -> list[Change[Row]]:
        """Read these rows anew; for None all of them."""
        found = self._database.numbered(self._name, self._row._fields, numbers)
        changes = []
        for number in dict.fromkeys((*self._rows, *found)) if numbers is None else numbers:
            new = self._row._make(found[number]) if number in found else None
            old = self._rows.pop(number, None) if new is None else self._rows.get(number)
            if new is not None:
                self._rows[number] = new
            if new != old:
                changes.append(Change(old, new))
        return changes

    def read_all(self) -> list[Change[Row]]:
        """Read every row, as if all of them were new."""
        self._rows = {}
        return self.read(None)


class Changes(NamedTuple):
    """What a commit changed, in the order in which it did."""

    jobs: list[Change[JobRow]]
    attempts: list[Change[AttemptRow]]
    callbacks: list[Change[CallbackRow]]
    lanes: list[Change[LaneRow]]
    spending: list[Change[SpendingRow]]


class Rows:
    """All rows that rules look at, by their keys."""

    def __init__(self, database: SimDatabase) -> None:
        self._database = database
        self._tables: dict[str, Table[Any]] = {
            "jobs": Table(database, "jobs", JobRow),
            "attempts": Table(database, "attempts", AttemptRow),
            "inbox": Table(database, "inbox", CallbackRow),
            "lanes": Table(database, "lanes", LaneRow),
            "spending": Table(database, "spending", SpendingRow),
        }
        self._empty()

    def _empty(self) -> None:
        self.jobs: dict[str, JobRow] = {}
        self.attempts: dict[Owner, AttemptRow] = {}
        self.attempts_of: dict[str, dict[int, AttemptRow]] = defaultdict(dict)  # by job
        self.out_at: dict[Key, dict[Owner, AttemptRow]] = defaultdict(dict)
        self.callbacks_of: dict[str, dict[int, CallbackRow]] = defaultdict(dict)  # by job
        self.lanes: dict[tuple[Key, str], LaneRow] = {}
        self.spent: dict[tuple[str, str], SpendingRow] = {}  # by gateway and day
        self.reserved: Counter[tuple[str, str]] = Counter()  # the same, as the attempts say

    def read_changes(self) -> Changes:
        """Take in what the commit that has just been made wrote."""
        noted = self._database.take_noted()
        changes = Changes(*(table.read(noted[name]) if name in noted else [] for name, table in self._tables.items()))
        self._take(changes)
        return changes

    def read_all(self) -> None:
        """Forget everything, and read the database as it stands."""
        self._empty()
        self._database.take_noted()
        self._take(Changes(*(table.read_all() for table in self._tables.values())))

    def lane_before(self, key: Key, name: str) -> LaneRow | None:
        """A lane as it was before the last commit."""
        return self._lanes_before.get((key, name), self.lanes.get((key, name)))

    def has_unread(self, job_id: str) -> bool:
        return any(callback.read_at is None for callback in self.callbacks_of[job_id].values())

    def _take(self, changes: Changes) -> None:
        for job in changes.jobs:
            _put(self.jobs, job, lambda row: row.id)
        for attempt in changes.attempts:
            self._take_attempt(attempt)
        for callback in changes.callbacks:
            _put(self.callbacks_of[callback.row.job_id], callback, lambda row: row.id)
        self._lanes_before = {(lane.row.key, lane.row.lane): lane.old for lane in changes.lanes}
        for lane in changes.lanes:
            _put(self.lanes, lane, lambda row: (row.key, row.lane))
        for spending in changes.spending:
            _put(self.spent, spending, lambda row: (row.provider, row.day))

    def _take_attempt(self, change: Change[AttemptRow]) -> None:
        old, new = change
        _put(self.attempts, change, lambda row: row.owner)
        _put(self.attempts_of[change.row.job_id], change, lambda row: row.number)
        if old is not None:
            self.out_at[old.key].pop(old.owner, None)
            self.reserved[old.provider, old.day] -= old.reserved_micro_usd
        if new is not None:
            if new.is_open or new.is_lost:
                self.out_at[new.key][new.owner] = new
            self.reserved[new.provider, new.day] += new.reserved_micro_usd


def _put(rows: dict[Any, Row], change: Change[Row], key: Callable[[Row], Any]) -> None:
    """Put a row in its place under its key, or take it away."""
    if change.new is None:
        rows.pop(key(change.row), None)
    else:
        rows[key(change.new)] = change.new
