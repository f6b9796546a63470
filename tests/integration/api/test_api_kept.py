"""What was answered 202 is in the database."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from api_orders import PLAIN
from flask.testing import FlaskClient
from own_database import held

from jobs.store import tables
from jobs.store.database import Database

pytestmark = pytest.mark.both_databases


def kept(database: Database) -> list[str]:
    with database.read() as db:
        return list(db.execute(sa.select(tables.jobs.c.id)).scalars())


def test_a_request_is_answered_202_only_once_its_job_is_committed(
    api: FlaskClient, database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.store.database.BUSY_S", 0.5)
    with held(database_url, tables.jobs):
        assert api.post("/v1/jobs", json=PLAIN).status_code == 503
    assert kept(database) == []
    answer = api.post("/v1/jobs", json=PLAIN)
    assert (answer.status_code, kept(database)) == (202, [answer.get_json()["id"]])
