"""A thread has one connection to the database at a time, and none while it rings: pools are small, and Valkey slow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from served import Served
from sqlalchemy.engine import Connection
from workshop import RUN, Workshop

from jobs.machine.states import State
from jobs.store import tables
from jobs.store.database import Database
from jobs.store.setting_aside import MOST_DEATHS


@pytest.fixture
def greedy(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done with a connection in hand that wants none in hand."""
    found: list[str] = []
    in_hand = threading.local()

    def watched(real: Any, what: str) -> Any:
        @contextmanager
        def transaction(database: Database) -> Iterator[Connection]:
            if getattr(in_hand, "is_taken", False):
                found.append(what)
            with real(database) as db:
                in_hand.is_taken = True
                try:
                    yield db
                finally:
                    in_hand.is_taken = False

        return transaction

    def ring(task: str, *job_ids: str) -> None:
        if getattr(in_hand, "is_taken", False):
            found.append(f"ring {task}")
        real_ring(task, *job_ids)

    real_ring = workshop.bells.ring
    monkeypatch.setattr(workshop.bells, "ring", ring)
    monkeypatch.setattr(Database, "read", watched(Database.read, "read"))
    monkeypatch.setattr(Database, "write", watched(Database.write, "write"))
    return found


def test_on_a_jobs_whole_way(workshop: Workshop, receiver: Served, sandbox: Any, greedy: list[str]) -> None:
    for provider in ("evolink", "gravitex"):
        workshop.until(workshop.create(provider=provider), State.ARCHIVED)
    assert greedy == []


def test_where_a_bell_rings_for_the_step_of_another(workshop: Workshop, greedy: list[str]) -> None:
    job_id = workshop.create(provider="evolink")
    RUN["jobs.reconcile"](job_id, workshop.resources)
    assert workshop.bells.take() == [("jobs.submit", job_id)]
    assert greedy == []


def test_where_a_job_is_set_aside(workshop: Workshop, greedy: list[str]) -> None:
    job_id = workshop.create(provider="evolink")
    with workshop.database.write() as db:
        before = workshop.database.clock(db) - timedelta(seconds=1)
        died = {"lease_holder": "dead", "leased_until": before, "holder_deaths": MOST_DEATHS}
        db.execute(sa.update(tables.jobs).where(tables.jobs.c.id == job_id).values(**died))
    RUN["jobs.submit"](job_id, workshop.resources)
    assert workshop.case(job_id).job.flagged == "holder_died"
    assert greedy == []
