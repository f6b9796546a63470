"""SQLite under four writers, killed in a transaction, and on a disk that is full."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
from plant import Plant, family

from jobs.machine.states import State
from jobs.store import migrate, tables
from jobs.store.database import Database

WRITERS, EACH = 4, 150
TINY_FILE = 4096

# A writer of its own process: reads a number and writes it back one higher, in one transaction.
WRITER = """
import sys
import sqlalchemy as sa
from jobs.store.database import Database
from jobs.store.tables import unknown_words as words

database = Database(sys.argv[1], threads=1)
for _ in range(int(sys.argv[2])):
    with database.write() as db:
        times = db.execute(sa.select(words.c.times)).scalar_one()
        db.execute(sa.update(words).values(times=times + 1))
    print(times + 1, flush=True)
"""
# One that stays in its transaction for ever.
SLEEPER = """
import sys, time
import sqlalchemy as sa
from jobs.store.database import Database
from jobs.store.tables import unknown_words as words

with Database(sys.argv[1], threads=1).write() as db:
    db.execute(sa.update(words).values(times=1_000_000))
    print("in", flush=True)
    time.sleep(3600)
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with one number in it."""
    database = Database(f"sqlite:///{tmp_path}/rushes.db")
    migrate.upgrade(database)
    with database.write() as db:
        row = {"provider": "evolink", "word": "counted", "times": 0, "last_at": database.clock(db)}
        db.execute(sa.insert(tables.unknown_words).values(**row))
    yield database
    database.close()


def run(script: str, database: Database, *arguments: str) -> subprocess.Popen[str]:
    url = database.url.render_as_string(hide_password=False)
    return subprocess.Popen(
        [sys.executable, "-c", script, url, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def number(database: Database) -> int:
    with database.read() as db:
        return int(db.execute(sa.select(tables.unknown_words.c.times)).scalar_one())


def is_whole(database: Database) -> bool:
    with sqlite3.connect(str(database.url.database)) as db:
        found: list[tuple[str]] = db.execute("PRAGMA integrity_check").fetchall()
    db.close()
    return found == [("ok",)]


def test_four_writing_processes_lose_no_write_and_meet_no_lock(database: Database) -> None:
    writers = [run(WRITER, database, str(EACH)) for _ in range(WRITERS)]
    ends = [(*writer.communicate(timeout=100), writer.returncode) for writer in writers]
    assert [(code, errors) for _, errors, code in ends] == [(0, "")] * WRITERS
    assert number(database) == WRITERS * EACH


def test_a_writer_killed_in_its_transaction_leaves_no_trace_and_no_lock(database: Database) -> None:
    sleeper = run(SLEEPER, database)
    assert sleeper.stdout is not None
    assert sleeper.stdout.readline() == "in\n"
    sleeper.kill()
    sleeper.communicate()
    begun = time.monotonic()
    with database.write() as db:
        db.execute(sa.update(tables.unknown_words).values(times=tables.unknown_words.c.times + 1))
    assert time.monotonic() - begun < 2
    assert number(database) == 1
    assert is_whole(database)


def test_what_a_killed_writer_said_was_committed_is_there(database: Database) -> None:
    with run(WRITER, database, "1000000") as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(100)]
        writer.kill()
        said += writer.stdout  # not by `communicate`, which passes over what has been read ahead
    heard = [int(line) for line in said if line.endswith("\n")]
    assert heard == list(range(1, len(heard) + 1))
    assert number(database) in (len(heard), len(heard) + 1)  # one may have been written and not yet said
    assert is_whole(database)


@pytest.mark.prove
def test_a_full_disk_is_an_honest_503_and_everything_goes_on_when_there_is_room(sqlite_plant: Plant) -> None:
    plant = sqlite_plant
    plant.stand_ins.fault("evolink", "delay_callback", seconds=1)
    early = [plant.book.order("evolink") for _ in range(3)]
    plant.book.await_state(early[-1], State.GENERATING)
    limit(plant, TINY_FILE)  # as by `ulimit -f`; whoever is told so by a signal ignores it
    try:
        late = plant.book.write("evolink")
        plant.book.send(late)
        assert late.answers == [503]
        assert requests.get(f"{plant.url}/readyz", timeout=5).json()["parts"]["database"] == "disk full"
        assert requests.get(f"{plant.url}/livez", timeout=5).ok
    finally:
        limit(plant, resource.RLIM_INFINITY)
    plant.book.insist(late)
    plant.book.await_archived()
    assert requests.get(f"{plant.url}/readyz", timeout=5).json()["parts"]["database"] == "ok"
    assert is_whole(plant.database)


def limit(plant: Plant, file_bytes: int) -> None:
    """No file of the processes that run steps may grow beyond this."""
    for role in ("web", "worker", "transfer", "sweep"):
        for pid in family(plant.supervisor.pids[role]):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (file_bytes, resource.RLIM_INFINITY))
