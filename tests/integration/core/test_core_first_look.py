"""When the bucket is asked whether a job's video is there: beside the first download, before every later one."""

from __future__ import annotations

import hashlib
import io
import time
from typing import Any

import pytest
from test_core_troubles import make_due
from workshop import RUN, Workshop

from jobs.machine.states import State
from jobs.steps import archiving, object_metadata
from storage.bucket import StoredVideo
from storage.errors import BucketUnavailable
from storage.proof.probe import VideoFacts
from storage.spool import Spooled

PATIENCE_S = 10


def hits(sandbox: Any) -> int:
    count: int = sandbox.tasks("evolink")[0]["link_hits"]["count"]
    return count


def archiving_job(workshop: Workshop) -> str:
    job_id = workshop.create(provider="evolink")
    workshop.until(job_id, State.ARCHIVING)
    return job_id


def test_the_bucket_is_asked_while_the_film_is_fetched(
    workshop: Workshop, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = archiving_job(workshop)
    key, head, hits_by_then = workshop.case(job_id).job.archive_key, workshop.bucket.head, []

    def late_head(asked: str) -> StoredVideo | None:
        end = time.monotonic() + PATIENCE_S
        while asked == key and not hits(sandbox) and time.monotonic() < end:
            time.sleep(0.02)
        hits_by_then.append(hits(sandbox))
        return head(asked)

    monkeypatch.setattr(workshop.bucket, "head", late_head)
    RUN["jobs.transfer"](job_id, workshop.resources)
    assert workshop.state(job_id) is State.ARCHIVED
    assert hits_by_then == [1]


def test_what_stands_there_already_is_adopted_and_the_download_dropped(
    workshop: Workshop, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = archiving_job(workshop)
    case = workshop.case(job_id)
    other = Spooled(io.BytesIO(b"film"), 4, hashlib.sha256(b"film").hexdigest())
    said = object_metadata.write(case, other.sha256, VideoFacts(2.0, 16, 16, 24.0, "h264", False))
    workshop.bucket.put_video(case.job.archive_key, other, said)
    monkeypatch.setattr(workshop.resources, "prober", None)  # nothing is proven, and nothing put
    monkeypatch.setattr(archiving, "publish", None)
    RUN["jobs.transfer"](job_id, workshop.resources)
    job = workshop.case(job_id).job
    assert (job.state, job.sha256, job.bytes) == (State.ARCHIVED, other.sha256, 4)


def test_after_a_trouble_nothing_is_fetched_before_the_bucket_has_answered(
    workshop: Workshop, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(key: str) -> None:
        raise BucketUnavailable("away")

    def counted(*args: Any, **more: Any) -> Spooled:
        fetched.append(args)
        return fetch(*args, **more)

    fetched, fetch = list[Any](), workshop.resources.fetch
    job_id = archiving_job(workshop)
    monkeypatch.setattr(workshop.resources, "fetch", counted)
    with monkeypatch.context() as patch:
        patch.setattr(workshop.bucket, "head", away)
        for _ in range(3):
            RUN["jobs.transfer"](job_id, workshop.resources)
            make_due(workshop, job_id)
        assert (workshop.case(job_id).job.troubles, len(fetched)) == (3, 1)
    RUN["jobs.transfer"](job_id, workshop.resources)
    assert (workshop.state(job_id), len(fetched)) == (State.ARCHIVED, 2)
