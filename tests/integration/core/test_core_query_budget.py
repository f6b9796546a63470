"""Jobs of one key under its budget of queries: the gateways' stand-ins, a real Valkey, and the setting as it is set."""

from __future__ import annotations

import time
from typing import Any

from workshop import Workshop

from jobs.machine.states import State
from jobs.providers.base import Provider, Request
from jobs.providers.client import Account, Outcome, ProviderClient
from jobs.steps.query_budget import QueryBudget
from rushes.local.valkey import Valkey


class Client(ProviderClient):
    """Remembers when it asked."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked: list[float] = []

    def ask(self, provider: Provider, account: Account, request: Request, *, deadline_s: float) -> Outcome:
        self.asked.append(time.monotonic())
        return super().ask(provider, account, request, deadline_s=deadline_s)


class Budget(QueryBudget):
    """Counts how often it was asked for a slot."""

    rounds = 0

    def slot(self, account: Account, per_s: float, job_id: str, *, urgent: bool) -> float:
        self.rounds += 1
        return super().slot(account, per_s, job_id, urgent=urgent)


def under_budget(workshop: Workshop, valkey: Valkey, ca_file: str) -> tuple[Client, Budget]:
    """The workshop's parts that tell the tale."""
    workshop.resources.client.close()
    client, budget = Client(allow_private=True, ca_file=ca_file), Budget(valkey.url)
    workshop.resources.client, workshop.resources.query_budget = client, budget
    return client, budget


def test_a_crowd_at_one_key_asks_as_often_as_is_set_and_comes_once_more_for_each_query(
    make_workshop: Any, valkey: Valkey, ca_file: str
) -> None:
    workshop: Workshop = make_workshop(easyrouter_queries_per_s=4)
    client, budget = under_budget(workshop, valkey, ca_file)
    crowd = [workshop.create(provider="easyrouter") for _ in range(16)]
    for job_id in crowd:
        workshop.until(job_id, State.ARCHIVED, within_s=40)
    assert len(client.asked) >= 16
    assert all(later - first > 0.8 for first, later in zip(client.asked, client.asked[4:], strict=False))
    assert budget.rounds <= 2.2 * len(client.asked)


def test_a_fresh_link_waits_for_the_budget_like_any_query(
    make_workshop: Any, sandbox: Any, valkey: Valkey, ca_file: str
) -> None:
    workshop: Workshop = make_workshop(easyrouter_queries_per_s=1)
    client, _ = under_budget(workshop, valkey, ca_file)
    sandbox.fault("easyrouter", "expire_link", reports=1)
    job_id = workshop.create(provider="easyrouter")
    workshop.until(job_id, State.ARCHIVED)
    *_, report, fresh_link = client.asked
    assert fresh_link - report > 0.8
    assert "transfer_trouble" not in workshop.history(job_id)


def test_a_fresh_link_that_would_have_to_wait_past_the_lease_is_asked_for_at_a_later_try(
    make_workshop: Any, sandbox: Any, valkey: Valkey, ca_file: str
) -> None:
    workshop: Workshop = make_workshop(easyrouter_queries_per_s=0.3, transfer_lease_s=3, retry_first_s=0.1)
    client, _ = under_budget(workshop, valkey, ca_file)
    sandbox.fault("easyrouter", "expire_link", reports=1)
    job_id = workshop.create(provider="easyrouter")
    workshop.until(job_id, State.ARCHIVED)
    *_, report, fresh_link = client.asked
    assert fresh_link - report > 3
    assert "transfer_trouble" in workshop.history(job_id)
