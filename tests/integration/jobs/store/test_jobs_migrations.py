"""A database of an earlier version, with rows in it, is brought up to date without losing what they say."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from jobs.machine.rows import Origin
from jobs.store import cases, history, migrate
from jobs.store.database import Database
from jobs.store.tables import lanes, notices
from rushes.local.postgres import Postgres

THEN = "2026-11-21T10:00:00.000000+00:00"
JOB = {"id": "job_1", "state": "unconfirmed", "version": 3, "mode": "text-to-video", "request": "{}", "attempt": 2}
JOB |= {"overdue": False, "troubles": 0, "on_unconfirmed": "wait", "start_by": THEN, "archive_key": "k", "notices": 1}
JOB |= {"metadata": "{}", "api_key_id": "key_1", "created_at": THEN, "updated_at": THEN}
JOB |= {"holder": "worker@here:7", "held_until": THEN}
ATTEMPT = {"job_id": "job_1", "provider": "evolink", "base_url": "https://x", "account": "a", "with_callback": True}
ATTEMPT |= {"outcome": "open", "standing": "none", "adopted": False, "rejected_task_ids": "[]", "day": "2026-11-21"}
ATTEMPT |= {"estimate_exact": True, "reserved_micro_usd": 0, "created_at": THEN, "sends": 1}
NOTICE = {"id": "ntc_1", "job_id": "job_1", "sequence": 1, "type": "job.failed", "url": "https://x", "body": "{}"}
NOTICE |= {"version": 0, "tries": 0, "created_at": THEN, "holder": "notify@here:8", "held_until": THEN}
EVENT = {"job_id": "job_1", "at": THEN, "event": "order_recognised", "attempt": 3, "detail": "{}"}
PAUSE = {"provider": "evolink", "account": "a", "lane": "submit", "until": THEN, "reason": "rate_limited"}
SUSPECTED = json.dumps({"suspected_since": THEN})
# A client's own words look like the key that is looked for, and are none.
SAID = json.dumps({"method": "POST", "path": "/v1", "body": {"prompt": '"suspected_since"'}, "headers": {}})


@pytest.fixture(params=["sqlite", "postgresql"])
def old_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database at 0004, with a row of everything that has changed since."""
    name = f"old_{secrets.token_hex(6)}"
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/old.db"
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.create_database(name)
    database = Database(url)
    with database.write() as db:
        command.upgrade(migrate._config(db), "0004")
        insert(db, "jobs", JOB)
        for number, said in ((1, SAID), (2, SUSPECTED), (3, SUSPECTED)):
            insert(db, "attempts", {**ATTEMPT, "number": number, "request": said})
        insert(db, "events", EVENT)
        insert(db, "notices", NOTICE)
        insert(db, "pauses", PAUSE)
    yield database
    database.close()
    if request.param == "postgresql":
        request.getfixturevalue("postgres").drop_database(name)


def insert(db: sa.Connection, table: str, row: dict[str, object]) -> None:
    names = ", ".join(row)
    values = ", ".join(f"CAST(:{n} AS json)" if _is_json(db, v) else f":{n}" for n, v in row.items())
    db.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)


def _is_json(db: sa.Connection, value: object) -> bool:
    return db.dialect.name == "postgresql" and isinstance(value, str) and value[:1] in "{["


def test_the_columns_have_their_words_and_the_tables_do_not_differ(old_database: Database) -> None:
    migrate.upgrade(old_database)
    assert migrate.differences(old_database) == []


def test_leases_are_still_held(old_database: Database) -> None:
    migrate.upgrade(old_database)
    with old_database.read() as db:
        job = cases.read_case(db, "job_1").job
        notice = db.execute(sa.select(notices)).mappings().one()
    assert (job.lease_holder, job.leased_until is not None) == ("worker@here:7", True)
    assert (notice["lease_holder"], notice["leased_until"] is not None) == ("notify@here:8", True)


def test_a_half_lease_is_still_refused(old_database: Database) -> None:
    migrate.upgrade(old_database)
    with pytest.raises(sa.exc.IntegrityError), old_database.write() as db:
        db.execute(sa.text("UPDATE jobs SET leased_until = NULL"))


def test_attempts_say_where_they_came_from(old_database: Database) -> None:
    migrate.upgrade(old_database)
    with old_database.read() as db:
        attempts = cases.read_case(db, "job_1").attempts
    assert [attempts[n].origin for n in (1, 2, 3)] == [Origin.ORDERED, Origin.FORGOTTEN, Origin.CALLED_BACK]
    assert [attempts[n].request for n in (1, 2, 3)] == [json.loads(SAID), {}, {}]


def test_keys_still_cool_down(old_database: Database) -> None:
    migrate.upgrade(old_database)
    with old_database.read() as db:
        rows = db.execute(sa.select(lanes)).all()
    assert [(row.provider, row.lane, row.reason) for row in rows] == [("evolink", "submit", "rate_limited")]


def test_the_way_back_gives_the_old_rows(old_database: Database) -> None:
    migrate.upgrade(old_database)
    with old_database.write() as db:
        command.downgrade(migrate._config(db), "0004")
        job = db.execute(sa.text("SELECT holder, held_until FROM jobs")).one()
        said = db.execute(sa.text("SELECT request FROM attempts WHERE number = 2")).scalar_one()
        rests = db.execute(sa.text("SELECT provider, account, lane, reason FROM pauses")).one()
    assert job.holder == "worker@here:7"
    assert "suspected_since" in str(said)
    assert rests == ("evolink", "a", "submit", "rate_limited")


def test_the_way_back_unpacks_histories(old_database: Database) -> None:
    def lines(db: sa.Connection) -> list[object]:
        return [tuple(row) for row in db.execute(sa.text("SELECT * FROM events ORDER BY id"))]

    with old_database.write() as db:
        insert(db, "events", {**EVENT, "event": "store", "to_state": "archived", "detail": '{"bytes": 1}'})
        before = lines(db)
    migrate.upgrade(old_database)
    with old_database.write() as db:
        assert history.pack(db, ["job_1"]) == 1
        assert lines(db) == []
        command.downgrade(migrate._config(db), "0022")
        assert lines(db) == before
