"""Every gateway answers 503 while a batch comes in: little is risked, all comes home after it, nothing is paid twice.

`benchmarks/outage.py` is the same with 600 jobs and a minute.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from plant import Plant

from jobs.machine.case import Case
from jobs.machine.rows import Attempt, Settled
from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS

MOST_UNANSWERED = 5
AFTER_IT_S = 60
PROXYS_PAGE = "<html><body>503 Service Unavailable</body></html>"


@contextmanager
def outage(plant: Plant) -> Iterator[None]:
    """No gateway takes an order or answers a question."""
    for provider in PROVIDERS:
        for on in ("submit", "query"):
            plant.stand_ins.fault(provider, "refuse", on=on, status=503, body=PROXYS_PAGE, times=100_000)
    yield
    plant.stand_ins.reset()


def order(plant: Plant, count: int) -> list[str]:
    """A batch, dealt out over the gateways."""
    return [plant.book.order(list(PROVIDERS)[n % len(PROVIDERS)]) for n in range(count)]


def unanswered(plant: Plant, job_ids: list[str]) -> dict[str, list[Attempt]]:
    """By gateway: the orders that are out without an answer, on their way or lost."""
    attempts = [attempt for case in plant.book.cases(job_ids) for attempt in case.attempts.values()]
    return {name: [a for a in attempts if a.provider == name and a.accepted_at is None] for name in PROVIDERS}


def settle_not_made(plant: Plant, case: Case) -> None:
    """A person has looked at the gateway: it has no such task. What had failed for it is tried again."""
    [lost] = [attempt for attempt in case.attempts.values() if attempt.lost_at is not None]
    job = f"{plant.url}/v1/jobs/{case.job.id}"
    headers = {"Authorization": f"Bearer {plant.key}"}
    url = f"{job}/attempts/{lost.number}/settle"
    requests.post(url, json={"made": False}, headers=headers, timeout=20).raise_for_status()
    if plant.book.case(case.job.id).job.state is State.FAILED:
        requests.post(f"{job}/retry", json={}, headers=headers, timeout=20).raise_for_status()


def run(plant: Plant, count: int, outage_s: float) -> float:
    """Order a batch into an outage: seconds until all but the lost orders' jobs are archived. All are in the end."""
    begun = time.monotonic()
    with outage(plant):
        job_ids = order(plant, count)
        time.sleep(max(0.0, outage_s - (time.monotonic() - begun)))  # the fault itself
        out = unanswered(plant, job_ids)  # none of them was accepted, so never were more out than are by now
    assert all(0 < len(orders) <= MOST_UNANSWERED for orders in out.values()), out
    lost_ids = {order.job_id for orders in out.values() for order in orders}
    plant.book.await_archived(*(job_id for job_id in job_ids if job_id not in lost_ids), within_s=AFTER_IT_S + 60)
    took_s = time.monotonic() - begun
    lost = {case.job.id: case for case in plant.book.cases(lost_ids)}
    # Where a key is honoured, an order is sent again under it until it is known what became of it.
    asked = [job_id for job_id, case in lost.items() if PROVIDERS[case.attempts[1].provider].idempotency_header is None]
    for job_id in asked:
        settle_not_made(plant, lost[job_id])
    for case in plant.book.await_archived(*lost):
        settled = [attempt.settled for attempt in case.attempts.values()]
        assert settled == ([Settled.NOT_MADE, None] if case.job.id in asked else [None])
        assert len(plant.book.sold(case.job.id)) == 1
    return took_s


@pytest.mark.prove
def test_a_batch_that_meets_an_outage_of_all_gateways_risks_five_orders_each_and_comes_home_after_it(
    plant: Plant,
) -> None:
    assert run(plant, 35, outage_s=4) <= 4 + AFTER_IT_S


@pytest.mark.prove
@pytest.mark.timeout(300)
def test_an_outage_of_twenty_seconds_costs_no_more_than_itself_and_a_minute(plant: Plant) -> None:
    begun = time.monotonic()
    plant.book.await_archived(*order(plant, 60))
    without_s = time.monotonic() - begun
    assert run(plant, 60, outage_s=20) <= without_s + 20 + AFTER_IT_S
