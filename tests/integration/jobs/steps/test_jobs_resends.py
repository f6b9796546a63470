"""Re-sends under an idempotency key: they buy nothing, and yet are POSTs, so an ill gateway is spared them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from benches import Gateway, worker
from rows import HOUR, MINUTE, NOW, Rows

from jobs.machine.outcome import Facts
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.providers.client import Account, Answered, Lost
from jobs.steps import reconciliation, submission
from jobs.steps.bulkheads import Bulkheads
from jobs.steps.resources import Resources
from jobs.store import lanes, late_facts

pytestmark = pytest.mark.both_databases

KEY = Account("apiframe", "https://gateway", "afk-1")


class Accepts(Gateway):
    def __init__(self) -> None:
        super().__init__(lambda: Answered(202, {}, b'{"jobId": "task-1", "status": "QUEUED"}'))

    def ask(self, *_: Any, **__: Any) -> Any:
        return Lost("no whole answer")


@pytest.fixture
def gateway() -> Accepts:
    return Accepts()


@pytest.fixture
def resources(rows: Rows, gateway: Accepts) -> Resources:
    resources = worker(rows, gateway)
    return replace(resources, settings=replace(resources.settings, accounts={"apiframe": KEY}))


def lost(rows: Rows) -> str:
    """A job whose order was lost so long ago that it is to be sent again."""
    job_id = rows.job(State.UNCONFIRMED, alarm_at=NOW, provider="apiframe")
    request = {"method": "POST", "path": "/v2/videos/generate", "body": {}, "headers": {}}
    known = {"provider": "apiframe", "account": KEY.fingerprint, "request": request, "standing": Standing.UNCERTAIN}
    rows.attempt(job_id, lost_at=NOW, **known)
    return job_id


def look(rows: Rows, job_id: str, resources: Resources) -> None:
    """As often as its alarm rings for ten minutes."""
    end = rows.now + 10 * MINUTE
    while (
        (alarm_at := rows.case(job_id).job.alarm_at) and alarm_at < end and rows.case(job_id).job.state == "unconfirmed"
    ):
        rows.now = max(rows.now, alarm_at)
        reconciliation.reconcile(job_id, resources)
    rows.now = max(rows.now, end)


def test_none_goes_while_its_gateway_rests_and_one_goes_afterwards(
    rows: Rows, resources: Resources, gateway: Accepts
) -> None:
    job_id = lost(rows)
    rows.write(lambda db: lanes.rest(db, KEY, "submit", "no_answer", 600, now=rows.now))
    look(rows, job_id, resources)
    assert gateway.sent == 0
    look(rows, job_id, resources)
    assert gateway.sent == 1
    assert rows.case(job_id).job.state is State.GENERATING


def test_none_goes_once_a_worker_that_slept_says_that_nothing_was_sent(
    rows: Rows, resources: Resources, gateway: Accepts
) -> None:
    job_id = lost(rows)
    slept = Facts({1: {"outcome": AttemptOutcome.NOT_SENT, "error_code": "own_trouble"}})

    def resolve(*_: Any, **__: Any) -> Any:
        rows.write(lambda db: late_facts.bring_facts(db, job_id, slept, now=rows.now))
        return Lost("no whole answer")

    gateway.ask = resolve  # type: ignore[method-assign]
    rows.callback(job_id, provider="apiframe", task_id="made-up")
    rows.now += 2 * MINUTE
    reconciliation.reconcile(job_id, resources)
    assert gateway.sent == 0
    assert rows.case(job_id).job.state is State.QUEUED


def test_none_goes_once_its_key_is_over_though_the_worker_slept_since_it_looked(
    rows: Rows, resources: Resources, gateway: Accepts
) -> None:
    job_id = lost(rows)
    rows.now += 2 * MINUTE
    lease = rows.lease(job_id)
    looked_at = rows.now
    rows.now += 24 * HOUR
    assert submission.resend(lease, looked_at, resources) == Facts()
    assert gateway.sent == 0


def test_a_process_sends_no_more_at_once_than_it_sends_orders(
    rows: Rows, resources: Resources, gateway: Accepts
) -> None:
    job_id = lost(rows)
    resources.bulkheads = Bulkheads(4, most_submits=1)
    with resources.bulkheads.enter("apiframe", "submit") as come_back_in:
        assert come_back_in == 0
        look(rows, job_id, resources)
        assert gateway.sent == 0
    look(rows, job_id, resources)
    assert gateway.sent == 1
