"""Whole jobs on stores that do otherwise than AWS S3."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa
from odd_store import STORES, OddStore, Ways
from workshop import Ahead, Workshop

from jobs.machine.states import State
from jobs.reports import attention
from jobs.reports.attention_items import Looking
from jobs.steps import object_metadata
from jobs.store import history
from jobs.store.tables import attempts
from storage.keys import poster_key, sidecar_key

SAMPLE = {"Cloudflare R2", "Backblaze B2", "Aliyun OSS"}  # the others are AWS S3's ways, or one of theirs
MakeStore = Callable[[Ways], OddStore]
On = Callable[..., Workshop]  # the fixture


def needs_a_person(workshop: Workshop) -> list[str]:
    with workshop.database.read() as db:
        now = workshop.database.clock(db)
        looking = Looking(workshop.settings, workshop.resources.providers, now)
        return [item.reason for item in attention.items(db, looking)]


def await_trouble(workshop: Workshop, job_id: str) -> None:
    def is_troubled() -> bool:
        workshop.sweep()
        return workshop.case(job_id).job.troubles > 0

    workshop.await_(is_troubled, "trouble", job_id=job_id)


def test_a_bucket_that_denies_the_put_later_on_is_told_at_the_first_refusal(on: On, make_odd_store: MakeStore) -> None:
    store = make_odd_store(Ways())
    workshop = on(store)
    workshop.until(workshop.create(provider="evolink"), State.ARCHIVED)
    store.ways.denied = ("PUT",)
    job_id = workshop.create(provider="evolink")

    await_trouble(workshop, job_id)
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


@pytest.mark.parametrize(
    ("ways", "rules"),
    [pytest.param(*row, id=name, marks=[] if name in SAMPLE else pytest.mark.prove) for name, row in STORES.items()],
)
def test_a_job_is_archived_once_on_each_store_of_the_page(
    on: On, make_odd_store: MakeStore, ways: Ways, rules: dict[str, str]
) -> None:
    store = make_odd_store(replace(ways))
    workshop = on(store, **rules)
    job_id = workshop.create(provider="evolink")
    case = workshop.until(job_id, State.ARCHIVED)
    key = case.job.archive_key
    assert [put for put, _ in store.puts] == [poster_key(key), sidecar_key(key), key]
    assert hashlib.sha256(store.objects[key].body).hexdigest() == case.job.sha256
    stored = workshop.bucket.head_with_checksum(key)
    assert stored is not None
    assert object_metadata.read(stored).task_id == case.attempts[1].task_id


@pytest.mark.parametrize("trouble", ["lost_answers", pytest.param("conflicts", marks=pytest.mark.prove)])
def test_a_put_that_goes_wrong_on_its_way_leaves_one_object(on: On, make_odd_store: MakeStore, trouble: str) -> None:
    store = make_odd_store(Ways(**{trouble: 1}))
    workshop = on(store)
    job_id = workshop.create(provider="evolink")
    if trouble == "conflicts":  # it is the bucket's trouble for a while
        await_trouble(workshop, job_id)
        Ahead(workshop).leap(60)
    case = workshop.until(job_id, State.ARCHIVED)
    assert store.videos() == [case.job.archive_key]
    assert [key for key, _ in store.puts].count(case.job.archive_key) == 1


@pytest.mark.parametrize("task_id", ["tâche 任务-1", "=?UTF-8?B?5Lu7?="])
def test_a_task_whose_id_is_odd_is_archived_and_found_again(on: On, make_odd_store: MakeStore, task_id: str) -> None:
    store = make_odd_store(STORES["Cloudflare R2"][0])
    workshop = on(store)
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.ARCHIVING)
    with workshop.database.write() as db:
        db.execute(sa.update(attempts).values(task_id=task_id))
    workshop.until(job_id, State.ARCHIVED)
    stored = workshop.bucket.head(workshop.case(job_id).job.archive_key)
    assert stored is not None
    assert object_metadata.read(stored).task_id == task_id
