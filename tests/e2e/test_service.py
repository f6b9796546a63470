"""The whole service: real processes, broker, bucket and database; what a unit test cannot stand for."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import redis
import requests
import sqlalchemy as sa
from celery import Celery
from celery.result import AsyncResult
from plant import Plant

from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS
from jobs.store import tables


@pytest.fixture(params=["plant", pytest.param("sqlite_plant", marks=pytest.mark.prove)], ids=["postgresql", "sqlite"])
def service(request: pytest.FixtureRequest) -> Plant:
    """The plant, on either database."""
    plant: Plant = request.getfixturevalue(request.param)
    return plant


def test_five_jobs_reach_the_archive_by_callback_or_poll_and_their_videos_come_back(service: Plant) -> None:
    job_ids = [service.book.order(provider) for provider in PROVIDERS]
    cases = service.book.await_archived(*job_ids)
    news = {case.job.provider: case.current.news_by for case in cases if case.current is not None}
    assert {news[p] for p in ("easyrouter", "gravitex")} == {"poll"}
    assert {news[p] for p in ("aivideoapi", "apiframe", "evolink")} <= {"callback", "poll"}
    assert "callback" in news.values()
    for case in cases:
        headers = {"Authorization": f"Bearer {service.key}"}
        video = requests.get(f"{service.url}/v1/jobs/{case.job.id}/video", headers=headers, timeout=10)
        assert hashlib.sha256(video.content).hexdigest() == case.job.sha256
        assert len(video.content) == case.job.bytes
    assert len(service.stand_ins.tasks()) == len(service.objects()) == 5


def test_a_flushed_valkey_in_the_middle_of_50_jobs_loses_none(service: Plant) -> None:
    service.stand_ins.set(generation_s=1)
    job_ids = [service.book.order(list(PROVIDERS)[n % 5]) for n in range(50)]
    client = redis.Redis.from_url(service.valkey.url)

    def flush_while(*wanted: State) -> None:
        def some() -> bool:
            with service.database.read() as db:
                found = set(db.execute(sa.select(tables.jobs.c.state)).scalars())
            return bool(found & set(wanted))

        service.await_(some, f"a job in {wanted}")
        client.flushall()

    flush_while(State.QUEUED, State.SUBMITTING)
    flush_while(State.GENERATING)
    flush_while(State.ARCHIVING, State.ARCHIVED)
    client.close()
    service.book.await_archived(*job_ids)
    assert len(service.stand_ins.tasks()) == len(service.objects()) == 50


@pytest.mark.prove
def test_a_transfer_killed_in_the_middle_is_taken_up_by_another_and_leaves_one_object(service: Plant) -> None:
    service.stand_ins.set(film="real")
    service.stand_ins.fault("evolink", "serve", what="slow", bytes_per_s=30_000, hits=1)
    job_id = service.book.order("evolink")

    def copying() -> bool:
        tasks = service.book.sold(job_id)
        return bool(tasks) and tasks[0]["link_hits"]["count"] > 0

    service.await_(copying, "the first byte of the video")
    service.kill("transfer")
    assert service.book.state(job_id) is State.ARCHIVING
    service.start("transfer-2")
    service.book.await_archived(job_id)
    assert service.book.history(job_id).count("store") == 1
    assert len(service.objects()) == 1
    assert service.book.sold(job_id)[0]["link_hits"]["count"] == 2


def test_processes_that_are_all_killed_go_on_where_they_stopped_once_they_are_started_again(service: Plant) -> None:
    service.stand_ins.set(generation_s=3)
    job_ids = [service.book.order(provider) for provider in PROVIDERS]

    def all_generating() -> bool:
        return all(service.book.state(job_id) is State.GENERATING for job_id in job_ids)

    service.await_(all_generating, "five running tasks")
    service.kill(*service.roles, "valkey")
    service.restore()
    service.book.await_archived(*job_ids)
    assert len(service.stand_ins.tasks()) == len(service.objects()) == 5


def test_generate_delivered_twice_makes_one_job_whose_id_both_answers_hold(service: Plant) -> None:
    app = Celery("pipeline", broker=service.valkey.url, backend=service.valkey.url, set_as_current=False)
    order = service.book.write("gravitex")
    answers = []
    for _ in range(2):
        app.send_task("rushes.generate", kwargs=order.body, task_id="order-7", queue="generate")
        result: AsyncResult[Any] = app.AsyncResult("order-7")
        answers.append(result.get(timeout=20))
        result.forget()
    assert answers[0] == answers[1]
    order.job_id = answers[0]
    [case] = service.book.await_archived(answers[0])
    assert case.job.api_key_id == "celery"
    assert len(service.stand_ins.tasks()) == 1
    bad = app.send_task("rushes.generate", kwargs={"promt": "A red fox"}, task_id="order-8", queue="generate")
    problem = bad.get(timeout=20)
    assert (problem["code"], problem["errors"]["promt"]) == ("invalid_request", ["Unknown field; did you mean prompt?"])
    bad.forget()
    app.close()


def test_what_get_gives_is_about_the_request_that_was_handled_last_under_its_id(service: Plant) -> None:
    app = Celery("pipeline", broker=service.valkey.url, backend=service.valkey.url, set_as_current=False)

    def ask(body: dict[str, Any], expected: Callable[[Any], bool]) -> Any:
        app.send_task("rushes.generate", kwargs=body, task_id="order-9", queue="generate")
        service.await_(lambda: expected(app.AsyncResult("order-9").result), f"the answer to {body}")
        return app.AsyncResult("order-9").result

    def refused_as(code: str) -> Callable[[Any], bool]:
        return lambda answer: isinstance(answer, dict) and answer["code"] == code

    order = service.book.write("gravitex")
    ask({**order.body, "resolution": "4k"}, refused_as("invalid_request"))
    order.job_id = ask(order.body, lambda answer: isinstance(answer, str))
    ask({**order.body, "seed": 7}, refused_as("idempotency_key_reused"))
    assert ask(order.body, lambda answer: isinstance(answer, str)) == order.job_id
    service.book.await_archived(order.job_id)
    app.close()


@pytest.mark.prove
def test_a_slow_gateway_does_not_delay_the_sweep_past_its_interval_nor_other_gateways(service: Plant) -> None:
    interval_s = 2.0
    for role in ("sweep", "beat"):
        service.kill(role)
        service.start(role, SWEEP_INTERVAL_S=interval_s)
    service.await_alive("sweep", "beat")
    service.stand_ins.fault("aivideoapi", "slow_submit", seconds=3, times=60)
    for _ in range(60):
        service.book.order("aivideoapi")
    begun = time.monotonic()
    quick = service.book.order("gravitex")
    marks: list[Any] = []

    def watched() -> bool:
        with service.database.read() as db:
            row = sa.select(tables.heartbeats.c.seen_at).where(tables.heartbeats.c.name == "swept")
            at = db.execute(row).scalar_one()
        if at not in marks:
            marks.append(at)
        return time.monotonic() - begun > 6 * interval_s

    service.await_(watched, "six intervals")
    gaps = [(after - before).total_seconds() for before, after in pairwise(marks)]
    assert max(gaps) < 2 * interval_s, gaps
    assert len(gaps) >= 4
    service.book.await_archived(quick)
    assert 1 < len(service.stand_ins.tasks()) < 60  # most are still to be sent: the gateway took its time


def test_the_service_runs_without_its_faces_and_the_sandbox_being_imported() -> None:
    script = (
        "import os, sys; os.environ |= {'RUSHES_S3_BUCKET': 'videos'};"
        "import jobs.celery_app, jobs.worker.tasks, webhooks.app;"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'rushes', 'sandbox'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
