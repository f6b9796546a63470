"""What all processes have counted together: added up in the database, by each at its own time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from own_database import held

from jobs import measures
from jobs.store import tables, tallied
from jobs.store.database import Database, DatabaseUnavailable

pytestmark = pytest.mark.both_databases


@pytest.fixture
def processes(database_url: str) -> Iterator[list[Database]]:
    """What two processes have of one database."""
    with ExitStack() as stack:
        found = [Database(database_url) for _ in range(2)]
        for each in found:
            stack.callback(each.close)
        yield found


def sums(database: Database, measure: measures.Measure) -> dict[tuple[str, ...], dict[str, float]]:
    with database.read() as db:
        return tallied.read(db).get(measure.name, {})


def test_what_two_processes_count_is_added_up(processes: list[Database]) -> None:
    one, other = processes
    for database, times in ((one, 3), (other, 4), (one, 5)):
        for _ in range(times):
            database.tallies.count(measures.ORDERS, "evolink")
            database.tallies.observe(measures.STEP_S, 0.2, "jobs.submit")
        tallied.add(database)
    assert sums(other, measures.ORDERS) == {("evolink",): {"": 12}}
    assert sums(one, measures.STEP_S) == {("jobs.submit",): {"0.25": 12, "sum": pytest.approx(2.4)}}


def test_nothing_counted_writes_nothing(database: Database) -> None:
    with held(str(database.url.render_as_string(hide_password=False)), tables.tallies):
        tallied.add(database)


def test_two_who_add_the_same_in_another_order_do_not_lock_each_other_out(processes: list[Database]) -> None:
    names = [f"gateway{n}" for n in range(40)]

    def work(database: Database, order: list[str]) -> None:
        for _ in range(10):
            for name in order:
                database.tallies.count(measures.ORDERS, name)
            tallied.add(database)

    threads = [
        threading.Thread(target=work, args=args) for args in zip(processes, (names, list(reversed(names))), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sums(processes[0], measures.ORDERS) == {(name,): {"": 20} for name in names}


def test_what_cannot_be_written_is_kept_for_the_next_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise DatabaseUnavailable("gone")

    database.tallies.count(measures.ORDERS, "evolink")
    with monkeypatch.context() as patched:
        patched.setattr(database, "write", away)
        with pytest.raises(DatabaseUnavailable):
            tallied.add(database)
    database.tallies.count(measures.ORDERS, "evolink")
    tallied.add(database)
    tallied.add(database)
    assert sums(database, measures.ORDERS) == {("evolink",): {"": 2}}


def test_the_thread_outlives_a_database_that_is_away_and_adds_at_its_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, write = threading.Event(), database.write

    def away() -> None:
        tried.set()
        raise DatabaseUnavailable("gone")

    monkeypatch.setattr(database, "write", away)
    database.tallies.count(measures.ORDERS, "evolink")
    adding = tallied.Adding(database, every_s=0.01)
    try:
        assert tried.wait(10)
        monkeypatch.setattr(database, "write", write)
    finally:
        adding.close()
    assert sums(database, measures.ORDERS) == {("evolink",): {"": 1}}
