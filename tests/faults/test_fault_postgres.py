"""PostgreSQL restarted, frozen, and cut off during COMMIT."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable
from typing import Any

import pytest
import requests
from plant import Plant
from wire_words import commit_of

from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS

FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT

# What is written, by whom, and words of that transaction alone.
COMMITS = {
    "the job": ("web", ("INSERT INTO jobs", "INSERT INTO idempotency_keys")),
    "the claim": ("worker", ("INSERT INTO attempts",)),
    "the acceptance": ("worker", ("UPDATE jobs SET state", "generating")),
    "the callback": ("web", ("INSERT INTO inbox",)),
    "the object": ("transfer", ("UPDATE jobs SET state", "archived")),
}


def _sampled(rows: Iterable[str], *sample: str) -> list[Any]:
    return [pytest.param(row, marks=() if row in sample else pytest.mark.prove) for row in rows]


@pytest.mark.parametrize(
    "how", [pytest.param(FAST, id="fast", marks=pytest.mark.prove), pytest.param(IMMEDIATE, id="immediate")]
)
def test_a_restarted_database_loses_no_job_that_was_taken(plant: Plant, how: signal.Signals) -> None:
    plant.stand_ins.set(generation_s=1.5)
    callers = list(PROVIDERS)[:2] * 2 + ["evolink"] * 4
    early = [plant.book.order(provider) for provider in callers]
    plant.await_(lambda: len(plant.stand_ins.tasks()) > 0, "the first tasks")
    late = [plant.book.write("evolink") for _ in range(6)]
    sender = threading.Thread(target=lambda: [plant.book.insist(order) for order in late], daemon=True)
    sender.start()
    os.kill(plant.supervisor.pids["postgres"], how)
    plant.supervisor.stop_one("postgres")
    plant.revive_postgres()
    sender.join(40)
    assert all(order.job_id for order in late)
    cases = plant.book.await_ended()
    assert {case.job.id for case in cases} >= set(early)
    # An answer that could not be written while the database was away is unconfirmed, and claimed by its callback.
    assert {case.job.state for case in cases} == {State.ARCHIVED}


def test_a_frozen_database_fails_requests_and_loses_no_job(plant: Plant) -> None:
    plant.stand_ins.fault("evolink", "delay_callback", seconds=1)
    plant.book.order("evolink")
    plant.book.await_state(plant.book.orders[0].job_id or "", State.GENERATING)
    plant.freeze("postgres")
    answers: list[int] = []

    def ask() -> None:
        headers = {"Authorization": f"Bearer {plant.key}"}
        answers.append(requests.get(f"{plant.url}/v1/jobs", headers=headers, timeout=30).status_code)

    # More than there are connections: those that get none must not wait for ever.
    askers = [threading.Thread(target=ask, daemon=True) for _ in range(60)]
    for asker in askers:
        asker.start()
    plant.await_(lambda: 503 in answers, "an honest refusal", within_s=25)
    plant.thaw("postgres")
    for asker in askers:
        asker.join(30)
    assert len(answers) == len(askers)
    assert set(answers) <= {200, 503}
    plant.book.insist(plant.book.write("evolink"))
    plant.book.await_archived()


@pytest.mark.parametrize("what", _sampled(COMMITS, "the job", "the object"))
def test_a_commit_whose_answer_was_lost_has_happened_once(plant: Plant, what: str) -> None:
    role, words = COMMITS[what]
    trap = plant.to_database[role].trap(commit_of(*words), after=True, then="cut")
    order = plant.book.write("evolink")
    job_id = plant.book.insist(order)
    plant.book.await_archived(job_id)
    assert trap.caught.is_set()
    assert len(plant.book.sold(job_id)) == 1
    history = plant.book.history(job_id)
    assert [history.count(event) for event in ("created", "claim", "store")] == [1, 1, 1]


@pytest.mark.parametrize("what", _sampled(["the claim", "the acceptance", "the object"], "the claim"))
def test_a_commit_that_never_arrived_is_made_good(plant: Plant, what: str) -> None:
    role, words = COMMITS[what]
    trap = plant.to_database[role].trap(commit_of(*words), after=False, then="cut")
    job_id = plant.book.order("evolink")
    plant.book.await_archived(job_id)
    assert trap.caught.is_set()
    assert len(plant.book.sold(job_id)) == 1


@pytest.mark.prove
def test_a_mark_that_may_not_have_been_written_lets_nothing_leave(plant: Plant) -> None:
    trap = plant.to_database["worker"].trap(commit_of("UPDATE attempts SET sending_at"), after=True, then="cut")
    job_id = plant.book.order("gravitex")
    [case] = plant.book.await_ended(job_id)
    assert trap.caught.is_set()
    # The row says that a byte may have left, and only its window can end such a job.
    assert (case.job.state, case.job.error_code) == (State.FAILED, "submit_unconfirmed")
    assert plant.book.sold(job_id) == []
