"""A job's validator: what it says, and what it spares."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from jobs.store import tables
from jobs.store.database import Database

GOOD = {"prompt": "A red fox", "provider": "evolink", "resolution": "720p", "duration": 2}


@pytest.fixture
def place(api: FlaskClient) -> str:
    return str(api.post("/v1/jobs", json=GOOD).headers["Location"])


def ask(api: FlaskClient, place: str, known: str) -> Any:
    return api.get(place, headers={"If-None-Match": known})


def test_an_unchanged_job_is_304_without_a_body(api: FlaskClient, place: str) -> None:
    etag = api.get(place).headers["ETag"]
    assert etag.startswith('W/"')
    for known in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        answer = ask(api, place, known)
        assert (answer.status_code, answer.get_data(), answer.headers["ETag"]) == (304, b"", etag), known


@pytest.mark.parametrize(
    "columns", [{"version": 7}, {"flagged": "foreign_task"}], ids=["a new version", "a flag that came without one"]
)
def test_a_changed_job_is_sent_whole(api: FlaskClient, database: Database, place: str, columns: dict[str, Any]) -> None:
    etag = api.get(place).headers["ETag"]
    with database.write() as db:
        db.execute(sa.update(tables.jobs).values(**columns))
    answer = ask(api, place, etag)
    assert answer.status_code == 200
    assert answer.headers["ETag"] != etag


@pytest.mark.parametrize("known", ["", "nonsense", '"', 'W/"', "\x7f"])
def test_a_validator_that_is_none_is_as_good_as_none(api: FlaskClient, place: str, known: str) -> None:
    assert ask(api, place, known).status_code == 200
