"""What is old goes, and nothing that somebody may still need."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from rows import DAY, NOW, SECOND, Rows

from jobs.machine.rows import AttemptOutcome, Origin, Standing
from jobs.machine.states import State
from jobs.reports import costs
from jobs.store import spending
from jobs.store.history import PRUNED
from jobs.store.tables import attempts, events, idempotency_keys, inbox, jobs, notice_tries, notices
from jobs.upkeep import audit, balance, prune
from jobs.upkeep.prune import Pruned, Pruning

pytestmark = pytest.mark.both_databases

SENT = {"method": "POST", "path": "/v1/videos", "body": {"prompt": "A fox"}, "headers": {}}
LONG_AGO = NOW - 181 * DAY


def pruned(rows: Rows, *, dry: bool = False) -> Pruned:
    return Pruning(rows.database, rows.core.settings, dry, pause=lambda seconds: None).run()


def ended(rows: Rows, state: State = State.ARCHIVED, *, at: datetime = LONG_AGO, **columns: Any) -> str:
    """A job that ended then, with an order that was paid, three events, a callback and a delivered notice."""
    rows.now = at
    job_id = rows.job(state, **{"alarm_at": None, "ended_at": at, "bytes": 1, **columns})
    order = {"outcome": AttemptOutcome.DELIVERED, "standing": Standing.CHARGED, "estimated_usd": 0.5}
    rows.attempt(job_id, request=SENT, reserved_micro_usd=500_000, **order)
    rows.callback(job_id)
    line = {"job_id": job_id, "at": at, "attempt": 1, "detail": {}}
    told = {"job_id": job_id, "sequence": 1, "type": "job.archived", "url": "https://h", "body": {}, "version": 0}

    def write(db: sa.Connection) -> None:
        db.execute(sa.insert(events), [{**line, "event": event, "to_state": state} for event in ("claim", "store")])
        db.execute(sa.insert(notices).values(**told, id=f"ntc_{job_id}", created_at=at, alarm_at=None))
        db.execute(sa.insert(notice_tries).values(notice_id=f"ntc_{job_id}", number=1, at=at, status=200, took_s=0.1))
        spending.reserve(db, "evolink", spending.day_of(at), 500_000, None)

    rows.write(write)
    rows.now = NOW
    return job_id


def counts(rows: Rows) -> dict[str, int]:
    tables = (jobs, attempts, events, inbox, notices, notice_tries, idempotency_keys)
    with rows.database.read() as db:
        return {t.name: db.execute(sa.select(sa.func.count()).select_from(t)).scalar_one() for t in tables}


def test_of_an_old_job_the_row_its_orders_and_one_line_stay(rows: Rows) -> None:
    job_id = ended(rows)
    assert pruned(rows) == Pruned(callbacks=1, histories=1, events=3, requests=1, notices=1)
    left = counts(rows)
    assert left == {
        "jobs": 1,
        "attempts": 1,
        "events": 1,
        "inbox": 0,
        "notices": 0,
        "notice_tries": 0,
        "idempotency_keys": 0,
    }
    assert rows.history(job_id) == [(PRUNED, None, "archived")]
    attempt = rows.case(job_id).attempts[1]
    assert (attempt.request, attempt.outcome, attempt.estimated_usd) == ({}, AttemptOutcome.DELIVERED, 0.5)


def test_a_history_is_packed_a_day_after_its_job_has_ended(rows: Rows) -> None:
    job_id = ended(rows, at=NOW - DAY + SECOND)
    before = rows.history(job_id)
    assert pruned(rows) == Pruned()
    rows.now += 2 * SECOND
    assert pruned(rows, dry=True) == Pruned(packed_histories=1)
    assert counts(rows)["events"] == 3
    assert pruned(rows) == Pruned(packed_histories=1)
    assert (counts(rows)["events"], rows.history(job_id)) == (0, before)
    assert pruned(rows) == Pruned()


def test_histories_are_packed_however_far_apart_their_lines_stand(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "NUMBERS", 4)
    job_ids = [ended(rows, at=NOW - 2 * DAY) for _ in range(5)]
    before = [rows.history(job_id) for job_id in job_ids]
    assert pruned(rows) == Pruned(packed_histories=5)
    assert counts(rows)["events"] == 0
    assert [rows.history(job_id) for job_id in job_ids] == before


def test_a_packed_history_is_pruned_like_any_other(rows: Rows) -> None:
    job_id = ended(rows, at=NOW - 29 * DAY)
    assert pruned(rows) == Pruned(packed_histories=1)
    rows.now = NOW + 152 * DAY
    assert pruned(rows) == Pruned(callbacks=1, histories=1, events=3, requests=1, notices=1)
    assert rows.history(job_id) == [(PRUNED, None, "archived")]
    rows.now = NOW + 400 * DAY
    assert pruned(rows) == Pruned()


def test_what_was_pruned_is_left_alone_the_next_time(rows: Rows) -> None:
    ended(rows)
    pruned(rows)
    rows.now = NOW + 400 * DAY
    assert pruned(rows) == Pruned()


def test_a_dry_run_counts_the_same_and_deletes_nothing(rows: Rows) -> None:
    ended(rows)
    before = counts(rows)
    told = pruned(rows, dry=True)
    assert counts(rows) == before
    assert (told, bool(told)) == (pruned(rows), True)


def test_everything_has_an_age_of_its_own(rows: Rows) -> None:
    ended(rows, at=NOW - 29 * DAY)
    assert not pruned(rows)
    rows.now = NOW + 2 * DAY
    assert pruned(rows) == Pruned(callbacks=1)
    rows.now = NOW + 152 * DAY
    assert pruned(rows) == Pruned(histories=1, events=3, requests=1, notices=1)


STIRRING: list[dict[str, Any]] = [
    {"state": State.GENERATING, "ended_at": None, "alarm_at": NOW},
    {"state": State.GENERATING, "ended_at": None, "alarm_at": None},
    {"alarm_at": NOW},
    {"lease_holder": "worker", "leased_until": NOW},
]


@pytest.mark.parametrize("columns", [*STIRRING, {"ended_at": NOW - 179 * DAY}])
def test_what_may_still_move_keeps_its_history(rows: Rows, columns: dict[str, Any]) -> None:
    job_id = ended(rows, **columns)
    before = rows.history(job_id)
    assert pruned(rows).histories == 0
    assert rows.history(job_id) == before


@pytest.mark.parametrize("columns", [*STIRRING, {"ended_at": NOW - SECOND}])
def test_what_may_still_move_is_not_packed(rows: Rows, columns: dict[str, Any]) -> None:
    ended(rows, **columns)
    assert not pruned(rows).packed_histories
    assert counts(rows)["events"] == 3


@pytest.mark.parametrize("columns", [{"alarm_at": NOW}, {"lease_holder": "worker", "leased_until": NOW}])
def test_a_callback_that_may_still_be_read_stays(rows: Rows, columns: dict[str, Any]) -> None:
    ended(rows, **columns)
    assert pruned(rows).callbacks == 0


@pytest.mark.parametrize(("columns", "left"), [({}, 0), ({"alarm_at": NOW}, 1)])
def test_the_task_that_a_callback_told_of_goes_with_it(rows: Rows, columns: dict[str, Any], left: int) -> None:
    job_id = ended(rows, **columns)
    pruned(rows)
    assert len(rows.case(job_id).hearsay) == left


def test_a_job_with_an_open_order_is_left_alone(rows: Rows) -> None:
    job_id = ended(rows, State.FAILED)
    rows.attempt(job_id, 2)
    assert not pruned(rows)


def test_a_notice_that_is_still_to_be_sent_keeps_its_job_s_history(rows: Rows) -> None:
    job_id = ended(rows)
    rows.write(lambda db: db.execute(sa.update(notices).values(alarm_at=NOW + DAY)))
    assert pruned(rows) == Pruned(callbacks=1)
    assert len(rows.history(job_id)) == 3


def test_a_callback_of_an_order_that_nobody_knows_waits_for_a_person(rows: Rows) -> None:
    job_id = ended(rows)
    rows.now = LONG_AGO
    rows.callback("job_01K0000000000000000000FORG", b"1")
    rows.callback(job_id, b"2", attempt=2)
    rows.write(lambda db: db.execute(sa.update(jobs).values(alarm_at=None)))  # the second one woke its job
    rows.now = NOW
    assert pruned(rows).callbacks == 1
    assert counts(rows)["inbox"] == 2


def test_a_late_callback_of_a_pruned_job_wakes_nobody(rows: Rows) -> None:
    job_id = ended(rows)
    pruned(rows)
    kept = rows.callback(job_id)
    assert (kept.status, kept.ring, rows.case(job_id).job.alarm_at) == (200, False, None)


def test_what_stands_for_a_forgotten_order_stays_as_it_is(rows: Rows) -> None:
    job_id = ended(rows, State.FAILED)
    forgotten = {"origin": Origin.FORGOTTEN, "request": {}, "standing": Standing.NONE}
    rows.write(lambda db: db.execute(sa.update(attempts).values(**forgotten)))
    assert pruned(rows).requests == 0
    assert rows.case(job_id).attempts[1].is_forgotten


def test_an_idempotency_key_outlives_its_days_while_its_job_is_live(rows: Rows) -> None:
    case, _ = rows.create(key="k1")
    rows.now = NOW + 8 * DAY
    assert not pruned(rows)
    assert rows.create(key="k1") == (rows.case(case.job.id), True)
    rows.write(lambda db: db.execute(sa.update(jobs).values(state=State.CANCELLED, alarm_at=None, ended_at=NOW)))
    assert pruned(rows) == Pruned(idempotency_keys=1)


def test_an_idempotency_key_of_a_batch_is_kept_for_good(rows: Rows) -> None:
    rows.create(key="k1", batch="scenes.jsonl")
    rows.create(key="k2")
    rows.write(lambda db: db.execute(sa.update(jobs).values(state=State.CANCELLED, alarm_at=None, ended_at=NOW)))
    rows.now = NOW + 800 * DAY
    assert pruned(rows).idempotency_keys == 1
    assert rows.create(key="k1", batch="scenes.jsonl")[1]


def test_keys_that_are_kept_for_good_take_no_transactions(rows: Rows) -> None:
    for n in range(3):
        rows.create(key=f"k{n}", batch="scenes.jsonl")
    rows.now = NOW + 800 * DAY
    batches: list[float] = []
    Pruning(rows.database, rows.core.settings, pause=batches.append).run()
    assert batches == []


@pytest.mark.databases("postgresql")
def test_a_page_of_old_jobs_reads_no_table_of_histories_whole(rows: Rows) -> None:
    ended(rows)
    page = sa.select(jobs.c.id, prune._has_history()).order_by(jobs.c.id).limit(1000)
    with rows.database.engine.connect() as db:  # of which nothing stays
        _copied(db)
        plan = "\n".join(
            db.execute(sa.text(f"EXPLAIN {page.compile(db, compile_kwargs={'literal_binds': True})}")).scalars()
        )
        db.rollback()
    assert "Seq Scan" not in plan, plan


@pytest.mark.databases("postgresql")
def test_jobs_at_rest_are_found_by_no_span_of_time(rows: Rows) -> None:
    job_id = ended(rows)
    with rows.database.engine.connect() as db:  # of which nothing stays
        _copied(db)
        asked: list[str] = []
        sa.event.listen(db, "before_cursor_execute", lambda *told: asked.append(told[2]))
        prune._at_rest(db, [job_id] * 50, sa.and_(jobs.c.ended_at >= LONG_AGO, jobs.c.ended_at < NOW))
        number = itertools.count(1)
        generic = re.sub(r"%\(\w+\)s", lambda _: f"${next(number)}", asked[-1])
        plan = "\n".join(db.exec_driver_sql(f"EXPLAIN (GENERIC_PLAN) {generic}").scalars())
        db.rollback()
    assert "ix_jobs_ended_at" not in plan, plan


def _copied(db: sa.Connection) -> None:
    """Five thousand more jobs as there is one, each with a history."""
    names = [column.name for column in jobs.columns]
    said = ", ".join("id || '_' || n" if name == "id" else name for name in names)
    db.execute(sa.text(f"INSERT INTO jobs ({', '.join(names)}) SELECT {said} FROM jobs, generate_series(1, 5000) AS n"))
    db.execute(sa.text("INSERT INTO histories SELECT id, 'x' FROM jobs"))
    lines = "INSERT INTO events (job_id, at, event, attempt, detail) SELECT id, now(), 'claim', 1, '{}' FROM jobs"
    db.execute(sa.text(lines))
    for table in ("jobs", "histories", "events"):
        db.execute(sa.text(f"ANALYZE {table}"))


def test_an_idempotency_key_is_kept_for_its_days(rows: Rows) -> None:
    rows.create(key="k1")
    rows.write(lambda db: db.execute(sa.update(jobs).values(state=State.CANCELLED, alarm_at=None, ended_at=NOW)))
    rows.now = NOW + 7 * DAY
    assert not pruned(rows)
    rows.now += SECOND
    assert pruned(rows) == Pruned(idempotency_keys=1)


def test_costs_budgets_and_the_account_are_those_of_before(rows: Rows) -> None:
    job_ids = [ended(rows), ended(rows, State.FAILED)]
    day = spending.day_of(LONG_AGO)

    def told() -> Any:
        with rows.database.read() as db:
            found = audit.last_states(db, job_ids)
            wrong = [f for job_id in job_ids for f in balance.check(rows.case(job_id), found.get(job_id))]
            return (
                costs.sums(db, since=day, until=day),
                balance.count(db),
                wrong,
                spending.spent_usd(db, "evolink", day),
            )

    before = told()
    assert before[0][0].usd == 1.0
    assert before[2] == []
    assert pruned(rows).histories == 2
    assert told() == before


def test_a_retry_after_years_still_knows_what_was_paid(rows: Rows) -> None:
    job_id = ended(rows, State.FAILED)
    pruned(rows)
    assert rows.case(job_id).attempts[1].standing is Standing.CHARGED


def test_more_than_a_page_is_pruned_in_small_transactions(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "PAGE", 3)
    monkeypatch.setattr(prune, "BATCH", 2)
    for number in range(7):
        ended(rows, at=LONG_AGO + number * SECOND)
        rows.now = LONG_AGO
        rows.create(key=f"k{number}")
    pauses: list[float] = []
    rows.write(lambda db: db.execute(sa.update(jobs).values(state=State.ARCHIVED, alarm_at=None, ended_at=LONG_AGO)))
    rows.now = NOW
    done = Pruning(rows.database, rows.core.settings, pause=pauses.append).run()
    assert (done.callbacks, done.histories, done.idempotency_keys) == (7, 14, 7)
    assert len(pauses) == 4 + 7 + 4


def test_a_limit_beyond_all_time_keeps_everything(rows: Rows) -> None:
    ended(rows)
    settings = replace(rows.core.settings, keep_callbacks_d=1e11, keep_history_d=1e11, keep_idempotency_keys_d=1e11)
    assert not Pruning(rows.database, settings).run()
