"""PostgreSQL behind a real PgBouncer in transaction mode, where each transaction may have another server connection."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy as sa
from pooler import pooled

from jobs.intake import api_keys
from jobs.store import migrate
from jobs.store.database import Database
from rushes.local.postgres import Postgres
from rushes.local.supervisor import Supervisor

THREADS, CONNECTIONS = 12, 3
LIMITS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
SHOWN = sa.text("SELECT " + ", ".join(f"current_setting('{name}')" for name in LIMITS))


@pytest.fixture(params=["", "ignore_startup_parameters = options, extra_float_digits"], ids=["as it comes", "ignoring"])
def through(request: pytest.FixtureRequest, postgres: Postgres, servers: Supervisor) -> Iterator[str]:
    """The URL of an empty database, through the pooler."""
    name = f"pooled_{secrets.token_hex(6)}"
    with pooled(servers, postgres.create_database(name), connections=CONNECTIONS, more=request.param) as url:
        yield url
    postgres.drop_database(name)


@pytest.fixture
def database(through: str) -> Iterator[Database]:
    database = Database(through, threads=THREADS)
    yield database
    database.close()


@pytest.mark.prove
def test_two_migrations_at_once_and_then_reads_and_writes_of_many_threads(through: str, database: Database) -> None:
    releases = [Database(through, threads=1) for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        with releases[0].write() as somebody:  # whose migration takes longer than a statement may wait for a lock
            somebody.exec_driver_sql(f"SELECT pg_advisory_xact_lock({migrate.UPGRADE_LOCK})")
            upgrades = [pool.submit(migrate.upgrade, each) for each in releases[1:]]
            somebody.exec_driver_sql("SELECT pg_sleep(3.5)")
        for each in upgrades:
            each.result()
    migrate.check(database)
    assert migrate.differences(database) == []

    def work(number: int) -> None:
        for turn in range(20):  # more often than psycopg waits before it prepares a statement
            made, key = api_keys.create(database, f"{number}-{turn}")
            with database.read() as db:
                database.clock(db)
                found = api_keys.find(db, key)
            assert found is not None
            assert found.id == made

    def only_write(number: int) -> None:
        for turn in range(20):  # a rollback, as after each read, would let psycopg forget what it has counted
            with database.write() as db:
                db.execute(sa.text("SELECT CAST(:turn AS int)"), {"turn": turn})

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
        list(pool.map(only_write, range(THREADS)))
    for each in releases:
        each.close()


@pytest.mark.databases("postgresql")
def test_a_direct_connection_has_its_limits_for_good_and_prepares_statements(database_url: str) -> None:
    direct = Database(database_url, threads=1)
    for _ in range(7):
        with direct.read() as db:
            assert tuple(db.execute(SHOWN).one()) == ("10s", "3s", "30s")
    with direct.read() as db:
        assert db.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar_one() > 0
    direct.close()


@pytest.mark.prove
def test_every_transaction_has_its_limits_and_leaves_none_behind(through: str, database: Database) -> None:
    with database.read() as db:
        assert tuple(db.execute(SHOWN).one()) == ("10s", "3s", "30s")
    with database.write() as db:
        assert tuple(db.execute(SHOWN).one()) == ("10s", "3s", "30s")
        db.exec_driver_sql("SET LOCAL statement_timeout = '50ms'")
        with pytest.raises(sa.exc.OperationalError, match="statement timeout"):
            db.exec_driver_sql("SELECT pg_sleep(5)")
        db.rollback()
    with database.snapshot() as db:
        assert tuple(db.execute(SHOWN).one()) == ("0", "3s", "30s")
        assert db.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "repeatable read"
    with psycopg.connect(sa.make_url(through).set(drivername="postgresql").render_as_string(False)) as stranger:
        assert stranger.execute("SHOW statement_timeout").fetchone() == ("0",)


@pytest.mark.prove
def test_reads_cannot_write(database: Database) -> None:
    with pytest.raises(sa.exc.InternalError, match="read-only"), database._reads.connect() as db:
        db.exec_driver_sql("CREATE TABLE lost (id int)")
