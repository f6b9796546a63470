"""Nothing of one test reaches the next: what the fixtures of all integration tests rest on."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import left_behind as plugin
import pytest
import sqlalchemy as sa
from left_behind import LeftBehind
from own_database import OwnDatabase

from jobs.store import tables
from jobs.store.database import Database


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "ENDING_S", 0.1)


@pytest.fixture
def own(spare_database: Database) -> Iterator[OwnDatabase]:
    database = OwnDatabase(spare_database.url.render_as_string(hide_password=False))
    yield database
    database.close()


def see_unknown_word(database: Database) -> None:
    with database.write() as db:
        row = {"provider": "evolink", "word": "odd", "times": 1, "last_at": database.clock(db)}
        db.execute(sa.insert(tables.unknown_words).values(**row))


def add_event(database: Database) -> int:
    """A line of a history; its number."""
    with database.write() as db:
        now = database.clock(db)
        job = dict.fromkeys(("mode", "archive_key", "on_unconfirmed", "api_key_id"), "")
        job |= {"id": "job_1", "state": "queued", "version": 0, "request": {}, "metadata": {}}
        db.execute(sa.insert(tables.jobs).values(**job, start_by=now, created_at=now, updated_at=now))
        line = {"job_id": "job_1", "at": now, "event": "created", "attempt": 0, "to_state": "queued", "detail": {}}
        number: int = db.execute(sa.insert(tables.events).values(**line).returning(tables.events.c.id)).scalar_one()
        return number


def test_a_thread_that_stays_is_told_once(impatient: None) -> None:
    before, over = LeftBehind(), threading.Event()
    thread = threading.Thread(target=over.wait, name="straggler")
    thread.start()
    with pytest.raises(AssertionError, match="left behind: thread straggler"):
        before.check()
    before.check()
    over.set()
    thread.join()


def test_a_thread_that_is_ending_is_waited_for() -> None:
    before = LeftBehind()
    threading.Timer(0.05, lambda: None).start()
    before.check()


def test_a_child_process_that_stays_is_told(impatient: None) -> None:
    before = LeftBehind()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        with pytest.raises(AssertionError, match=r"left behind: process .*input"):
            before.check()
        child.communicate(b"\n")


def test_what_is_kept_is_not_told() -> None:
    before, over = LeftBehind(), threading.Event()
    with plugin.kept():
        thread = threading.Thread(target=over.wait)
        thread.start()
    before.check()
    over.set()
    thread.join()


@pytest.mark.both_databases
def test_rows_are_seen_and_taken_away_and_numbers_begin_anew(own: OwnDatabase, spare_database: Database) -> None:
    assert own.filled() == set()
    see_unknown_word(spare_database)
    assert add_event(spare_database) == 1
    assert own.filled() == {"unknown_words", "jobs", "events"}
    own.empty()
    assert own.filled() == set()
    assert add_event(spare_database) == 1


@pytest.mark.both_databases
def test_a_database_whose_version_a_test_has_changed_is_told(own: OwnDatabase, spare_database: Database) -> None:
    with spare_database.write() as db:
        db.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(AssertionError, match="wants `spare_database`"):
        own.empty()
