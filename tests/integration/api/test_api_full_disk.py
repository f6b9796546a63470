"""A database whose disk takes nothing more."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from api_orders import PLAIN, Bells
from conftest import client_of
from flask.testing import FlaskClient
from sqlalchemy import event

from jobs.settings import Settings
from jobs.store import database as module
from jobs.store import heartbeats, tables
from jobs.store.database import Database, DiskFull
from jobs.store.disk import has_room
from rushes import app as rushes_app
from storage import spool

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


def limit_postgresql(database: Database, file_bytes: str) -> None:
    """None of its processes may write a file beyond this, as by `ulimit -f`."""
    with database.read() as db:
        pids = db.exec_driver_sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'").scalars()
        for pid in pids.all():
            command = ["prlimit", f"--pid={pid}", f"--fsize={file_bytes}:"]
            whose = Path(f"/proc/{pid}").stat()  # no other may, not root either where it lacks CAP_SYS_RESOURCE
            subprocess.run(command, check=True, cwd="/", user=whose.st_uid, group=whose.st_gid, extra_groups=[])


@pytest.mark.databases("postgresql")
@pytest.mark.skipif(shutil.which("prlimit") is None, reason="limits are set on Linux alone")
def test_readiness_asks_postgresql_itself(
    own_api: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process that writes nothing itself."""

    def part() -> Any:
        monkeypatch.setattr(module, "LOOK_AGAIN_S", 0)
        return own_api.get("/readyz").get_json()["parts"]["database"]

    assert part() == "ok"
    limit_postgresql(database, "8192")
    try:
        assert part() == "disk full"
        assert own_api.get("/v1/jobs").status_code == 200
    finally:
        limit_postgresql(database, "unlimited")
    monkeypatch.setattr(module, "FULL_FOR_S", 0)
    monkeypatch.setattr(module.time, "monotonic", lambda later=module.time.monotonic: later() + 60)
    assert part() == "ok"


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("state", ["XX000", "58030"])
def test_a_quota_is_a_full_disk_too(database: Database, state: str) -> None:
    said = (
        f"DO $$ BEGIN RAISE EXCEPTION 'could not write: {os.strerror(errno.EDQUOT)}' USING ERRCODE = '{state}'; END $$"
    )
    with pytest.raises(DiskFull, match="could not write"), database.write() as db:
        db.exec_driver_sql(said)


def test_readiness_names_a_full_disk_of_films(own_api: FlaskClient, settings: Settings, database: Database) -> None:
    """Here, and on the machine of a transfer elsewhere, which says so by a beat."""

    def part() -> Any:
        answer = own_api.get("/readyz")
        assert answer.status_code == 503  # for other parts that are away
        return answer.get_json()["parts"]["spool"]

    assert part() == "ok"
    settings.spool_dir.mkdir()
    assert part() == "ok"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool.os, "statvfs", lambda _: SimpleNamespace(f_bavail=spool.MARGIN_BYTES - 1, f_frsize=1))
        assert part() == "disk full"
    assert part() == "ok"
    heartbeats.beat(database, "spool@elsewhere:1", heartbeats.SPOOL_FULL)
    assert part() == "disk full"
    with database.write() as db:
        db.execute(sa.update(tables.heartbeats).values(seen_at=database.clock(db) - timedelta(minutes=1)))
    assert part() == "ok"
