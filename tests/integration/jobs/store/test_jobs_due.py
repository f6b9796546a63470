"""What the sweep finds, in which order, on both databases."""

from __future__ import annotations

import random

import pytest
import sqlalchemy as sa
from rows import DAY, HOUR, MINUTE, NOW, SECOND, Rows

from jobs.machine.states import State
from jobs.store import cases, due, due_heads, leases
from jobs.store.database import Database
from jobs.store.step_table import BY_NAME, OF_JOBS, SUBMIT, Step, wake
from jobs.store.tables import jobs

pytestmark = pytest.mark.both_databases


def due_ids(rows: Rows, step: str, *, limit: int = 100, leave_out: tuple[due.Due, ...] = ()) -> list[str]:
    with rows.database.read() as db:
        return [row.id for row in due.due_rows(db, BY_NAME[step], limit=limit, now=rows.now, leave_out=leave_out)]


NAMED = {"named_task_id": "task-named"}


@pytest.mark.parametrize("unread", [False, True])
@pytest.mark.parametrize(
    "order", [{}, NAMED, {**NAMED, "named_refused": "no such task"}, {**NAMED, "task_id": "task-1"}], ids=str
)
@pytest.mark.parametrize("state", State)
def test_a_due_job_is_found_for_the_one_step_that_its_row_asks_for(
    rows: Rows, state: State, order: dict[str, str], unread: bool
) -> None:
    job_id = rows.job(state)
    rows.attempt(job_id, **order)
    if unread:
        rows.callback(job_id)
    found = [step for step in BY_NAME if job_id in due_ids(rows, step)]
    case = rows.case(job_id)
    assert case.has_news is (unread or order == NAMED)
    assert found == [wake(state, news=case.has_news).name]


@pytest.mark.parametrize(
    "columns",
    [
        {"alarm_at": NOW + SECOND},
        {"alarm_at": None},
        {"lease_holder": "A", "leased_until": NOW + SECOND},
    ],
    ids=["not rung yet", "no alarm", "held"],
)
def test_a_job_that_is_not_due_is_not_found(rows: Rows, columns: dict[str, object]) -> None:
    rows.job(State.GENERATING, **columns)
    assert due_ids(rows, "jobs.reconcile") == []


def test_a_dead_workers_job_is_found_once_its_lease_has_run_out(rows: Rows) -> None:
    job_id = rows.job(State.SUBMITTING, lease_holder="A", leased_until=NOW)
    assert due_ids(rows, "jobs.lose") == [job_id]


def test_a_row_from_the_future_is_found_because_the_clock_was_set_back(rows: Rows) -> None:
    job_id = rows.job(State.GENERATING, alarm_at=NOW + HOUR, updated_at=NOW + HOUR)
    rows.job(State.ARCHIVED, alarm_at=None, updated_at=NOW + HOUR)
    assert due_ids(rows, "jobs.reconcile") == [job_id]


def test_a_row_from_the_future_is_found_again_after_a_worker_that_took_it_has_died(rows: Rows) -> None:
    job_id = rows.job(State.GENERATING, alarm_at=NOW + DAY, updated_at=NOW + DAY)
    with rows.database.write() as db:
        assert leases.claim(db, cases.read_case(db, job_id), holder="A", lease_s=60, now=NOW)
    rows.now = NOW + 2 * MINUTE
    assert due_ids(rows, "jobs.reconcile") == [job_id]


def test_the_longest_waiting_comes_first(rows: Rows) -> None:
    late, early = rows.job(alarm_at=NOW - MINUTE), rows.job(alarm_at=NOW - HOUR)
    assert due_ids(rows, "jobs.submit") == [early, late]


def test_the_link_with_the_least_life_left_comes_first(rows: Rows) -> None:
    fresh = rows.job(State.ARCHIVING, alarm_at=NOW - HOUR, link_dies_at=NOW + DAY)
    dying = rows.job(State.ARCHIVING, alarm_at=NOW, link_dies_at=NOW + MINUTE)
    assert due_ids(rows, "jobs.transfer") == [dying, fresh]


def test_keys_take_turns_so_that_a_batch_of_one_does_not_starve_another(rows: Rows) -> None:
    batch = [rows.job(alarm_at=NOW - HOUR + n * SECOND, api_key_id="batch") for n in range(4)]
    single = rows.job(alarm_at=NOW - MINUTE, api_key_id="single")
    assert due_ids(rows, "jobs.submit") == [batch[0], single, *batch[1:]]
    assert due_ids(rows, "jobs.submit", limit=2) == [batch[0], single]


def test_what_was_handed_over_is_left_out_until_somebody_has_worked_on_it(rows: Rows) -> None:
    one, two = rows.job(alarm_at=NOW - HOUR), rows.job()
    with rows.database.read() as db:
        handed = tuple(due.due_rows(db, SUBMIT, limit=1, now=NOW))
    assert [row.id for row in handed] == [one]
    assert due_ids(rows, "jobs.submit", leave_out=handed) == [two]
    lease = rows.lease(one, lease_s=1)
    assert lease.job.version != handed[0].version
    rows.now += MINUTE
    assert due_ids(rows, "jobs.submit", leave_out=handed) == [one, two]


def drawn(rows: Rows, draw: random.Random) -> None:
    """A job in any state that a sweep may find: of one of three keys, rung or not, leased or not, with news or not."""
    job_id = rows.job(draw.choice(list(State)), api_key_id=f"key_{draw.randrange(3)}")
    if draw.random() < 0.5:
        rows.attempt(job_id, **draw.choice([{}, NAMED, {**NAMED, "task_id": f"task-{job_id}"}]))
    if draw.random() < 0.3:
        rows.callback(job_id, task_id=draw.choice([None, "task-1", "task-2"]))
    at = [NOW + n * MINUTE for n in range(-3, 2)]  # few, so that several rang at once
    is_leased = draw.random() < 0.3
    columns = {
        "alarm_at": draw.choice([*at, None]),
        "link_dies_at": draw.choice([*at, NOW + HOUR, None, None]),
        "lease_holder": "A" if is_leased else None,
        "leased_until": draw.choice(at) if is_leased else None,
        "updated_at": draw.choice([NOW, NOW, NOW, NOW + HOUR]),
    }
    rows.write(lambda db: db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(**columns)))


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("seed", range(4))
def test_the_heads_of_lines_are_what_sorting_all_that_are_due_finds(rows: Rows, seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(120):
        drawn(rows, draw)
    values = {"now": NOW, "ahead": NOW + due.CLOCK_SET_BACK}
    found = 0
    with rows.database.read() as db:
        for step in OF_JOBS:
            for limit in (1, 2, 7, 1000):
                asked = {**values, "limit": limit}
                sorted_ = db.execute(due._due_jobs(step.name), asked).all()
                read = [row[:2] for row in due_heads.read(db, step, asked)]
                assert read == sorted_, (step.name, limit)
                found += len(read)
    assert found > 100


@pytest.mark.databases("postgresql")
def test_a_key_has_the_turns_that_others_leave_it(rows: Rows) -> None:
    """More than its share, which is what is read of each line at first."""
    many = [rows.job(alarm_at=NOW - HOUR + n * SECOND, api_key_id="many") for n in range(30)]
    few = [rows.job(alarm_at=NOW - MINUTE, api_key_id=f"few_{n}") for n in range(2)]
    assert due_ids(rows, "jobs.submit", limit=25) == [many[0], *few, *many[1:23]]


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("knows", ["how many there are", "nothing"])
def test_a_long_line_is_read_at_its_head(spare_database: Database, knows: str) -> None:
    """Neither a line of those that are due nor one of those that wait is read to its end, nor one beside a short line.

    Also before PostgreSQL has looked for the first time at what the table holds.
    """
    rows = Rows(spare_database)
    rows.job(alarm_at=NOW - MINUTE)
    rows.job(State.SUBMITTING, alarm_at=NOW - MINUTE)
    rows.job(State.ARCHIVING, alarm_at=NOW - MINUTE, link_dies_at=NOW + DAY)
    rows.job(State.GENERATING, alarm_at=NOW + HOUR)
    for state in (State.QUEUED, State.SUBMITTING, State.ARCHIVING, State.GENERATING):
        rows.job(state, alarm_at=NOW, api_key_id="short")
    with rows.database.engine.connect() as db:  # of which nothing stays
        _copy(db, 3000, "state || '_' || n", "api_key_id = 'key_1'")
        if knows == "how many there are":
            db.execute(sa.text("ANALYZE jobs"))
        for step in OF_JOBS:
            assert most_read(db, step, limit=5) < 100, step.name
        db.rollback()


@pytest.mark.databases("postgresql")
def test_of_many_keys_each_ones_share_is_read(rows: Rows) -> None:
    for n in range(40):
        rows.job(alarm_at=NOW - MINUTE, api_key_id=f"key_{n}")
    with rows.database.engine.connect() as db:  # of which nothing stays
        _copy(db, 60, "api_key_id || '_' || n", "true")
        db.execute(sa.text("ANALYZE jobs"))
        assert most_read(db, SUBMIT, limit=40) < 500
        db.rollback()


def _copy(db: sa.Connection, times: int, new_id: str, which: str) -> None:
    """Write some jobs so many times again."""
    names = [column.name for column in jobs.columns]
    said = ", ".join(new_id if name == "id" else name for name in names)
    made = f"INSERT INTO jobs ({', '.join(names)}) SELECT {said} FROM jobs, generate_series(1, {times}) AS n"
    db.execute(sa.text(f"{made} WHERE {which}"))


def most_read(db: sa.Connection, step: Step, *, limit: int) -> float:
    """The most rows that a part of a look reads."""
    values = {"now": NOW, "ahead": NOW + due.CLOCK_SET_BACK, "limit": limit, "least": 1}
    asked = db.execute(due_heads._statement(step.name), values).context
    explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {asked.statement}"
    (plan,) = db.exec_driver_sql(explain, asked.parameters[0]).scalar_one()
    return most_rows(plan["Plan"])


def most_rows(plan: dict[str, object]) -> float:
    """The most that one node of a plan has read, those that it has left out as well."""
    own = sum(float(str(plan.get(name, 0))) for name in ("Actual Rows", "Rows Removed by Filter"))
    inner = plan.get("Plans", [])
    assert isinstance(inner, list)
    return max([own, *map(most_rows, inner)])
