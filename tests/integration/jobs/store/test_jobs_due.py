"""What the sweep finds, in which order, on both databases."""

from __future__ import annotations

import pytest
from rows import DAY, HOUR, MINUTE, NOW, SECOND, Rows

from jobs.machine.states import State
from jobs.store import cases, due, leases
from jobs.store.step_table import BY_NAME, SUBMIT, wake

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
