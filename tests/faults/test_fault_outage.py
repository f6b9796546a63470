"""Every gateway answers 503 while a batch comes in: little is risked, all comes home after it, nothing is paid twice.

`benchmarks/outage.py` is the same with 600 jobs and a minute.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest
import requests
from plant import Plant

from jobs.machine.rows import Attempt, Case, Settled
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


def most_unanswered(attempts: list[Attempt]) -> int:
    """Of one gateway's orders at any time: on their way, or lost with no acceptance since."""
    changes: list[tuple[datetime, int]] = []
    accepted = sorted(a.accepted_at for a in attempts if a.accepted_at is not None)
    for attempt in attempts:
        known = attempt.accepted_at
        if attempt.lost_at is not None:
            known = next((at for at in accepted if at > attempt.lost_at), None)
        changes += [(attempt.created_at, 1), *([(known, -1)] if known else [])]
    out, most = 0, 0
    for _, change in sorted(changes):
        out += change
        most = max(most, out)
    return most


def hold_to_the_bound(plant: Plant, job_ids: list[str]) -> set[str]:
    """See that few orders of each gateway were without an answer at any time; the jobs whose answers were lost."""
    attempts = [attempt for case in plant.book.cases(job_ids) for attempt in case.attempts.values()]
    for provider in PROVIDERS:
        most = most_unanswered([attempt for attempt in attempts if attempt.provider == provider])
        assert 0 < most <= MOST_UNANSWERED, f"{most} orders of {provider} were without an answer at once"
    return {attempt.job_id for attempt in attempts if attempt.lost_at is not None}


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

    lost_ids = hold_to_the_bound(plant, job_ids)
    plant.book.await_archived(*(job_id for job_id in job_ids if job_id not in lost_ids), within_s=AFTER_IT_S + 60)
    took_s = time.monotonic() - begun
    assert hold_to_the_bound(plant, job_ids) == lost_ids
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
