"""An order that was not sent goes on to the next gateway: once each, under a lease, and after the news."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from benches import Gateway, rung, worker
from rows import DAY, MINUTE, NOW, Rows

from jobs.intake import settling
from jobs.machine.rows import AttemptOutcome, Settled, Standing
from jobs.machine.states import State
from jobs.providers.client import Account, Answered, Lost, NotSent
from jobs.steps import submission
from jobs.steps.resources import Resources
from jobs.store import lanes
from jobs.store.tables import spending

pytestmark = pytest.mark.both_databases

ROUTE = ["evolink", "easyrouter", "gravitex"]
BLACKHOLED = NotSent("TimeoutError: no connection within 60 s")


class Swallows(Gateway):
    """Some gateways swallow every connection, for as long as the deadline of an order; the others take orders."""

    def __init__(self, rows: Rows, *ill: str) -> None:
        super().__init__()
        self.rows, self.ill = rows, ill
        self.tried: list[str] = []
        self.meanwhile: Callable[[], Any] = lambda: None
        self.says = BLACKHOLED

    def send(self, provider: Any, *_: Any, **__: Any) -> Any:
        self.tried.append(provider.name)
        if provider.name not in self.ill:
            return Answered(200, {}, b'{"id": "task-1", "task_id": "task-1", "status": "queued"}')
        self.meanwhile()
        self.rows.now += MINUTE
        return self.says


def with_accounts(resources: Resources) -> Resources:
    accounts = {name: Account(name, f"https://{name}", f"sk-{name}") for name in ROUTE}
    return replace(resources, settings=replace(resources.settings, accounts=accounts))


def working(rows: Rows, *ill: str) -> tuple[Resources, Swallows]:
    gateway = Swallows(rows, *ill)
    return with_accounts(worker(rows, gateway)), gateway


def ordered(rows: Rows, route: list[str]) -> str:
    return rows.job(request={"prompt": "A fox", "provider": route}, start_by=NOW + 60 * MINUTE)


def test_each_gateway_is_tried_once_in_a_turn_however_long_it_lets_one_wait(rows: Rows) -> None:
    resources, gateway = working(rows, "evolink", "easyrouter")
    job_id = ordered(rows, ROUTE)
    submission.submit(job_id, resources)
    assert gateway.tried == ROUTE
    assert rows.case(job_id).job.state is State.GENERATING


def test_where_all_are_in_vain_the_turn_ends_and_says_why(rows: Rows) -> None:
    resources, gateway = working(rows, *ROUTE)
    job_id = ordered(rows, ROUTE)
    submission.submit(job_id, resources)
    assert gateway.tried == ROUTE
    job = rows.case(job_id).job
    assert (job.state, job.waiting and job.waiting["code"]) == (State.QUEUED, "unreachable")


def test_the_lease_is_kept_while_the_next_gateway_is_looked_up(rows: Rows) -> None:
    resources, gateway = working(rows, "evolink")
    job_id = ordered(rows, ROUTE)
    left: list[float] = []

    def resolve(account: Account, **_: Any) -> None:
        job = rows.case(job_id).job
        if job.leased_until is not None:
            left.append((job.leased_until - rows.now).total_seconds())

    gateway.resolve = resolve  # type: ignore[method-assign]
    submission.submit(job_id, resources)
    assert left == [resources.settings.submit_lease_s]


def test_while_an_order_goes_on_no_gateway_is_asked_for_free(rows: Rows) -> None:
    """Each may take half a minute over that, and the order's lease does not last for all of them."""
    resources, gateway = working(rows, "evolink")
    asked: list[str] = []

    def ask(provider: Any, *_: Any, **__: Any) -> Any:
        asked.append(provider.name)
        rows.now += timedelta(seconds=resources.settings.query_deadline_s)
        return Lost("the time was over")

    gateway.ask = ask  # type: ignore[attr-defined]
    for name in ROUTE[1:]:
        account = resources.settings.accounts[name].fingerprint
        for _ in range(resources.settings.max_unconfirmed):
            owed = rows.job(State.UNCONFIRMED, alarm_at=NOW + DAY)
            rows.attempt(owed, provider=name, account=account, lost_at=NOW, standing=Standing.UNCERTAIN)
    job_id = ordered(rows, ROUTE)
    submission.submit(job_id, resources)
    assert (gateway.tried, asked) == (["evolink"], [])
    assert rows.case(job_id).job.state is State.QUEUED
    submission.submit(job_id, resources)
    assert asked == ROUTE[1:]


def settled_before(rows: Rows, job_id: str) -> None:
    """The job's first order, of which a person has said that it was not made."""
    rows.attempt(job_id, outcome=AttemptOutcome.NOT_MADE, standing=Standing.NONE, settled=Settled.NOT_MADE, lost_at=NOW)
    values = {"attempt": 1, "provider": "evolink"}
    rows.write(lambda db: db.execute(sa.text("UPDATE jobs SET attempt = :attempt, provider = :provider"), values))


@pytest.mark.parametrize("news", ["callback", "named"])
def test_news_that_comes_while_a_gateway_lets_one_wait_comes_before_another_order(rows: Rows, news: str) -> None:
    resources, gateway = working(rows, "gravitex")
    job_id = ordered(rows, ["gravitex", "easyrouter"])
    settled_before(rows, job_id)

    def meanwhile() -> None:
        if news == "callback":
            rows.callback(job_id, task_id="task-of-1")
        else:
            settling.name_task(job_id, 1, "task-of-1", rows.core)

    gateway.meanwhile = meanwhile
    submission.submit(job_id, resources)
    assert gateway.tried == ["gravitex"]
    case = rows.case(job_id)
    assert (case.job.state, case.has_news) == (State.QUEUED, True)
    assert case.job.alarm_at is not None
    assert case.job.alarm_at <= rows.now
    assert ("jobs.reconcile", job_id) in rung(resources)


@pytest.mark.databases("postgresql")
def test_an_order_that_waits_for_the_next_gateways_lane_holds_no_day_yet(rows: Rows) -> None:
    """A claim takes the lane and then the day. The other way round these two would wait for each other."""
    resources, gateway = working(rows, "evolink")
    gateway.says = NotSent("no thread could be started", ours=True)  # which no lane needs to hear of
    rows.write(lambda db: lanes.lock(db, resources.settings.accounts["easyrouter"], "submit"))
    job_id = ordered(rows, ["evolink", "easyrouter"])
    day = sa.select(spending.c.day).where(spending.c.provider == "evolink").with_for_update(nowait=True)
    with ThreadPoolExecutor() as pool:
        with rows.database.engine.begin() as claim:
            lanes.lock(claim, resources.settings.accounts["easyrouter"], "submit")
            submitted = pool.submit(submission.submit, job_id, resources)
            await_(lambda: is_anybody_waiting(rows), "the order waits for the lane")
            with rows.database.engine.begin() as db:
                assert len(db.execute(day).all()) == 1
        submitted.result()
    assert rows.case(job_id).job.provider == "easyrouter"


def is_anybody_waiting(rows: Rows) -> bool:
    waits = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with rows.database.engine.begin() as db:
        return bool(db.execute(waits).scalar())


def await_(condition: Callable[[], bool], what: str, within_s: float = 2) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"not within {within_s} s: {what}"
        time.sleep(0.01)  # between two looks


@pytest.mark.parametrize("news", ["callback", "named"])
def test_news_that_comes_between_the_claim_and_the_first_byte_comes_before_the_order(
    rows: Rows, news: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources, gateway = working(rows)
    job_id = ordered(rows, ["easyrouter"])
    settled_before(rows, job_id)
    real = submission._send

    def send(*claimed: Any) -> Any:
        if news == "callback":
            rows.callback(job_id, task_id="task-of-1")
        else:
            settling.name_task(job_id, 1, "task-of-1", rows.core)
        return real(*claimed)

    monkeypatch.setattr(submission, "_send", send)
    submission.submit(job_id, resources)
    assert gateway.tried == []
    case = rows.case(job_id)
    assert (case.job.state, case.attempts[2].outcome) == (State.QUEUED, AttemptOutcome.NOT_SENT)
    assert case.job.waiting is not None
    assert case.job.waiting["code"] == "asks"
