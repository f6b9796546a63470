"""The whole service: real processes, broker, bucket and database; what a unit test cannot stand for."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import redis
import requests
import sqlalchemy as sa
from celery import Celery
from celery.result import AsyncResult

from jobs.machine.states import State
from jobs.store import tables

PROVIDERS = ["aivideoapi", "apiframe", "easyrouter", "gravitex", "evolink"]


def test_five_jobs_reach_the_archive_by_callback_or_poll_and_their_videos_come_back(service: Any, sandbox: Any) -> None:
    sandbox.set(generation_s=0.5)
    job_ids = {provider: service.submit(provider=provider) for provider in PROVIDERS}
    cases = service.until_ended(*job_ids.values())
    assert {case.job.state for case in cases} == {State.ARCHIVED}
    news = {case.job.provider: case.current.news_by for case in cases}
    assert {news[p] for p in ("easyrouter", "gravitex")} == {"poll"}
    assert {news[p] for p in ("aivideoapi", "apiframe", "evolink")} <= {"callback", "poll"}
    assert "callback" in news.values()
    for case in cases:
        headers = {"Authorization": f"Bearer {service.key}"}
        video = requests.get(f"{service.url}/v1/jobs/{case.job.id}/video", headers=headers, timeout=10)
        assert hashlib.sha256(video.content).hexdigest() == case.job.sha256
        assert len(video.content) == case.job.bytes
    assert len(sandbox.tasks()) == 5
    assert len(service.objects()) == 5


def test_a_flushed_valkey_in_the_middle_of_50_jobs_loses_none(service: Any, sandbox: Any) -> None:
    sandbox.set(generation_s=1)
    job_ids = [service.submit(provider=PROVIDERS[n % 5]) for n in range(50)]
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
    cases = service.until_ended(*job_ids)
    assert {case.job.state for case in cases} == {State.ARCHIVED}
    assert len(sandbox.tasks()) == 50
    assert len(service.objects()) == 50


def test_a_transfer_killed_in_the_middle_is_taken_up_by_another_and_leaves_one_object(
    make_service: Callable[..., Any], sandbox: Any
) -> None:
    service = make_service()
    sandbox.set(film="real")
    sandbox.fault("evolink", "serve", what="slow", bytes_per_s=30_000, hits=1)
    job_id = service.submit(provider="evolink")

    def copying() -> bool:
        tasks = sandbox.tasks("evolink")
        return bool(tasks) and tasks[0]["link_hits"]["count"] > 0

    service.await_(copying, "the first byte of the video")
    service.supervisor.kill("transfer")
    assert service.case(job_id).job.state is State.ARCHIVING
    service.start("transfer", "transfer-2")
    [case] = service.until_ended(job_id)
    assert case.job.state is State.ARCHIVED
    assert service.history(job_id).count("store") == 1
    assert len(service.objects()) == 1
    assert sandbox.tasks("evolink")[0]["link_hits"]["count"] == 2


def test_processes_that_are_all_killed_go_on_where_they_stopped_once_they_are_started_again(
    make_service: Callable[..., Any], sandbox: Any
) -> None:
    service = make_service()
    sandbox.set(generation_s=3)
    job_ids = [service.submit(provider=provider) for provider in PROVIDERS]

    def all_generating() -> bool:
        return all(service.case(job_id).job.state is State.GENERATING for job_id in job_ids)

    service.await_(all_generating, "five running tasks")
    roles = [role for role in service.commands if role != "release"]
    for role in roles:
        service.supervisor.kill(role)
    service.supervisor.kill("valkey")
    service.supervisor.start(service.valkey.process())
    for role in roles:
        service.start(role)
    cases = service.until_ended(*job_ids)
    assert {case.job.state for case in cases} == {State.ARCHIVED}
    assert len(sandbox.tasks()) == len(service.objects()) == 5


def test_generate_delivered_twice_makes_one_job_whose_id_both_answers_hold(service: Any, sandbox: Any) -> None:
    app = Celery("pipeline", broker=service.valkey.url, backend=service.valkey.url, set_as_current=False)
    request = {"prompt": "A red fox", "provider": "gravitex", "resolution": "720p", "duration": 2}
    answers = []
    for _ in range(2):
        app.send_task("rushes.generate", kwargs=request, task_id="order-7", queue="generate")
        result: AsyncResult[Any] = app.AsyncResult("order-7")
        answers.append(result.get(timeout=20))
        result.forget()
    assert answers[0] == answers[1]
    [case] = service.until_ended(answers[0])
    assert case.job.state is State.ARCHIVED
    assert case.job.api_key_id == "celery"
    assert len(sandbox.tasks()) == 1
    bad = app.send_task("rushes.generate", kwargs={"promt": "A red fox"}, task_id="order-8", queue="generate")
    problem = bad.get(timeout=20)
    assert (problem["code"], problem["errors"]["promt"]) == ("invalid_request", ["Unknown field; did you mean prompt?"])
    bad.forget()
    app.close()


def test_a_slow_gateway_does_not_delay_the_sweep_past_its_interval_nor_other_gateways(
    make_service: Callable[..., Any], sandbox: Any
) -> None:
    interval_s = 2.0
    service = make_service(SWEEP_INTERVAL_S=interval_s)
    sandbox.fault("aivideoapi", "slow_submit", seconds=5, times=200)
    for _ in range(200):
        service.submit(provider="aivideoapi")
    begun = time.monotonic()
    quick = service.submit(provider="gravitex")
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
    [case] = service.until_ended(quick)
    assert case.job.state is State.ARCHIVED
    slow_ones = len(sandbox.tasks("aivideoapi"))
    assert 0 < slow_ones < 200  # most are still to be sent: the gateway took its time


def test_without_beat_the_sweep_process_sweeps_by_itself(make_service: Callable[..., Any], sandbox: Any) -> None:
    service = make_service("web", "worker", "transfer", "sweep")
    service.await_(lambda: requests_alive(service.url), "the web process")
    sandbox.fault("evolink", "lose_callback")
    job_id = service.submit(provider="evolink")
    [case] = service.until_ended(job_id)
    assert (case.job.state, case.current.news_by) == (State.ARCHIVED, "poll")


def requests_alive(url: str) -> bool:
    try:
        return requests.get(f"{url}/livez", timeout=2).ok
    except requests.ConnectionError:
        return False


def test_the_service_runs_without_its_faces_and_the_sandbox_being_imported() -> None:
    script = (
        "import os, sys; os.environ |= {'RUSHES_S3_BUCKET': 'videos'};"
        "import jobs.celery_app, jobs.worker.tasks, webhooks.app;"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'rushes', 'sandbox'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
