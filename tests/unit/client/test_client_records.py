"""What the service tells, read as values."""

from __future__ import annotations

import dataclasses
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rushes.api.schemas.jobs import EventSchema, JobSchema, QuoteSchema
from rushes_client import (
    Attempt,
    Cost,
    Event,
    Job,
    JobCancelled,
    JobError,
    JobFailed,
    Named,
    NotArchived,
    Price,
    Quote,
    QuotedWait,
    Unproven,
    Video,
    Waiting,
)
from rushes_client.records import read

COST = {
    "standing": "charged",
    "estimated_credits": 250000.0,
    "estimated_usd": 0.5,
    "estimate_exact": True,
    "reported_credits": 250000.0,
    "reported_usd": 0.5,
}


@pytest.fixture
def told() -> dict[str, Any]:
    """An archived job as the service tells it."""
    job_id, made_at, done_at = "job_01M7ZCJS6357RAFETJ3XVQFKF2", "2026-11-21T15:46:13.827Z", "2026-11-21T15:46:34.893Z"
    return {
        "id": job_id,
        "state": "archived",
        "mode": "text-to-video",
        "provider": "easyrouter",
        "attempt": 1,
        "task_id": "task_UYlTRe2HYwCJs0o885vW",
        "progress": 100,
        "overdue": False,
        "waiting": None,
        "needs_person": None,
        "cancel_requested": False,
        "error": None,
        "cost": COST,
        "attempts": [
            {
                "number": 1,
                "provider": "easyrouter",
                "task_id": "task_UYlTRe2HYwCJs0o885vW",
                "outcome": "delivered",
                "cost": COST,
                "link": None,
                "settled": "charged",
                "named": {"task_id": "task_7", "state": "refused", "reason": "no such task"},
                "created_at": "2026-11-21T15:46:13.840Z",
            }
        ],
        "video": {
            "bucket": "rushes",
            "key": f"videos/2026/11/21/{job_id}.mp4",
            "bytes": 142076,
            "sha256": "f28d81f0a294f1568ae349707feb471757e5bf4be94ff9949304fff345e1bfdd",
            "duration_s": 5.0,
            "width": 1280,
            "height": 720,
            "fps": 24.0,
        },
        "metadata": {"scene": "12"},
        "created_at": made_at,
        "updated_at": done_at,
        "ended_at": done_at,
        "links": {"self": f"/v1/jobs/{job_id}"},
    }


def test_an_archived_job_reads_as_values_with_aware_times(told: dict[str, Any]) -> None:
    job = Job.from_json(told)
    assert (job.id, job.state, job.ended) == (told["id"], "archived", True)
    assert job.created_at == datetime(2026, 11, 21, 15, 46, 13, 827000, tzinfo=UTC)
    assert job.created_at.utcoffset() == timedelta(0)
    assert job.video is not None
    assert (job.video.bytes, job.video.sha256) == (told["video"]["bytes"], told["video"]["sha256"])
    assert job.cost is not None
    assert job.cost.reported_usd == 0.5
    assert [(a.number, a.outcome, a.cost.standing) for a in job.attempts] == [(1, "delivered", "charged")]
    (order,) = job.attempts
    assert order.named is not None
    assert (order.settled, order.named.state, order.named.reason) == ("charged", "refused", "no such task")
    assert job.metadata == {"scene": "12"}
    job.raise_unless_archived()


def test_fields_and_states_that_are_not_known_yet_are_kept(told: dict[str, Any]) -> None:
    newer = {**told, "state": "polishing", "ended_at": None, "mood": {"of": "fox"}}
    job = Job.from_json(newer)
    assert (job.state, job.ended) == ("polishing", False)
    assert job.raw["mood"] == {"of": "fox"}
    with pytest.raises(NotArchived, match="is polishing"):
        job.raise_unless_archived()


def test_what_an_older_service_does_not_tell_is_none(told: dict[str, Any]) -> None:
    for name in ("waiting", "attempts", "metadata", "needs_person"):
        told.pop(name)
    job = Job.from_json(told)
    assert (job.waiting, job.attempts, job.metadata, job.needs_person) == (None, (), {}, None)


def test_a_queued_job_says_what_it_waits_for(told: dict[str, Any]) -> None:
    told |= {"state": "queued", "video": None, "ended_at": None}
    told["waiting"] = {
        "provider": "evolink",
        "code": "no_room",
        "reason": "Full.",
        "until": "2026-11-21T15:47:00.000Z",
        "position": 3,
        "start_by": "2026-11-22T15:47:00.000Z",
    }
    waiting = Job.from_json(told).waiting
    assert waiting is not None
    assert (waiting.provider, waiting.code, waiting.position) == ("evolink", "no_room", 3)
    assert waiting.until == datetime(2026, 11, 21, 15, 47, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "error", "kind", "words"),
    [
        ("failed", {"code": "moderated", "message": "Not this one.", "retryable": False}, JobFailed, "Not this one"),
        ("cancelled", None, JobCancelled, "was cancelled"),
        ("generating", None, NotArchived, "is generating"),
    ],
)
def test_a_job_without_a_video_raises_what_became_of_it(
    told: dict[str, Any], state: str, error: dict[str, Any] | None, kind: type[NotArchived], words: str
) -> None:
    job = Job.from_json({**told, "state": state, "error": error, "video": None})
    with pytest.raises(kind, match=words) as caught:
        job.raise_unless_archived()
    assert type(caught.value) is kind
    assert caught.value.job is job
    assert caught.value.code == (error["code"] if error else None)


def test_a_job_does_not_change_compares_by_what_is_known_and_travels_between_processes(told: dict[str, Any]) -> None:
    job = Job.from_json(told)
    with pytest.raises(dataclasses.FrozenInstanceError):
        job.state = "failed"
    assert pickle.loads(pickle.dumps(job)) == job == Job.from_json({**told, "mood": "new"})
    assert {job} == {Job.from_json(told)}
    assert "raw" not in repr(job)


def test_every_field_that_the_api_tells_has_its_place() -> None:
    of_job, of_quote = JobSchema().fields, QuoteSchema().fields
    told = {
        Job: set(of_job) - {"links"},
        Waiting: set(of_job["waiting"].schema.fields),
        JobError: set(of_job["error"].schema.fields),
        Cost: set(of_job["cost"].schema.fields),
        Video: set(of_job["video"].schema.fields),
        Attempt: set(of_job["attempts"].inner.schema.fields),
        Named: set(of_job["attempts"].inner.schema.fields["named"].schema.fields),
        Unproven: set(of_job["attempts"].inner.schema.fields["unproven"].schema.fields),
        Event: set(EventSchema().fields),
        Quote: set(of_quote) - {"dry_run", "considered"},
        Price: set(of_quote["price"].schema.fields),
        QuotedWait: set(of_quote["waits"].schema.fields),
    }
    for kind, names in told.items():
        assert {each.name for each in dataclasses.fields(kind)} == names | {"raw"}, kind


def test_a_quote_tells_a_price_or_what_would_be_waited_for() -> None:
    price = {"seconds": 5.0, "credits": 9.0, "usd": 0.4, "exact": True}
    quote = read(Quote, {"dry_run": True, "provider": "evolink", "price": price, "waits": None, "considered": []})
    assert quote.price is not None
    assert (quote.provider, quote.price.usd, quote.waits, quote.raw["considered"]) == ("evolink", 0.4, None, [])
    waits = {"provider": "evolink", "code": "no_room", "reason": "Full.", "seconds": 5.0, "position": 1}
    quote = read(Quote, {"provider": None, "price": None, "waits": {**waits, "start_by": "2026-11-22T15:47:00.000Z"}})
    assert quote.waits is not None
    assert (quote.provider, quote.price, quote.waits.seconds) == (None, None, 5.0)
