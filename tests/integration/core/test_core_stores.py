"""Whole jobs on stores that do otherwise than AWS S3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from odd_store import ACCESS_KEY, BUCKET, OddStore, Ways
from workshop import Ahead, Workshop

from jobs.machine.states import State
from jobs.reports import attention
from jobs.reports.attention import Looking
from jobs.store import history
from jobs.store.database import Database
from storage.bucket import Bucket, BucketConfig
from storage.proof.probe import Prober
from storage.rules import StoreRules

MakeStore = Callable[[Ways], OddStore]
On = Callable[..., Workshop]


@pytest.fixture
def on(database: Database, prober: Prober, ca_file: str, sandbox: Any, tmp_path: Path) -> Iterator[On]:
    """A workshop whose archive is such a store, spoken to by these rules."""
    made: list[Workshop] = []

    def make(store: OddStore, **rules: Any) -> Workshop:
        url = store.named_url if rules.get("addressing") == "virtual" else store.url
        config = BucketConfig(BUCKET, "", url, None, ACCESS_KEY, "secret", rules=StoreRules(**rules))
        made.append(Workshop(database, Bucket(config), prober, ca_file, sandbox.url, tmp_path))
        return made[-1]

    yield make
    for workshop in made:
        workshop.close()


def needs_a_person(workshop: Workshop) -> list[str]:
    with workshop.database.read() as db:
        now = workshop.database.clock(db)
        looking = Looking(workshop.settings, workshop.resources.providers, now)
        return [item.reason for item in attention.items(db, looking)]


@pytest.mark.both_databases
def test_a_bucket_that_denies_the_put_later_on_is_told_at_the_first_refusal(on: On, make_odd_store: MakeStore) -> None:
    store = make_odd_store(Ways())
    workshop = on(store)
    workshop.until(workshop.create(provider="evolink"), State.ARCHIVED)
    store.ways.denied = ("PUT",)
    job_id = workshop.create(provider="evolink")

    def is_refused() -> bool:
        workshop.sweep()
        return workshop.case(job_id).job.troubles > 0

    workshop.await_(is_refused, "a refusal", job_id=job_id)
    job = workshop.case(job_id).job
    assert (job.state, job.troubles, job.flagged) == (State.ARCHIVING, 1, "bucket_refuses")
    with workshop.database.read() as db:
        [said] = [line["detail"] for line in history.of_job(db, job_id) if line["event"] == "transfer_trouble"]
    assert "403 AccessDenied (not authorized, with an explicit deny" in said["reason"]
    assert needs_a_person(workshop) == ["bucket_refuses"]
    store.ways.denied = ()
    Ahead(workshop).leap(60)
    case = workshop.until(job_id, State.ARCHIVED)
    assert (case.job.flagged, needs_a_person(workshop)) == (None, [])
