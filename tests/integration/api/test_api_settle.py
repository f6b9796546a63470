"""POST /v1/jobs/<id>/attempts/<n>/settle."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from api_orders import Bells, Orders
from flask.testing import FlaskClient

from jobs.store import tables
from jobs.store.database import Database
from rushes.api.schemas.jobs import JobSchema

NEVER = "job_00000000000000000000000000"
LOST = {"accepted_at": None, "task_id": None}


@pytest.fixture
def orders(api: FlaskClient, database: Database) -> Orders:
    return Orders(api, database)


@pytest.fixture
def unconfirmed(orders: Orders) -> str:
    return orders.add("2026-11-21", "uncertain", state="unconfirmed", **LOST)


@pytest.fixture
def failed(orders: Orders) -> str:
    return orders.add("2026-11-21", "uncertain", state="failed", outcome="expired", **LOST)


def settle(api: FlaskClient, job_id: str, number: object = 1, **body: Any) -> Any:
    return api.post(f"/v1/jobs/{job_id}/attempts/{number}/settle", json=body)


def history(api: FlaskClient, job_id: str) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = api.get(f"/v1/jobs/{job_id}/events").get_json()["data"]
    return lines


def key_of(api: FlaskClient, job_id: str) -> str:
    """The id of the key that ordered the job, which is the test's."""
    return str(history(api, job_id)[0]["detail"]["api_key"])


def test_a_lost_order_that_was_not_made_lets_its_job_go_on(api: FlaskClient, unconfirmed: str, bells: Bells) -> None:
    bells.rung.clear()
    answer = settle(api, unconfirmed, made=False)
    told = answer.get_json()
    assert (answer.status_code, told["state"]) == (200, "queued")
    assert JobSchema().validate(told) == {}
    (order,) = told["attempts"]
    assert (order["outcome"], order["settled"], order["cost"]["standing"]) == ("not_made", "not_made", "none")
    assert bells.rung == [("jobs.submit", unconfirmed)]
    line = history(api, unconfirmed)[-1]
    assert (line["event"], line["to_state"]) == ("settle", "queued")
    assert line["detail"] == {"said": "not_made", "api_key": key_of(api, unconfirmed)}


@pytest.mark.parametrize(("charged", "standing"), [(True, "charged"), (False, "none")])
def test_the_money_of_a_closed_order_is_what_a_person_says(
    api: FlaskClient, failed: str, charged: bool, standing: str
) -> None:
    answer = settle(api, failed, charged=charged)
    (order,) = answer.get_json()["attempts"]
    assert (answer.status_code, answer.get_json()["state"]) == (200, "failed")
    assert (order["settled"], order["cost"]["standing"]) == ("charged" if charged else "not_charged", standing)


@pytest.mark.parametrize(("charged", "spent"), [(True, 90_000_000), (False, 0)])
def test_a_cost_that_nobody_could_believe_counts_as_a_person_says(
    api: FlaskClient, orders: Orders, database: Database, charged: bool, spent: int
) -> None:
    money = {"estimated_usd": 0.17, "reported_usd": 90.0, "reserved_micro_usd": 170_000}
    job_id = orders.add("2026-11-21", "charged", state="archived", outcome="delivered", task_id="t-1", **money)
    day = {"provider": "evolink", "day": "2026-11-21"}
    with database.write() as db:
        db.execute(sa.insert(tables.spending).values(**day, micro_usd=170_000))
        db.execute(sa.update(tables.jobs).values(flagged="absurd_cost"))
    assert settle(api, job_id, charged=charged).get_json()["needs_person"] is None
    with database.read() as db:
        assert db.execute(sa.select(tables.spending.c.micro_usd)).scalar_one() == spent


def test_a_named_task_is_to_be_asked_about(api: FlaskClient, failed: str, bells: Bells) -> None:
    bells.rung.clear()
    answer = settle(api, failed, task_id="任务/7")
    assert answer.status_code == 202
    assert JobSchema().validate(answer.get_json()) == {}
    named = answer.get_json()["attempts"][0]["named"]
    assert named == {"task_id": "任务/7", "state": "asking", "reason": None}
    assert bells.rung == [("jobs.reconcile", failed)]
    assert history(api, failed)[-1]["detail"] == {"task_id": "任务/7", "api_key": key_of(api, failed)}
    assert settle(api, failed, task_id="任务/7").status_code == 202
    assert len([line for line in history(api, failed) if line["event"] == "settle"]) == 1


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "columns", [{"state": "failed", "outcome": "expired"}, {"state": "unconfirmed"}], ids=["ended", "alive"]
)
@pytest.mark.parametrize("refused_before", [False, True])
def test_whoever_waits_for_the_job_hears_what_came_of_a_name(
    own_api: FlaskClient, database: Database, columns: dict[str, str], refused_before: bool
) -> None:
    failed = Orders(own_api, database).add("2026-11-21", "uncertain", **columns, **LOST)
    if refused_before:
        settle(own_api, failed, task_id="task-6")
        with database.write() as db:
            db.execute(sa.update(tables.attempts).values(named_refused="evolink knows no such task"))
    settle(own_api, failed, task_id="task-7")
    with ThreadPoolExecutor(1) as pool:
        client = own_api.application.test_client()
        client.environ_base.update(own_api.environ_base)
        waiting = pool.submit(client.get, f"/v1/jobs/{failed}?wait=50")
        waits = own_api.application.extensions["rushes.waits"]
        while waits.count == 0:
            assert not waiting.done()
        with database.write() as db:  # as a worker does
            db.execute(sa.update(tables.attempts).values(named_refused="evolink knows no such task"))
        told = waiting.result(timeout=20).get_json()
    assert told["attempts"][0]["named"]["state"] == "refused"
    assert told["attempts"][0]["named"]["reason"] == "evolink knows no such task"


def test_a_name_that_was_refused_before_ends_no_later_wait_of_a_job_that_lives(
    api: FlaskClient, database: Database, unconfirmed: str
) -> None:
    settle(api, unconfirmed, task_id="task-7")
    with database.write() as db:
        db.execute(sa.update(tables.attempts).values(named_refused="evolink knows no such task"))
    began = time.monotonic()
    assert api.get(f"/v1/jobs/{unconfirmed}?wait=0.5").get_json()["state"] == "unconfirmed"
    assert time.monotonic() - began >= 0.5


@pytest.mark.parametrize(
    ("columns", "body", "code"),
    [
        ({"state": "submitting", **LOST}, {"made": False}, "under_way"),
        ({"state": "submitting", **LOST}, {"task_id": "t"}, "under_way"),
        ({"state": "generating", "task_id": "t-1"}, {"task_id": "t-1"}, "task_known"),
        ({"state": "generating", "task_id": "t-1"}, {"made": False}, "task_known"),
        ({"state": "failed", "outcome": "expired", "task_id": "t-1"}, {"made": False}, "task_known"),
        ({"state": "unconfirmed", **LOST}, {"task_id": "t-of-another"}, "task_taken"),
        ({"state": "failed", "outcome": "refused", **LOST}, {"made": False}, "not_lost"),
        ({"state": "unconfirmed", **LOST}, {"charged": True}, "not_closed"),
        ({"state": "queued", "outcome": "not_sent", **LOST}, {"charged": False}, "not_closed"),
    ],
)
def test_what_is_known_already_is_refused_and_changes_nothing(
    api: FlaskClient, orders: Orders, columns: dict[str, Any], body: dict[str, Any], code: str
) -> None:
    orders.add("2026-11-21", "held", task_id="t-of-another")
    job_id = orders.add("2026-11-21", "uncertain", **columns)
    before = (api.get(f"/v1/jobs/{job_id}").get_json(), history(api, job_id))
    answer = settle(api, job_id, **body)
    problem = answer.get_json(force=True)
    assert (answer.status_code, problem["code"]) == (409, code)
    assert problem["detail"]
    assert (api.get(f"/v1/jobs/{job_id}").get_json(), history(api, job_id)) == before


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({}, "task_id", "Send exactly one of task_id, made, charged."),
        ({"made": False, "charged": False}, "made", "Send exactly one of"),
        ({"made": True}, "made", "send its task_id"),
        ({"made": None}, "made", "null"),
        ({"charged": "yes"}, "charged", "Not a valid boolean."),
        ({"task_id": ""}, "task_id", "Send 1 to 200 characters."),
        ({"task_id": "t" * 201}, "task_id", "Send 1 to 200 characters."),
        ({"task_id": " t-1"}, "task_id", "Holds a blank"),
        ({"task_id": "t-1\n"}, "task_id", "Holds a blank"),
        ({"task_id": "t\u200b"}, "task_id", "what cannot be seen"),
        ({"task_id": 7}, "task_id", "Not a valid string."),
        ({"task": "t-1"}, "task", "did you mean task_id?"),
    ],
)
def test_a_word_is_read_strictly(
    api: FlaskClient, unconfirmed: str, body: dict[str, object], field: str, words: str
) -> None:
    answer = settle(api, unconfirmed, **body)
    problem = answer.get_json(force=True)
    assert (answer.status_code, problem["code"], list(problem["errors"])) == (422, "invalid_request", [field])
    assert words in " ".join(problem["errors"][field])
    assert api.get(f"/v1/jobs/{unconfirmed}").get_json()["state"] == "unconfirmed"


def test_no_body_is_no_word(api: FlaskClient, unconfirmed: str) -> None:
    answer = api.post(f"/v1/jobs/{unconfirmed}/attempts/1/settle")
    assert (answer.status_code, list(answer.get_json(force=True)["errors"])) == (422, ["task_id"])


@pytest.mark.parametrize(
    ("number", "words"),
    [("2", "its orders are [1]"), ("0", "numbered from 1"), ("9" * 30, "from 1"), ("x", "from 1")],
)
def test_an_order_that_there_is_not_is_told(api: FlaskClient, unconfirmed: str, number: str, words: str) -> None:
    answer = settle(api, unconfirmed, number, made=False)
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (404, "unknown_order")
    assert words in answer.get_json(force=True)["detail"]


@pytest.mark.parametrize("body", [{"made": False}, {"task_id": "t"}, {"charged": True}])
@pytest.mark.parametrize("job_id", [NEVER, "job_1", "%00"])
def test_an_unknown_job_is_told(api: FlaskClient, job_id: str, body: dict[str, Any]) -> None:
    answer = settle(api, job_id, **body)
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (404, "unknown_job")
