"""A kept callback that is replayed goes the way of a new one: its job asks the gateway."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from served import Served
from workshop import Workshop

from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS
from jobs.steps import reconciliation
from jobs.store import callbacks
from jobs.store.database import Database
from jobs.store.tables import inbox as table


def test_its_job_asks_and_has_read_it_once_the_gateway_has_answered(
    workshop: Workshop, receiver: Served, sandbox: Any
) -> None:
    sandbox.set(generation_s=3600)
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.GENERATING)
    sandbox.call_back("evolink", str(workshop.case(job_id).attempts[1].task_id))
    [callback_id] = kept(workshop.database)
    reconciliation.reconcile(job_id, workshop.resources)
    assert workshop.case(job_id).unread == ()
    with workshop.database.write() as db:
        callbacks.replay(db, callback_id, workshop.settings, PROVIDERS, now=workshop.database.clock(db))
    assert len(workshop.case(job_id).unread) == 1
    workshop.await_(lambda: read_again(workshop, job_id), "the callback, read once more", job_id=job_id)


def kept(database: Database) -> list[str]:
    with database.read() as db:
        return [f"cbk_{number}" for number in db.execute(sa.select(table.c.id)).scalars()]


def read_again(workshop: Workshop, job_id: str) -> bool:
    reconciliation.reconcile(job_id, workshop.resources)
    return workshop.case(job_id).unread == ()
