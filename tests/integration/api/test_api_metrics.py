"""GET /metrics."""

from __future__ import annotations

import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from api_orders import PLAIN, Orders
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from jobs import measures
from jobs.machine.error_codes import REASONS
from jobs.machine.outcome import Note
from jobs.machine.states import State
from jobs.providers.client import Account
from jobs.store import heartbeats, lanes, migrate, spending, unknown_words
from jobs.store.database import Database
from jobs.store.heartbeats import SWEPT
from jobs.store.tables import inbox, jobs

COUNTED = {
    "rushes_jobs",
    "rushes_needs_person",
    "rushes_today_usd",
    "rushes_orders_in_flight",
    "rushes_queue_age_seconds",
}

pytestmark = pytest.mark.both_databases


def read(api: FlaskClient) -> dict[tuple[str, str], float]:
    """Every number but histograms, by its name and the value of the first of its labels; summed over the others."""
    answer = api.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    families = text_string_to_metric_families(answer.get_data(as_text=True))
    found: dict[tuple[str, str], float] = defaultdict(float)
    for sample in (sample for family in families for sample in family.samples if sample.name in measures.BY_NAME):
        first = next(iter(measures.BY_NAME[sample.name].labels), None)
        found[sample.name, sample.labels[first] if first else ""] += sample.value
    return found


def test_every_state_and_every_reason_has_a_sample_from_the_first_day(own_api: FlaskClient) -> None:
    found = read(own_api)
    assert {label for name, label in found if name == "rushes_jobs"} == {state.value for state in State}
    assert {label for name, label in found if name == "rushes_needs_person"} == set(REASONS)
    assert {value for (name, _), value in found.items() if name in COUNTED} == {0.0}
    assert not [name for name, _ in found if name == "rushes_sweep_age_seconds"]  # no sweep was seen yet


@pytest.mark.databases("sqlite")
def test_nothing_reads_all_jobs_that_have_ended(own_api: FlaskClient, database: Database, tmp_path: Path) -> None:
    """PostgreSQL knows how many jobs are in each state, where SQLite takes the mean of all."""
    own_api.post("/v1/jobs", json=PLAIN)
    asked: dict[str, Any] = {}

    def note(_db: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked[statement] = values

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        read(own_api)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    with database.read() as db:
        (row,) = db.execute(sa.select(jobs)).mappings()
    full, scanning = Database(f"sqlite:///{tmp_path}/full.db"), []
    migrate.upgrade(full)
    with full.write() as db:
        ended = {**row, "state": "archived", "alarm_at": None, "ended_at": row["created_at"]}
        db.execute(sa.insert(jobs), [{**ended, "id": f"job_{n}"} for n in range(2_000)])
        db.exec_driver_sql("ANALYZE")
    with full.read() as db:
        for statement, values in asked.items():
            if statement.startswith("SELECT") and "attempts" not in statement:  # of which there are none here
                plan = [str(line[-1]) for line in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
                scanning += [statement] * ("SCAN jobs" in plan or "SEARCH jobs" in plan)
    full.close()
    assert not scanning


def test_jobs_what_waits_and_what_needs_a_person_are_counted(api: FlaskClient, database: Database) -> None:
    for _ in range(2):
        api.post("/v1/jobs", json=PLAIN)
    with database.write() as db:
        now = database.clock(db)
        first = db.execute(sa.select(sa.func.min(jobs.c.id))).scalar_one()
        alarms = {"alarm_at": now - timedelta(seconds=60), "state": "archiving"}
        db.execute(sa.update(jobs).where(jobs.c.id == first).values(**alarms))
        values = {"job_id": "job_x", "attempt": 1, "provider": "evolink", "digest": "d", "body": b"", "headers": {}}
        db.execute(sa.insert(inbox).values(**values, readable=True, status=200, received_at=now))
    heartbeats.beat(database, SWEPT, SWEPT)
    found = read(api)
    assert (found["rushes_jobs", "queued"], found["rushes_jobs", "archiving"]) == (1, 1)
    assert found["rushes_needs_person", "unknown_job"] == 1
    assert 60 <= found["rushes_oldest_due_seconds", ""] < 120
    assert 0 <= found["rushes_sweep_age_seconds", ""] < 60


def test_what_no_page_documents_is_counted_by_gateway(api: FlaskClient, database: Database) -> None:
    notes = [Note(unknown_words.SHAPE_EVENT, 1, {"provider": "evolink", "word": "(no status)"})] * 2
    with database.write() as db:
        unknown_words.count(db, notes, now=database.clock(db))
    found = read(api)
    assert found["rushes_gateway_unknown_answers_total", "evolink"] == 2
    assert found["rushes_needs_person", "gateway_drifts"] == 1


def test_a_sweep_from_before_the_clock_was_set_back_counts_for_nothing(api: FlaskClient, database: Database) -> None:
    now = database.clock
    database.clock = lambda db: now(db) + timedelta(days=1)
    heartbeats.beat(database, SWEPT, SWEPT)
    database.clock = now
    assert ("rushes_sweep_age_seconds", "") not in read(api)
    heartbeats.beat(database, SWEPT, SWEPT)
    assert 0 <= read(api)["rushes_sweep_age_seconds", ""] < 60


def test_a_held_job_is_not_waiting(api: FlaskClient, database: Database) -> None:
    api.post("/v1/jobs", json=PLAIN)
    with database.write() as db:
        now = database.clock(db)
        hold = {
            "lease_holder": "worker",
            "leased_until": now + timedelta(hours=1),
            "alarm_at": now - timedelta(hours=1),
        }
        db.execute(sa.update(jobs).values(**hold))
    assert read(api)["rushes_oldest_due_seconds", ""] == 0


def test_a_key_is_needed(api: FlaskClient) -> None:
    assert api.get("/metrics", headers={"Authorization": "Bearer rk_wrong"}).status_code == 401


def test_without_the_extra_the_answer_says_what_to_install(api: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    answer = api.get("/metrics")
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (501, "not_installed")
    assert "rushes[metrics]" in answer.get_json(force=True)["detail"]


def test_a_gateway_that_rests_and_whom_it_keeps_waiting_are_told(api: FlaskClient, database: Database) -> None:
    job_id = api.post("/v1/jobs", json=PLAIN).get_json()["id"]
    key = Account("evolink", "https://api.evolink.ai", "sk-test")
    with database.write() as db:
        lanes.rest(db, key, "submit", "no_answer", 600, now=database.clock(db))
        waiting = {"provider": "evolink", "code": "no_answer", "reason": "evolink does not answer orders"}
        db.execute(sa.update(jobs).where(jobs.c.id == job_id).values(waiting=waiting))
    text = api.get("/metrics").get_data(as_text=True)
    (rest,) = [line for line in text.splitlines() if line.startswith("rushes_gateway_rest_seconds{")]
    assert 'lane="submit",provider="evolink",reason="no_answer"' in rest
    assert 500 < float(rest.rpartition(" ")[2]) <= 600
    assert read(api)["rushes_jobs_held_up", "evolink"] == 1


def test_money_and_orders_under_way_of_each_gateway_are_told(make_api: Any, database: Database) -> None:
    api = make_api(EVOLINK_DAILY_USD="50")
    today = spending.day_of(datetime.now(UTC))
    orders = Orders(api, database)
    orders.add(today, "charged", estimated_usd=0.5, outcome="delivered", state="archived")
    orders.add(today, "held", estimated_usd=0.25, task_id="t-1")
    orders.add("2026-03-03", "charged", estimated_usd=9)
    families = text_string_to_metric_families(api.get("/metrics").get_data(as_text=True))
    found = {(s.name, s.labels.get("line", "")): s.value for family in families for s in family.samples}
    assert (found["rushes_today_usd", "charged"], found["rushes_today_usd", "held"]) == (0.5, 0.25)
    assert (found["rushes_today_orders", "charged"], found["rushes_today_orders", "refunded"]) == (1, 0)
    assert (found["rushes_budget_usd", ""], found["rushes_orders_unanswered", ""]) == (50, 0)
    assert found["rushes_orders_in_flight", ""] >= 1


def test_the_link_that_dies_first_is_told_while_there_is_one(api: FlaskClient, database: Database) -> None:
    assert ("rushes_link_life_left_seconds", "") not in read(api)
    for _ in range(2):
        api.post("/v1/jobs", json=PLAIN)
    with database.write() as db:
        now = database.clock(db)
        db.execute(sa.update(jobs).values(state="archiving", link_dies_at=now + timedelta(hours=2)))
        first = db.execute(sa.select(sa.func.min(jobs.c.id))).scalar_one()
        db.execute(sa.update(jobs).where(jobs.c.id == first).values(link_dies_at=now + timedelta(minutes=5)))
    assert 240 < read(api)["rushes_link_life_left_seconds", ""] <= 300


def test_the_share_of_callbacks_that_are_lost_is_told_where_any_were_to_come(
    api: FlaskClient, database: Database
) -> None:
    with database.read() as db:
        now = database.clock(db)
    orders, made = Orders(api, database), {"state": "archived", "outcome": "delivered", "with_callback": True}
    for by in ("callback", "callback", "poll"):
        orders.add(spending.day_of(now), "charged", **made, news_by=by, news_at=now - timedelta(hours=1))
    orders.add(spending.day_of(now), "charged", **made, news_by="poll", news_at=now - timedelta(hours=25))
    unasked = {**made, "provider": "gravitex", "with_callback": False}
    orders.add(spending.day_of(now), "charged", **unasked, news_by="poll", news_at=now - timedelta(hours=1))
    found = read(api)
    assert found["rushes_callback_loss_ratio", "evolink"] == pytest.approx(1 / 3, abs=0.0001)
    assert ("rushes_callback_loss_ratio", "gravitex") not in found
