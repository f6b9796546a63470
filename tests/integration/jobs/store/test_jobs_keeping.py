"""A group of callbacks is kept as each would be alone, one after the other; whoever must be waited for is left out."""

from __future__ import annotations

import random
from typing import Any

import pytest
import sqlalchemy as sa
from rows import DAY, NOW, Rows

from jobs.machine.rows import AttemptOutcome
from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS
from jobs.store import keeping, tables
from jobs.store.keeping import Callback, Kept

pytestmark = pytest.mark.both_databases

MOST = 3  # bodies of an order


@pytest.fixture(autouse=True)
def few(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    object.__setattr__(rows.core.settings, "max_inbox_rows", MOST)
    monkeypatch.setattr("jobs.store.hearsay.MOST", 2 * MOST)


def orders(rows: Rows) -> list[str]:
    """Jobs in each situation that a callback may meet, and one that is not known here."""
    generating, unconfirmed = rows.job(State.GENERATING, alarm_at=NOW + DAY), rows.job(State.UNCONFIRMED, alarm_at=NOW)
    failed, archived = rows.job(State.FAILED, alarm_at=None), rows.job(State.ARCHIVED, alarm_at=None)
    rows.attempt(generating, task_id="its own")
    rows.attempt(unconfirmed)
    rows.attempt(failed, outcome=AttemptOutcome.EXPIRED)
    rows.attempt(archived, outcome=AttemptOutcome.DELIVERED, task_id="its own", account="e" * 16)
    return [generating, unconfirmed, failed, archived, "job_00000000000000000000000000"]


def drawn(fate: random.Random, job_id: str) -> Callback:
    """A callback: of this body or that, for one order or another, in words that can be read or not."""
    said = fate.randrange(6)
    named = fate.choice([None, "its own", f"task-{said}", f"task-{fate.randrange(9)}"])
    readable = fate.random() < 0.7
    number, provider = fate.choice([1, 1, 1, 2]), fate.choice(["evolink", "evolink", "apiframe"])
    body, status = f"{said} {named} {readable}".encode(), 200 if readable else 400
    return Callback(provider, job_id, number, body, {}, readable=readable, task_id=named, status=status)


def written(rows: Rows, names: dict[str, str]) -> list[Any]:
    """All that callbacks may change, with jobs called by their places."""
    tables_and_columns = (
        (tables.jobs, ("id", "state", "alarm_at")),
        (tables.inbox, ("job_id", "attempt", "provider", "digest", "readable", "status", "task_id", "read_at")),
        (tables.hearsay, ("job_id", "attempt", "task_id", "provider", "heard_at", "asks", "ask_at")),
        (tables.events, ("job_id", "event", "attempt")),
        (tables.unknown_words, ("provider", "word", "times")),
    )
    found = []
    with rows.database.read() as db:
        for table, columns in tables_and_columns:
            for row in db.execute(sa.select(*[table.c[name] for name in columns])):
                found.append((table.name, *[names.get(value, str(value)) for value in row]))
    return sorted(found)


def empty(rows: Rows) -> None:
    with rows.database.write() as db:
        for table in reversed(tables.metadata.sorted_tables):
            db.execute(sa.delete(table))


def one(rows: Rows, callback: Callback) -> Kept:
    return rows.write(lambda db: keeping.keep(db, callback, rows.core.settings, PROVIDERS, now=NOW))


def all_at_once(rows: Rows, group: list[Callback]) -> list[Kept | None]:
    return rows.write(lambda db: keeping.keep_all(db, group, rows.core.settings, PROVIDERS, now=NOW))


@pytest.mark.parametrize("seed", range(12))
def test_a_group_changes_what_its_callbacks_would_change_one_after_the_other(rows: Rows, seed: int) -> None:
    came_of_it: list[tuple[list[Kept | None], list[Any]]] = []
    for together in (False, True):
        empty(rows)
        fate, job_ids = random.Random(seed), orders(rows)
        told = [drawn(fate, fate.choice(job_ids)) for _ in range(60)]
        kept: list[Kept | None] = []
        for size in (0, 1, 17, 42):
            group, told = told[:size], told[size:]
            kept += all_at_once(rows, group) if together else [one(rows, each) for each in group]
        came_of_it.append((kept, written(rows, {job_id: f"job {n}" for n, job_id in enumerate(job_ids)})))
    assert came_of_it[0] == came_of_it[1]
    assert len(set(came_of_it[0][0])) > 5  # much of the table occurs


@pytest.mark.databases("postgresql")
def test_a_job_that_somebody_writes_is_left_out_and_its_neighbours_are_kept(rows: Rows) -> None:
    busy, free = rows.job(State.GENERATING, alarm_at=NOW + DAY), rows.job(State.GENERATING, alarm_at=NOW + DAY)
    told = [Callback("evolink", job_id, 1, b"{}", {}, True, "task-1", 200) for job_id in (busy, free, "job_unknown")]
    with rows.database.engine.begin() as other:
        other.execute(sa.update(tables.jobs).where(tables.jobs.c.id == busy).values(progress=50))
        kept = all_at_once(rows, told)
    assert kept[0] is None
    assert kept[1] == Kept(200, State.GENERATING, ring=True, kept=True, kept_at=NOW)
    assert kept[2] == Kept(200, None, ring=False, kept=True, kept_at=NOW)
    assert rows.case(busy).callbacks == ()
    assert len(rows.case(free).callbacks) == 1
