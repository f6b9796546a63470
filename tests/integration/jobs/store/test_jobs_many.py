"""Many ids and many rows in one statement, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from rows import NOW, Rows

from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS
from jobs.store import many
from jobs.store.database import Database
from jobs.store.keeping import Callback, keep_all
from jobs.store.many import one_of
from jobs.store.tables import inbox

BODIES = (b"", b"\x00\xff'\"\\{},NULL", "für, {all}".encode())


def row(number: int, **values: Any) -> dict[str, Any]:
    told = {"job_id": f"job_{number}", "attempt": number, "provider": "evolink", "digest": f"{number}", "body": b"{}"}
    kept = {"headers": {}, "readable": True, "status": 200, "task_id": None, "received_at": NOW}
    return told | kept | values


def kept(rows: Rows) -> list[dict[str, Any]]:
    with rows.database.read() as db:
        return [dict(found) for found in db.execute(sa.select(inbox).order_by(inbox.c.id)).mappings()]


@pytest.mark.both_databases
@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_rows_of_any_number_are_written_as_they_are_and_in_their_order(rows: Rows, count: int) -> None:
    wanted = [
        row(
            n,
            body=BODIES[n % 3],
            headers={"X-Event": 'a "b", {c} \\ NULL', "n": [n, None]},
            task_id=None if n % 2 else "NULL",
            received_at=NOW + timedelta(microseconds=n),
            readable=n % 2 == 0,
        )
        for n in range(count)
    ]
    rows.write(lambda db: many.insert(db, inbox, wanted))
    assert [{name: found[name] for name in row(0)} for found in kept(rows)] == wanted
    assert all(found["read_at"] is None for found in kept(rows))


@pytest.mark.both_databases
def test_a_column_is_one_of_as_many_values_as_are_given(rows: Rows) -> None:
    rows.write(lambda db: many.insert(db, inbox, [row(n) for n in range(5)]))
    select = sa.select(inbox.c.attempt).where(one_of(inbox.c.job_id, "job_ids")).order_by(inbox.c.attempt)
    numbers = sa.select(inbox.c.attempt).where(~one_of(inbox.c.attempt, "numbers")).order_by(inbox.c.attempt)
    with rows.database.read() as db:
        for wanted in ([], [3], [0, 4], [0, 1, 2, 3, 4]):
            assert list(db.execute(select, {"job_ids": [f"job_{n}" for n in wanted]}).scalars()) == wanted
            others = [n for n in range(5) if n not in wanted]
            assert list(db.execute(numbers, {"numbers": wanted}).scalars()) == others


@pytest.mark.both_databases
def test_two_conditions_of_one_shape_are_kept_apart(rows: Rows) -> None:
    """SQLAlchemy compiles statements that look alike once."""
    rows.write(lambda db: many.insert(db, inbox, [row(n, task_id=f"job_{4 - n}") for n in range(5)]))
    with rows.database.read() as db:
        for column, wanted in ((inbox.c.job_id, 1), (inbox.c.task_id, 3)):
            for name in ("some", "others"):
                select = sa.select(inbox.c.attempt).where(one_of(column, name))
                assert db.execute(select, {name: ["job_1"]}).scalars().all() == [wanted]


@pytest.mark.databases("postgresql")
def test_groups_of_all_sizes_are_kept_by_statements_that_postgresql_has_prepared_once(rows: Rows) -> None:
    job_ids = [rows.job(State.GENERATING) for _ in range(9)]
    for size in range(2, 10):
        for turn in range(7):
            group = [
                Callback("evolink", job_id, 1, b"%d %d" % (size, turn), {}, True, "task", 200)
                for job_id in job_ids[:size]
            ]
            rows.write(lambda db, group=group: keep_all(db, group, rows.core.settings, PROVIDERS, now=NOW))  # type: ignore[misc]
    with rows.database.read() as db:
        prepared = sa.text("SELECT statement FROM pg_prepared_statements WHERE statement LIKE '%inbox%'")
        found = sorted(statement.split()[0] for statement in db.execute(prepared).scalars())
    assert found == ["SELECT", "WITH"]


@pytest.mark.databases("postgresql")
def test_a_plan_that_was_made_before_there_were_callbacks_serves_many(spare_database: Database) -> None:
    """A connection keeps it until the server next looks how much there is, a minute later."""
    for_good = {"options": "-c plan_cache_mode=force_generic_plan"}
    database = Database(spare_database.url.update_query_dict(for_good).render_as_string(hide_password=False))
    rows = Rows(database)
    job_ids = [rows.job(State.GENERATING) for _ in range(3)]

    def keep(turn: int) -> None:
        group = [Callback("evolink", job_id, 1, b"%d" % turn, {}, True, "task", 200) for job_id in job_ids]
        rows.write(lambda db: keep_all(db, group, rows.core.settings, PROVIDERS, now=NOW))

    def read_in_order() -> int:
        with database.read() as db:
            db.exec_driver_sql("SELECT pg_stat_force_next_flush()")
            found = sa.text("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'inbox'")
            return int(db.execute(found).scalar_one())

    for turn in range(6):  # from its sixth use on a statement is prepared
        keep(turn)
    rows.write(lambda db: many.insert(db, inbox, [row(n) for n in range(3_000)]))
    before = read_in_order()
    keep(6)
    read = read_in_order() - before
    database.close()
    assert read < 1_000
