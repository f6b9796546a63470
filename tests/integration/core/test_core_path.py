"""The main path, step by step, on both databases."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import pytest
import requests
from workshop import Workshop

from jobs.machine import rows
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.request.generation import JobRequest
from jobs.request.schema import load_request

pytestmark = pytest.mark.both_databases

PROVIDERS = ["aivideoapi", "apiframe", "easyrouter", "gravitex", "evolink"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_job_of_each_provider_reaches_archived_and_the_objects_bytes_equal_the_links(
    workshop: Workshop, sandbox: Any, provider: str
) -> None:
    job_id = workshop.create(provider=provider)
    case = workshop.until(job_id, State.ARCHIVED)
    job, attempt = case.job, case.current
    assert attempt is not None
    assert attempt.link is not None
    at_link = requests.get(attempt.link, timeout=10).content
    stored = b"".join(workshop.bucket.open(job.archive_key))
    assert stored == at_link
    assert (job.bytes, job.sha256) == (len(stored), hashlib.sha256(stored).hexdigest())
    assert job.duration_s == pytest.approx(2, abs=0.1)
    assert (attempt.outcome, attempt.standing) == (AttemptOutcome.DELIVERED, Standing.CHARGED)
    assert job.alarm_at is None
    assert len(sandbox.tasks(provider)) == 1
    assert workshop.history(job_id)[0] == "created"
    for suffix in (".jpg", ".json"):
        assert b"".join(workshop.bucket.open(job.archive_key.replace(".mp4", suffix)))


def test_a_worker_reads_a_request_once_on_its_whole_way(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = workshop.create(prompt=f"Fox {secrets.token_hex(8)}")
    read: list[Any] = []

    def noted(body: Any) -> JobRequest:
        read.append(body)
        return load_request(body)

    monkeypatch.setattr(rows, "load_request", noted)
    workshop.until(job_id, State.ARCHIVED)
    assert len(read) == 1
