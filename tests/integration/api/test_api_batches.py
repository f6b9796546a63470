"""GET /v1/batches/<name>."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from api_orders import Bells, Orders
from flask.testing import FlaskClient

from jobs.reports.costs import LINES
from jobs.store.database import Database
from rushes.api.batches import BatchSchema

pytestmark = pytest.mark.both_databases

DAY = "2026-03-03"
NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
NAME = "scenes 日本.jsonl"


@pytest.fixture
def orders(api: FlaskClient, database: Database) -> Orders:
    return Orders(api, database)


def batch(api: FlaskClient, name: str = NAME) -> dict[str, Any]:
    answer = api.get(f"/v1/batches/{name}")
    told: dict[str, Any] = answer.get_json(force=True)
    assert answer.status_code == 200, told
    assert BatchSchema().validate(told) == {}
    assert told.keys() == BatchSchema().fields.keys()
    return told


def columns(minute: int, **more: Any) -> dict[str, Any]:
    return {"batch": NAME, "created_at": NOON + timedelta(minutes=minute), **more}


def test_jobs_money_and_time_of_a_batch_are_summed_and_those_of_no_other(api: FlaskClient, orders: Orders) -> None:
    film = {"bytes": 100, "duration_s": 5.06}
    orders.add(DAY, "charged", state="archived", of_job=columns(0, **film), outcome="delivered", reported_usd=0.5)
    orders.add(DAY, "charged", state="archived", of_job=columns(1, **film), outcome="delivered", estimated_usd=0.25)
    orders.add(DAY, "charged", state="failed", of_job=columns(2), outcome="undelivered", estimated_usd=0.1)
    orders.add(DAY, "uncertain", of_job=columns(3, flagged="troubled"), estimated_usd=0.01)
    orders.add(DAY, "refunded", state="failed", of_job=columns(4), outcome="failed", estimated_usd=8)
    orders.add(DAY, "charged", of_job={**columns(0), "batch": "another"}, estimated_usd=9)
    told = batch(api)
    assert (told["jobs"], told["states"]) == (5, {"generating": 1, "archived": 2, "failed": 2})
    assert (told["needs_person"], told["video_bytes"], told["video_s"]) == (1, 200, 10.12)
    assert told["usd"] == 0.86
    lines = {each["line"]: (each["attempts"], each["usd"]) for each in told["money"]}
    assert lines == {
        "charged": (2, 0.75),
        "held": (0, 0.0),
        "paid_not_delivered": (1, 0.1),
        "uncertain": (1, 0.01),
        "refunded": (1, 8.0),
    }
    assert [each["line"] for each in told["money"]] == list(LINES)
    assert (told["created_at"], told["ended_at"]) == ("2026-03-03T12:00:00.000Z", None)


def test_a_batch_has_ended_when_its_last_job_has(api: FlaskClient, orders: Orders) -> None:
    ended = {minute: columns(0, ended_at=NOON + timedelta(minutes=minute)) for minute in (7, 9)}
    orders.add(DAY, "charged", state="archived", of_job=ended[9], outcome="delivered")
    orders.add(DAY, "none", state="cancelled", of_job=ended[7])
    assert batch(api)["ended_at"] == "2026-03-03T12:09:00.000Z"


def test_a_job_tells_its_batch_and_a_batch_without_orders_costs_nothing(api: FlaskClient) -> None:
    job = api.post("/v1/jobs", json={"prompt": "A fox", "provider": "evolink", "batch": "b"}).get_json()
    assert (job["batch"], job["request"]["batch"]) == ("b", "b")
    told = batch(api, "b")
    assert (told["jobs"], told["usd"], told["created_at"]) == (1, 0.0, job["created_at"])
    assert [each["id"] for each in api.get("/v1/jobs?batch=b").get_json()["data"]] == [job["id"]]


def test_a_dry_run_under_a_key_tells_the_job_that_it_has_made(api: FlaskClient, bells: Bells) -> None:
    body = {"prompt": "A fox", "provider": "evolink"}

    def tried(key: str, **more: Any) -> Any:
        return api.post("/v1/jobs?dry_run=true", json={**body, **more}, headers={"Idempotency-Key": key})

    assert tried("k1").get_json()["made"] is None
    job = api.post("/v1/jobs", json=body, headers={"Idempotency-Key": "k1"}).get_json()
    assert tried("k1").get_json()["made"] == tried('"k1"').get_json()["made"] == job["id"]
    assert tried("k2").get_json()["made"] is None
    other = tried("k1", seed=7)
    assert (other.status_code, other.get_json()["code"]) == (422, "idempotency_key_reused")
    assert len(bells.rung) == 1
