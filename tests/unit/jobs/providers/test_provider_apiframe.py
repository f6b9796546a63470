"""Apiframe v2, against the bodies its pages print and the signatures its SDK makes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.generation import Generation, Media, Mode
from jobs.providers.apiframe import (
    APIFRAME,
    read_acceptance,
    read_callback,
    read_refusal,
    read_report,
    submit_request,
    verify_signature,
)
from jobs.providers.base import Acceptance, Failure, Report, ReportState, Request

Sample = Callable[[str], Any]
JOB = "3f0f5f6e-0d8a-4c7a-9a51-0d6f7a9d3b11"
VIDEO = "https://cdn2.apiframe.ai/videos/3f0f5f6e.mp4"
# protocols.md, section 2.3.
API_KEY = "afk_" + "0" * 40
SIGNED = b'{"jobId":"abc","status":"COMPLETED"}'
BY_DIGEST = "58e6d7af820911d918b1b43ade255ec260002ca8b24ba46dd057a99d192c89f4"
BY_HEX_TEXT = "2cb660473e59908c969f761f7444eda6c9067d13d2d83a0057fb8fb5197c60af"


def test_the_pages_example_is_sent_exactly(sample: Sample) -> None:
    example = sample("apiframe/submit_request")
    spec = Generation(Mode.TEXT, example["prompt"], ratio="16:9", duration=8)
    assert submit_request(spec, None) == Request("POST", "/v2/videos/generate", example)


def test_everything_that_can_be_asked_has_its_field() -> None:
    media = (Media("driving_audio", "https://h/a.mp3"),)
    spec = Generation(Mode.TEXT, "p", "x" * 2500, "720p", "9:16", 15, 0, False, False, None, media)
    assert APIFRAME.fit(spec) == []
    assert submit_request(spec, "https://me/cb").body == {
        "model": "wan-2.7",
        "prompt": "p",
        "webhookUrl": "https://me/cb",
        "webhookEvents": ["completed", "failed"],
        "wan27Params": {
            "duration": 15,
            "resolution": "720p",
            "aspect_ratio": "9:16",
            "negative_prompt": "x" * 2500,
            "enable_prompt_expansion": False,
            "seed": 0,
            "audio": "https://h/a.mp3",
        },
    }


def test_a_watermark_cannot_be_asked_for() -> None:
    assert [m.field for m in APIFRAME.fit(Generation(Mode.TEXT, "p", watermark=True))] == ["watermark"]


@pytest.mark.parametrize("status", [202, 200])
def test_an_acceptance_bears_the_job_id_and_so_does_a_replay(sample: Sample, status: int) -> None:
    body = sample("apiframe/submit_accepted")
    assert read_acceptance(status, body) == Acceptance(JOB)
    assert read_acceptance(status, body | {"status": "FAILED"}) == Acceptance(JOB)


def test_a_finished_job_is_read_whole(sample: Sample) -> None:
    assert read_report(sample("apiframe/query_completed")) == Report(
        state=ReportState.FINISHED,
        word="COMPLETED",
        task_id=JOB,
        link=VIDEO,
        progress=100,
        cost=136,
        model="wan-2.7",
        created_at=datetime(2026, 3, 15, 10, 0, tzinfo=UTC),
        finished_at=datetime(2026, 3, 15, 10, 0, 32, tzinfo=UTC),
    )


@pytest.mark.parametrize("result", [VIDEO, {"videoUrl": VIDEO}, {"videos": [VIDEO]}, {"videos": [{"url": VIDEO}]}])
def test_the_link_is_found_in_every_shape_of_a_result(sample: Sample, result: Any) -> None:
    assert read_report(sample("apiframe/query_completed") | {"result": result}).link == VIDEO


def test_a_callback_names_the_task_in_its_own_field(sample: Sample) -> None:
    for name in ("callback_completed", "callback_completed_string"):
        report = read_callback(sample(f"apiframe/{name}"))
        assert (report.state, report.task_id, report.link) == (ReportState.FINISHED, JOB, VIDEO)
    assert read_callback(sample("apiframe/query_completed")).task_id is None


def test_a_progress_callback_is_no_end(sample: Sample) -> None:
    report = read_callback(sample("apiframe/callback_progress"))
    assert (report.state, report.progress) == (ReportState.RUNNING, 45)


def test_a_failure_is_prose_and_costs_nothing(sample: Sample) -> None:
    report = read_report(sample("apiframe/query_failed"))
    said = "Provider returned an error: the task was not finished"
    assert report.failure == Failure("generation_failed", said, False)
    assert report.cost == 0


def test_a_cancelled_job_has_failed_and_says_so(sample: Sample) -> None:
    report = read_report(sample("apiframe/query_cancelled"))
    assert report.failure == Failure("generation_failed", "cancelled, no reason given", False)


@pytest.mark.parametrize(
    ("status", "code", "pause_s"),
    [
        (400, "invalid_request", None),
        (401, "unauthorized", 300),
        (402, "insufficient_credits", 900),
        (403, "unauthorized", 300),
        (429, "rate_limited", 30),
    ],
)
def test_a_documented_refusal_is_read(status: int, code: str, pause_s: float | None) -> None:
    refusal = read_refusal(status, {}, {"error": "m"})
    assert refusal is not None
    assert (refusal.failure.code, refusal.failure.message, refusal.pause_s) == (code, "m", pause_s)


def test_a_validation_says_which_field(sample: Sample) -> None:
    refusal = read_refusal(400, {}, sample("apiframe/refused_400"))
    assert refusal is not None
    assert "wan27Params.duration" in refusal.failure.message


def test_a_reused_idempotency_key_is_no_refusal_for_a_job_exists() -> None:
    assert read_refusal(409, {}, {"error": "Idempotency key reused"}) is None


def test_the_same_key_is_sent_again_for_23_hours_at_most() -> None:
    assert (APIFRAME.idempotency_header, APIFRAME.idempotency_life_s) == ("Idempotency-Key", 82_800)


@pytest.mark.parametrize("digest", [BY_DIGEST, BY_HEX_TEXT])
@pytest.mark.parametrize("prefix", ["sha256=", ""])
def test_a_signature_by_either_reading_of_the_key_is_apiframes(digest: str, prefix: str) -> None:
    assert verify_signature(API_KEY, SIGNED, prefix + digest)
    assert verify_signature(API_KEY, SIGNED, prefix + digest.upper())
    assert not verify_signature(API_KEY + "1", SIGNED, prefix + digest)
    assert not verify_signature(API_KEY, SIGNED + b" ", prefix + digest)
    assert not verify_signature(API_KEY, SIGNED, prefix + digest[:-1])


@pytest.mark.parametrize("header", [None, "", "sha256=", "é", "sha256=" + "0" * 64])
def test_anything_else_is_not(header: str | None) -> None:
    assert not verify_signature(API_KEY, SIGNED, header)


@given(st.text(max_size=80))
def test_no_header_makes_the_check_raise(header: str) -> None:
    assert not verify_signature(API_KEY, SIGNED, header)


def test_the_worker_finds_the_signature_among_the_headers() -> None:
    assert APIFRAME.verify_callback is not None
    assert APIFRAME.verify_callback(API_KEY, SIGNED, {"x-webhook-SIGNATURE": f"sha256={BY_DIGEST}"})
    assert not APIFRAME.verify_callback(API_KEY, SIGNED, {})


def test_prices_are_alike_for_both_sizes_and_no_rate_is_published() -> None:
    for resolution in ("720p", "1080p"):
        assert APIFRAME.price_credits(Generation(Mode.TEXT, "p", resolution=resolution, duration=8)) == 136
    assert APIFRAME.price_usd(Generation(Mode.TEXT, "p")) is None
