"""What the sweep finds, in which order, on both databases."""

from __future__ import annotations

import random

import pytest
import sqlalchemy as sa
from rows import DAY, HOUR, MINUTE, NOW, SECOND, Rows

from jobs.machine.states import State
from jobs.store import cases, due, due_heads, leases
from jobs.store.step_table import BY_NAME, OF_JOBS, SUBMIT, wake
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
                both = (due._due_jobs(step.name), due_heads.statement(step.name))
                sorted_, read = (db.execute(each, {**values, "limit": limit}).all() for each in both)
                assert read == sorted_, (step.name, limit)
                found += len(read)
    assert found > 100


@pytest.mark.databases("postgresql")
def test_a_long_line_is_read_at_its_head(rows: Rows) -> None:
    """Neither a line of those that are due nor one of those that wait is read to its end."""
    rows.job(alarm_at=NOW - MINUTE)
    rows.job(State.ARCHIVING, alarm_at=NOW - MINUTE, link_dies_at=NOW + DAY)
    rows.job(State.GENERATING, alarm_at=NOW + HOUR)
    own = {"id": "state || '_' || n"}
    names = [column.name for column in jobs.columns]
    copied = f"INSERT INTO jobs ({', '.join(names)}) SELECT {', '.join(own.get(n, n) for n in names)} FROM jobs"
    with rows.database.engine.connect() as db:  # of which nothing stays
        db.execute(sa.text(f"{copied}, generate_series(1, 3000) AS n"))
        db.execute(sa.text("ANALYZE jobs"))
        for step in OF_JOBS:
            values = {"now": NOW, "ahead": NOW + due.CLOCK_SET_BACK, "limit": 5}
            asked = db.execute(due_heads.statement(step.name), values).context
            explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {asked.statement}"
            (plan,) = db.exec_driver_sql(explain, asked.parameters[0]).scalar_one()
            assert most_rows(plan["Plan"]) < 100, (step.name, plan)
        db.rollback()


def most_rows(plan: dict[str, object]) -> float:
    """The most that one node of a plan has read, those that it has left out as well."""
    own = sum(float(str(plan.get(name, 0))) for name in ("Actual Rows", "Rows Removed by Filter"))
    inner = plan.get("Plans", [])
    assert isinstance(inner, list)
    return max([own, *map(most_rows, inner)])
