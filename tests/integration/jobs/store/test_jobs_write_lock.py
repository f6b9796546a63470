"""Writers of one SQLite file: in turn, and with an end to every wait."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from jobs.store import database as module
from jobs.store.database import Database, DatabaseUnavailable
from jobs.store.write_lock import StillLocked, WriteLock

WRITER = """
import sys
from jobs.store.database import Database
database = Database(sys.argv[1])
with database.write() as db:
    db.exec_driver_sql("INSERT INTO kept VALUES (1)")
    print("in", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(module, "BUSY_S", 0.3)
    database = Database(f"sqlite:///{tmp_path}/rushes.db")
    with database.write() as db:
        db.exec_driver_sql("CREATE TABLE kept (n INTEGER)")
    yield database
    database.close()


@pytest.fixture
def writer(database: Database) -> Iterator[subprocess.Popen[str]]:
    """Another process, in the middle of a transaction."""
    url = database.url.render_as_string()
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    yield process
    process.kill()
    process.communicate()


def kept(database: Database) -> int:
    with database.read() as db:
        return int(db.execute(sa.text("SELECT count(*) FROM kept")).scalar_one())


def keep(database: Database) -> None:
    with database.write() as db:
        db.exec_driver_sql("INSERT INTO kept VALUES (2)")


def test_a_process_that_is_frozen_in_a_transaction_lets_nobody_wait_without_end(
    database: Database, writer: subprocess.Popen[str]
) -> None:
    writer.send_signal(signal.SIGSTOP)
    for _ in range(3):
        begun = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="another process has been writing"):
            keep(database)
        assert 0.3 <= time.monotonic() - begun < 5
    assert kept(database) == 0, "reads wait for nobody"
    assert sum(thread.name == "write-lock" for thread in threading.enumerate()) == 1, "one thread waits, for all"
    writer.kill()
    writer.wait()
    keep(database)
    assert kept(database) == 1, "the dead writer's is undone, ours is there"


def test_who_waits_is_served_when_the_writer_has_done(database: Database, writer: subprocess.Popen[str]) -> None:
    module.BUSY_S = 30  # type: ignore[misc]
    waiting = threading.Thread(target=keep, args=(database,))
    waiting.start()
    assert writer.stdin is not None
    writer.stdin.write("\n")
    writer.stdin.flush()
    waiting.join(20)
    assert kept(database) == 2


def test_threads_are_served_in_turn(tmp_path: Path) -> None:
    lock, turns, ready = WriteLock(tmp_path / "lock"), [], threading.Barrier(4)

    def work(name: int) -> None:
        ready.wait()
        for _ in range(25):
            held = lock.acquire(timeout_s=20)
            turns.append(name)
            time.sleep(0.001)  # the others come to the queue meanwhile
            lock.release(held)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(turns) == 100
    for at in range(4, 80):  # all four are at it
        assert len(set(turns[at : at + 8])) == 4, f"somebody is passed by: {turns}"


def test_one_that_gave_up_is_given_nothing(tmp_path: Path) -> None:
    lock, other = WriteLock(tmp_path / "lock"), WriteLock(tmp_path / "lock")
    held = other.acquire(timeout_s=1)
    with pytest.raises(StillLocked):
        lock.acquire(timeout_s=0.05)
    other.release(held)
    for _ in range(3):
        lock.release(lock.acquire(timeout_s=5))
        other.release(other.acquire(timeout_s=5))
