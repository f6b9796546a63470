"""Taking jobs in, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa
from rows import DAY, NOW, Rows

from jobs.errors import BadRequest, IdempotencyKeyReused
from jobs.intake import new_jobs
from jobs.intake.api_keys import CELERY
from jobs.machine.states import State
from jobs.store.tables import events, idempotency_keys, jobs

pytestmark = pytest.mark.both_databases


def count(rows: Rows, table: sa.Table) -> int:
    with rows.database.read() as db:
        return int(db.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def test_a_new_job_is_queued_due_and_told_in_its_history(rows: Rows) -> None:
    case, existed = rows.create(metadata={"shot": "12"})
    job = case.job
    assert not existed
    assert (job.state, job.version, job.alarm_at, job.lease_holder) == (State.QUEUED, 0, NOW, None)
    assert (job.attempt, job.metadata, job.start_by) == (0, {"shot": "12"}, NOW + DAY)
    assert job.archive_key == f"takes/videos/2026/03/04/{job.id}.mp4"
    assert rows.history(job.id) == [("created", None, "queued")]
    assert rows.case(job.id) == case


def test_the_clients_own_start_within_is_kept(rows: Rows) -> None:
    case, _ = rows.create(start_within_s=120)
    assert (case.job.start_by - NOW).total_seconds() == 120


def test_without_a_key_the_same_request_is_another_job(rows: Rows) -> None:
    assert rows.create()[0].job.id != rows.create()[0].job.id


def test_the_same_key_and_body_is_the_same_job(rows: Rows) -> None:
    first, existed = rows.create(key="k")
    again, existed_again = rows.create(key="k")
    assert (existed, existed_again) == (False, True)
    assert again.job.id == first.job.id
    assert (count(rows, jobs), count(rows, events)) == (1, 1)


def test_the_order_of_its_fields_does_not_make_a_body_another(rows: Rows) -> None:
    first, _ = rows.create(key="k", seed=1, ratio="1:1")
    again, existed = rows.create(key="k", ratio="1:1", seed=1)
    assert existed
    assert again.job.id == first.job.id


def test_the_same_key_with_another_body_is_refused(rows: Rows) -> None:
    rows.create(key="k")
    with pytest.raises(IdempotencyKeyReused, match="another body"):
        rows.create(key="k", seed=1)
    assert count(rows, jobs) == 1


def test_each_api_key_has_idempotency_keys_of_its_own(rows: Rows) -> None:
    first, _ = rows.create(key="k", api_key="key_1")
    other, existed = rows.create(key="k", api_key="key_2")
    assert not existed
    assert other.job.id != first.job.id


def test_a_task_id_of_celery_is_a_key_as_it_stands_with_its_quotes(rows: Rows) -> None:
    first, _ = rows.create(key="x", api_key=CELERY)
    other, existed = rows.create(key='"x"', api_key=CELERY)
    assert not existed
    assert other.job.id != first.job.id


def test_fifty_threads_with_the_same_key_make_one_job(rows: Rows) -> None:
    with ThreadPoolExecutor(50) as pool:
        made = list(pool.map(lambda _: rows.create(key="k"), range(50)))
    assert len({case.job.id for case, _ in made}) == 1
    assert sum(not existed for _, existed in made) == 1
    assert (count(rows, jobs), count(rows, events), count(rows, idempotency_keys)) == (1, 1, 1)


def test_a_bad_request_keeps_nothing(rows: Rows) -> None:
    with pytest.raises(BadRequest):
        rows.create(key="k", seed=-1)
    assert (count(rows, jobs), count(rows, idempotency_keys)) == (0, 0)


def test_a_request_that_no_configured_gateway_serves_is_refused(rows: Rows) -> None:
    with pytest.raises(BadRequest, match="RUSHES_APIFRAME_API_KEY"):
        rows.create(provider="apiframe")


def test_a_notify_url_needs_notices_to_be_on(rows: Rows) -> None:
    silent = replace(rows.core, settings=replace(rows.core.settings, notice_secrets=()))
    with pytest.raises(BadRequest, match="RUSHES_NOTICE_SECRETS"):
        new_jobs.create({"prompt": "p", "notify_url": "https://127.0.0.1/hook"}, silent, api_key_id="key_1")


def test_a_notify_url_is_kept(rows: Rows) -> None:
    case, _ = rows.create(notify_url="http://127.0.0.1/hook")
    assert case.job.notify_url == "http://127.0.0.1/hook"
