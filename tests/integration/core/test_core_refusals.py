"""What becomes of an order by what its gateway answers in words that no page of it has."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from altered import AlteredSandbox
from test_core_gate import altered, make_altered  # noqa: F401 - fixtures
from workshop import RUN, Workshop

from jobs.machine.rows import AttemptOutcome, Standing
from jobs.reports import attention, attention_items

USED_UP = {"error": {"type": "new_api_error", "code": "", "message": "token quota has been exhausted"}}
TOO_FAST = {
    "error": {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "No available quota, slow down"}
}
PAID_AND_MADE = {"message": "Insufficient credits for the next one", "data": {"task_id": "t-1"}}
REFUSED, LOST = (AttemptOutcome.REFUSED, Standing.NONE), (AttemptOutcome.OPEN, Standing.UNCERTAIN)


@pytest.mark.parametrize(
    ("provider", "status", "body", "becomes", "code", "told"),
    [
        ("gravitex", 403, USED_UP, REFUSED, "insufficient_credits", {"out_of_credit"}),
        ("evolink", 429, TOO_FAST, REFUSED, "rate_limited", {"gateway_rests"}),
        ("gravitex", 402, PAID_AND_MADE, LOST, None, {"unconfirmed", "gateway_drifts"}),
    ],
    ids=["no credit", "too fast", "a task beside it"],
)
def test_an_order_is_refused_lost_or_put_off_by_what_is_certain(
    make_altered: Callable[..., Workshop],  # noqa: F811
    altered: AlteredSandbox,  # noqa: F811
    provider: str,
    status: int,
    body: Any,
    becomes: tuple[AttemptOutcome, Standing],
    code: str | None,
    told: set[str],
) -> None:
    altered.refusal = (status, json.dumps(body).encode())
    workshop = make_altered()
    job_id = workshop.create(provider=provider)
    RUN["jobs.submit"](job_id, workshop.resources)
    attempt = workshop.case(job_id).attempts[1]
    assert ((attempt.outcome, attempt.standing), attempt.error_code) == (becomes, code)
    with workshop.database.read() as db:
        looking = attention_items.Looking(workshop.settings, workshop.resources.providers, workshop.database.clock(db))
        assert {item.reason for item in attention.items(db, looking)} == told
