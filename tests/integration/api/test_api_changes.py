"""POST /v1/jobs/<id>/cancel and /retry."""

from __future__ import annotations

import pytest
from api_orders import PLAIN, Bells, Orders
from flask.testing import FlaskClient

from jobs.store.database import Database
from rushes.api.schemas.jobs import JobSchema

NEVER = "job_00000000000000000000000000"


@pytest.fixture
def orders(api: FlaskClient, database: Database) -> Orders:
    return Orders(api, database)


def queued(api: FlaskClient) -> str:
    return str(api.post("/v1/jobs", json=PLAIN).get_json()["id"])


def test_a_queued_job_is_cancelled(api: FlaskClient) -> None:
    answer = api.post(f"/v1/jobs/{queued(api)}/cancel")
    assert answer.status_code == 200
    assert answer.get_json()["state"] == "cancelled"
    assert JobSchema().validate(answer.get_json()) == {}


def test_a_job_on_its_way_is_asked_to_be_cancelled(api: FlaskClient, orders: Orders) -> None:
    answer = api.post(f"/v1/jobs/{orders.add('2026-11-21', 'uncertain', state='unconfirmed')}/cancel")
    assert answer.status_code == 202
    assert answer.get_json()["cancel_requested"] is True


def test_an_accepted_job_is_too_late_to_cancel(api: FlaskClient, orders: Orders) -> None:
    answer = api.post(f"/v1/jobs/{orders.add('2026-11-21', 'held', task_id='t1', estimated_usd=0.17)}/cancel")
    problem = answer.get_json(force=True)
    assert (answer.status_code, problem["code"]) == (409, "too_late")
    assert "for $0.17" in problem["detail"]


def test_a_failed_job_is_tried_again_and_rung_for(api: FlaskClient, orders: Orders, bells: Bells) -> None:
    failed = orders.add("2026-11-21", "refunded", state="failed", outcome="failed")
    bells.rung.clear()
    answer = api.post(f"/v1/jobs/{failed}/retry")
    assert (answer.status_code, answer.get_json()["state"]) == (202, "queued")
    assert bells.rung == [("jobs.submit", failed)]


def test_what_may_be_paid_needs_a_word(api: FlaskClient, orders: Orders) -> None:
    failed = orders.add("2026-11-21", "uncertain", state="failed", outcome="expired")
    answer = api.post(f"/v1/jobs/{failed}/retry", json={})
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (409, "may_be_paid")
    assert "accept_double_charge" in answer.get_json(force=True)["detail"]
    answer = api.post(f"/v1/jobs/{failed}/retry", json={"accept_double_charge": True})
    assert answer.status_code == 202


def test_only_a_failed_job_is_tried_again(api: FlaskClient) -> None:
    answer = api.post(f"/v1/jobs/{queued(api)}/retry")
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (409, "not_failed")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"accept_double_charge": "yes"}, "accept_double_charge"),
        ({"accept_double_charge": None}, "accept_double_charge"),
        ({"accept_double_charges": True}, "accept_double_charges"),
    ],
)
def test_a_retry_is_read_strictly(api: FlaskClient, orders: Orders, body: dict[str, object], field: str) -> None:
    failed = orders.add("2026-11-21", "uncertain", state="failed", outcome="expired")
    answer = api.post(f"/v1/jobs/{failed}/retry", json=body)
    assert answer.status_code == 422
    assert list(answer.get_json(force=True)["errors"]) == [field]
    assert api.get(f"/v1/jobs/{failed}").get_json()["state"] == "failed"


def test_history_names_the_key_that_cancelled_and_the_one_that_tried_again(api: FlaskClient, orders: Orders) -> None:
    cancelled, on_its_way = queued(api), orders.add("2026-11-21", "uncertain", state="unconfirmed")
    failed = orders.add("2026-11-21", "uncertain", state="failed", outcome="expired")
    uncopied = orders.add("2026-11-21", "charged", state="failed", outcome="undelivered", finished_at=None)
    for job_id in (cancelled, on_its_way):
        api.post(f"/v1/jobs/{job_id}/cancel")
    api.post(f"/v1/jobs/{failed}/retry", json={"accept_double_charge": True})
    api.post(f"/v1/jobs/{uncopied}/retry")
    told = {job_id: api.get(f"/v1/jobs/{job_id}/events").get_json()["data"] for job_id in (cancelled, on_its_way)}
    told |= {job_id: api.get(f"/v1/jobs/{job_id}/events").get_json()["data"] for job_id in (failed, uncopied)}
    key = {"api_key": told[cancelled][0]["detail"]["api_key"]}
    assert key["api_key"].startswith("key_")
    assert [(lines[-1]["event"], lines[-1]["detail"]) for lines in told.values()] == [
        ("cancel", key),
        ("cancel_requested", key),
        ("retry", {**key, "accept_double_charge": True}),
        ("retry_transfer", key),
    ]


@pytest.mark.parametrize("wish", ["cancel", "retry"])
@pytest.mark.parametrize("job_id", [NEVER, "job_1", "%00"])
def test_an_unknown_job_is_told(api: FlaskClient, wish: str, job_id: str) -> None:
    answer = api.post(f"/v1/jobs/{job_id}/{wish}")
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (404, "unknown_job")
