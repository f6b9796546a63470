"""Connections to the database: those of a burst are kept for the next one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import sqlalchemy as sa
from rows import Rows
from sqlalchemy import event

from jobs.store.database import Database

THREADS = 16


@pytest.mark.both_databases
def test_a_burst_finds_the_connections_of_the_one_before(rows: Rows) -> None:
    opened: list[object] = []
    with closing(Database(rows.database.url.render_as_string(hide_password=False), threads=THREADS)) as database:
        event.listen(database.engine, "connect", lambda connection, _: opened.append(connection))
        for _ in range(3):
            all_read = threading.Barrier(THREADS, timeout=30)

            def read(together: threading.Barrier = all_read) -> int:
                with database.read() as db:
                    together.wait()
                    return int(db.execute(sa.text("SELECT 1")).scalar_one())

            with ThreadPoolExecutor(THREADS) as pool:
                assert sum(pool.map(lambda _, read=read: read(), range(THREADS))) == THREADS
    assert len(opened) == THREADS
