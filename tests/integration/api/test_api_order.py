"""GET /v1/jobs/<id>/attempts/<n>."""

from __future__ import annotations

from typing import Any

from api_orders import Orders
from flask.testing import FlaskClient

from jobs.store.database import Database
from rushes.api.schemas.orders import OrderSchema

DAY = "2026-03-03"
SENT = {
    "method": "POST",
    "path": "/v1/videos/generations",
    "headers": {"Idempotency-Key": "job_1-1"},
    "body": {
        "prompt": "A red fox",
        "callback_url": "https://us.example/webhooks/evolink/job_1/1/k1.token",
        "images": [{"url": "https://x.example/a.png?Signature=open"}],
    },
}


def order(api: FlaskClient, job_id: str, number: int = 1) -> Any:
    return api.get(f"/v1/jobs/{job_id}/attempts/{number}").get_json(force=True)


def test_an_order_is_told_as_it_was_sent_without_what_opens_anything(api: FlaskClient, database: Database) -> None:
    job_id = Orders(api, database).add(
        DAY, "held", request=SENT, task_id="task-1", last_word="processing", sends=2, polls=7
    )
    told = order(api, job_id)
    assert told.keys() == OrderSchema().fields.keys()
    assert OrderSchema().validate(told) == {}
    assert (told["task_id"], told["last_word"], told["error"]) == ("task-1", "processing", None)
    assert (told["sends"], told["polls"]) == (2, 7)
    assert told["sent"] == {
        **SENT,
        "body": {
            "prompt": "A red fox",
            "callback_url": "https://us.example/webhooks/…",
            "images": [{"url": "https://x.example/a.png?…"}],
        },
    }


def test_what_the_gateway_answered_and_what_was_pruned(api: FlaskClient, database: Database) -> None:
    said = {"error_code": "bad_request", "error_message": "too dark", "error_retryable": False, "error_said": "E7"}
    told = order(api, Orders(api, database).add(DAY, "none", state="failed", outcome="refused", **said))
    assert told["sent"] is None
    assert told["error"] == {"code": "bad_request", "message": "too dark", "retryable": False, "provider_code": "E7"}


def test_an_order_that_there_is_not_is_unknown(api: FlaskClient, database: Database) -> None:
    job_id = Orders(api, database).add(DAY, "held")
    assert order(api, job_id, 2)["code"] == "unknown_order"
    assert order(api, "job_01K8Z3V0QWERTYUIOPASDFGHJK")["code"] == "unknown_job"
