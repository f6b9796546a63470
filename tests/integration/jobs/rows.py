"""Rows in a real database, and a clock that a test turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from jobs.intake import new_jobs
from jobs.machine.alarms import Rules
from jobs.machine.case import Case
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS
from jobs.settings import Settings, load
from jobs.store import cases, history, leases, spending
from jobs.store.core import Core
from jobs.store.database import Database
from jobs.store.keeping import Callback, Kept, keep
from jobs.store.leases import Lease
from jobs.store.tables import attempts, jobs, notices

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=s) for s in (1, 60, 3_600, 86_400))
ACCOUNT = "f" * 16
T = TypeVar("T")


def settings() -> Settings:
    return load(
        {
            "RUSHES_S3_BUCKET": "videos",
            "RUSHES_S3_PREFIX": "takes/",
            "RUSHES_EVOLINK_API_KEY": "sk-1",
            "RUSHES_NOTICE_SECRETS": "whsec_" + "A" * 32,
            "RUSHES_ALLOW_PRIVATE_ADDRESSES": "1",
        }
    )


class Silence:
    """A ringer that nobody hears."""

    def ring(self, task: str, *job_ids: str) -> None:
        pass

    def sweep(self) -> None:
        pass

    def waiting(self, task: str) -> int | None:
        return None


class Rows:
    """Makes rows in a database whose clock stands still until `now` is set."""

    def __init__(self, database: Database):
        self.database = database
        self.now = NOW
        database.clock = lambda db: self.now
        self.core = Core(settings=settings(), providers=PROVIDERS, database=database, ringer=Silence())
        self.rules = Rules(self.core.settings, PROVIDERS, lambda case: ["evolink"], lambda s: s)

    def create(self, *, api_key: str = "key_1", key: str | None = None, **request: Any) -> tuple[Case, bool]:
        return new_jobs.create({"prompt": "A fox", **request}, self.core, api_key_id=api_key, idempotency_key=key)

    def job(self, state: State = State.QUEUED, **columns: Any) -> str:
        """A job of this state, with other columns as given."""
        case, _ = self.create(api_key=columns.pop("api_key_id", "key_1"))
        values = {"state": state, **columns}
        if state is not State.QUEUED:
            values.setdefault("attempt", 1)
        self.write(lambda db: db.execute(sa.update(jobs).where(jobs.c.id == case.job.id).values(**values)))
        return case.job.id

    def attempt(self, job_id: str, number: int = 1, **columns: Any) -> None:
        """An open attempt that was sent; further columns as given."""
        values: dict[str, Any] = {
            "job_id": job_id,
            "number": number,
            "provider": "evolink",
            "base_url": "https://gateway",
            "account": ACCOUNT,
            "with_callback": True,
            "request": {},
            "outcome": AttemptOutcome.OPEN,
            "standing": Standing.NONE,
            "rejected_task_ids": [],
            "created_at": self.now,
            "sending_at": self.now,
            "sends": 1,
            "day": spending.day_of(self.now),
            "estimate_exact": True,
            "reserved_micro_usd": 0,
        }
        self.write(lambda db: db.execute(sa.insert(attempts).values(**{**values, **columns})))

    def change(self, job_id: str, number: int = 1, **columns: Any) -> None:
        """Other columns of an attempt."""
        row = sa.and_(attempts.c.job_id == job_id, attempts.c.number == number)
        self.write(lambda db: db.execute(sa.update(attempts).where(row).values(**columns)))

    def callback(
        self, job_id: str, body: bytes = b"{}", *, provider: str = "evolink", longest: int = 32, **changes: Any
    ) -> Kept:
        values: dict[str, Any] = {"attempt": 1, "readable": True, "task_id": "task-1", "status": 200, **changes}
        callback = Callback(provider, job_id, body=body, headers={"X-Event": "x"}, **values)
        limited = replace(self.core.settings, max_inbox_rows=longest)
        return self.write(lambda db: keep(db, callback, limited, PROVIDERS, now=self.now))

    def case(self, job_id: str) -> Case:
        with self.database.read() as db:
            return cases.read_case(db, job_id)

    def claim(self, job_id: str, holder: str = "A", *, case: Case | None = None, lease_s: float = 90) -> Lease | None:
        seen = case or self.case(job_id)
        return self.write(lambda db: leases.claim(db, seen, holder=holder, lease_s=lease_s, now=self.now))

    def lease(self, job_id: str, holder: str = "A", *, lease_s: float = 90) -> Lease:
        lease = self.claim(job_id, holder, lease_s=lease_s)
        assert lease is not None
        return lease

    def write(self, act: Callable[[Connection], T]) -> T:
        """In a transaction of its own."""
        with self.database.write() as db:
            return act(db)

    def told(self, job_id: str) -> list[tuple[int, str]]:
        """The notices of a job: sequence number and type."""
        with self.database.read() as db:
            rows = db.execute(sa.select(notices).where(notices.c.job_id == job_id).order_by(notices.c.sequence))
            return [(row.sequence, row.type) for row in rows]

    def history(self, job_id: str) -> list[tuple[str, str | None, str | None]]:
        """The lines of a job's history: event, state before, state after."""
        with self.database.read() as db:
            lines = history.of_job(db, job_id)
        return [(line["event"], line["from_state"], line["to_state"]) for line in lines]
