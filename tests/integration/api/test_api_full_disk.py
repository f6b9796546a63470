"""A database whose disk takes nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_orders import PLAIN, Bells
from conftest import client_of
from flask.testing import FlaskClient
from sqlalchemy import event

from jobs.settings import Settings
from jobs.store import database as module
from jobs.store.database import Database, DiskFull
from jobs.store.disk import has_room
from rushes import app as rushes_app

LARGE = {f"k{n}": "x" * 500 for n in range(16)}


class Limited(Database):
    """A SQLite database that may not grow."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        event.listen(self.engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count=1"))


@pytest.fixture
def full(
    settings: Settings, spare_database: Database, bells: Bells, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FlaskClient]:
    client_of_spare = replace(settings, database_url=str(spare_database.url))
    monkeypatch.setattr(rushes_app, "Database", Limited)
    app = rushes_app.create_app(client_of_spare, ringer=bells)
    yield client_of(app, spare_database)
    app.extensions["rushes.close"]()


@pytest.mark.databases("sqlite")
def test_it_is_named_in_the_503_and_reads_go_on(full: FlaskClient) -> None:
    answers = [full.post("/v1/jobs", json={**PLAIN, "metadata": LARGE}) for _ in range(40)]
    refused = answers[-1]
    assert (refused.status_code, refused.get_json(force=True)["code"]) == (503, "disk_full")
    assert refused.headers["Retry-After"]
    assert refused.get_json(force=True)["retryable"] is True
    assert full.get("/v1/jobs").status_code == 200


def test_readiness_names_it_while_it_lasts(own_api: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def database() -> Any:
        return own_api.get("/readyz").get_json()["parts"]["database"]

    assert database() == "ok"
    monkeypatch.setattr(Database, "disk_is_full", property(lambda _: True))
    assert database() == "disk full"
    monkeypatch.undo()
    assert database() == "ok"


@pytest.mark.databases("postgresql")
def test_postgresql_says_it_itself(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    no_room = "DO $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left' USING ERRCODE = '53100'; END $$"
    assert not database.disk_is_full
    with pytest.raises(DiskFull, match="could not extend file"), database.write() as db:
        db.exec_driver_sql(no_room)
    assert database.disk_is_full
    monkeypatch.setattr(module.time, "monotonic", lambda later=module.time.monotonic: later() + module.FULL_FOR_S)
    assert not database.disk_is_full


@pytest.mark.databases("sqlite")
def test_a_folder_is_asked_by_writing(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_room(tmp_path)
    assert has_room(tmp_path / "none")  # which is another trouble
    assert not database.disk_is_full
    full = Path("/dev/full")
    if full.exists():
        monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full.open("wb", buffering=0))
        assert database.disk_is_full
