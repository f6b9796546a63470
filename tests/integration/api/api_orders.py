"""Orders as rows, for views that only read them, and a doorbell that remembers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.intake.api_keys import Scope
from jobs.providers.client import Account
from jobs.store.database import Database
from jobs.store.tables import attempts, jobs

ACCOUNT = Account("evolink", "https://api.evolink.ai", "sk-test").fingerprint
PLAIN = {"prompt": "A red fox", "provider": "evolink", "resolution": "720p", "duration": 2}


class Orders:
    """Makes jobs by way of the API, and their attempts by hand."""

    def __init__(self, api: FlaskClient, database: Database):
        self._api, self._database = api, database

    def add(
        self,
        day: str,
        standing: str,
        *,
        state: str = "generating",
        of_job: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> str:
        """A job in this state with one order of that day. `of_job`: more columns of the job."""
        job_id = str(self._api.post("/v1/jobs", json=PLAIN).get_json()["id"])
        with self._database.write() as db:
            now = self._database.clock(db)
            db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(state=state, attempt=1, alarm_at=None))
            db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(of_job or {"attempt": 1}))
            values: dict[str, Any] = {
                "job_id": job_id,
                "number": 1,
                "provider": "evolink",
                "base_url": "https://api.evolink.ai",
                "account": ACCOUNT,
                "with_callback": False,
                "request": {},
                "outcome": "open",
                "standing": standing,
                "rejected_task_ids": [],
                "created_at": now,
                "sending_at": now,
                "accepted_at": now,
                "sends": 1,
                "day": day,
                "estimate_exact": True,
                "reserved_micro_usd": 0,
            }
            db.execute(sa.insert(attempts).values(**{**values, **columns}))
        return job_id


def as_operator(api: FlaskClient, database: Database) -> FlaskClient:
    """A client of the same application whose key may do everything."""
    _, key = api_keys.create(database, "operator", Scope.ADMIN)
    client = api.application.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


class Bells:
    """A ringer that remembers."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, str]] = []

    def ring(self, task: str, *job_ids: str) -> None:
        self.rung += [(task, job_id) for job_id in job_ids]

    def sweep(self) -> None:
        self.ring("jobs.sweep", "")

    def waiting(self, task: str) -> int:
        return 0
