"""What orders came to, from their ends to GET /v1/costs: every order on one line, and the sums are the orders'."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from workshop import Ahead, Workshop

from jobs.intake import api_keys
from jobs.machine.states import State
from jobs.store import tables
from jobs.upkeep import audit
from rushes.app import create_app

DAY_S = 86_400
FOR_EVER = 100_000


@pytest.fixture
def ended(make_workshop: Callable[..., Workshop], sandbox: Any) -> Workshop:
    """A workshop whose jobs have ended in every way that money can take."""
    workshop = make_workshop(unconfirmed_window_s=0.2, retry_first_s=0.05)
    workshop.until(workshop.create(provider="evolink"), State.ARCHIVED)
    sandbox.fault("evolink", "fail", retryable=False)
    workshop.until(workshop.create(provider="evolink"), State.FAILED)
    sandbox.fault("gravitex", "refuse", status=401)
    job_id = workshop.create(provider=["gravitex", "easyrouter"])
    assert list(workshop.until(job_id, State.ARCHIVED).attempts) == [1, 2]
    sandbox.fault("easyrouter", "lose_answer", how="reset")
    workshop.until(workshop.create(provider="easyrouter"), State.FAILED)
    sandbox.fault("evolink", "serve", what="html", hits=FOR_EVER)
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.ARCHIVING)
    Ahead(workshop).leap(DAY_S)
    assert workshop.until(job_id, State.FAILED).job.error_code == "bad_video"
    return workshop


def test_every_order_stands_on_one_line_of_the_account_and_the_days_add_up(ended: Workshop) -> None:
    told = account(ended)
    assert {line["line"]: line["attempts"] for line in told["totals"] if line["attempts"]} == {
        "charged": 2,
        "refunded": 1,
        "uncertain": 1,
        "paid_not_delivered": 1,
    }
    assert told["paid_not_delivered"]["attempts"] == told["uncertain"]["attempts"] == 1
    with ended.database.read() as db:
        kept = int(db.execute(sa.select(sa.func.sum(tables.spending.c.micro_usd))).scalar_one()) / 1_000_000
    taken = sum(line["usd"] for line in told["totals"] if line["line"] != "refunded")
    assert kept == pytest.approx(taken)
    assert taken > 0
    assert audit.audit(ended.resources).balances


def account(workshop: Workshop) -> Any:
    _, key = api_keys.create(workshop.database, "test")
    app = create_app(workshop.settings, ringer=workshop.bells)
    try:
        return app.test_client().get("/v1/costs", headers={"Authorization": f"Bearer {key}"}).get_json()
    finally:
        app.extensions["rushes.close"]()
