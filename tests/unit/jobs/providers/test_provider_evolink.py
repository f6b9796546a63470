"""EvoLink, against the bodies its pages print."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.errors import BadReport
from jobs.generation import Generation, Media, Mode
from jobs.providers.base import Acceptance, Failure, Report, ReportState, Request
from jobs.providers.evolink import (
    EVOLINK,
    FAILURES,
    read_acceptance,
    read_refusal,
    read_report,
    submit_request,
)

Sample = Callable[[str], Any]
TASK = "task-unified-1757169743-7cvnl5zw"


def test_the_pages_fields_are_sent_exactly(sample: Sample) -> None:
    example = sample("evolink/submit_request")
    media = (Media("driving_audio", "https://example.com/audio.mp3"),)
    spec = Generation(
        Mode.TEXT, example["prompt"], "Blurry, low quality", "720p", "16:9", 5, 42, False, False, None, media
    )
    assert EVOLINK.fit(spec) == []
    request = submit_request(spec, "https://your-domain.com/webhooks/video-task-completed")
    assert request == Request("POST", "/v1/videos/generations", example)


@pytest.mark.parametrize("extend", [True, False])
def test_prompt_rewriting_is_always_said_because_its_default_differs_here(extend: bool) -> None:
    body = submit_request(Generation(Mode.TEXT, "p", prompt_extend=extend), None).body
    assert body is not None
    assert (body["prompt_extend"], body["quality"]) == (extend, "1080p")


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (Generation(Mode.TEXT, "p", seed=0), "seed"),
        (Generation(Mode.TEXT, "p", watermark=True), "watermark"),
        (Generation(Mode.TEXT, "p", negative_prompt="x" * 501), "negative_prompt"),
    ],
)
def test_what_would_be_changed_in_silence_is_a_misfit(spec: Generation, field: str) -> None:
    assert [m.field for m in EVOLINK.fit(spec)] == [field]
    assert EVOLINK.fit(Generation(Mode.TEXT, "p", seed=1, negative_prompt="x" * 500)) == []


def test_the_acceptance_bears_the_task_id(sample: Sample) -> None:
    assert read_acceptance(200, sample("evolink/submit_accepted")) == Acceptance(TASK)
    with pytest.raises(BadReport):
        read_acceptance(200, sample("evolink/submit_accepted") | {"error": {"message": "m"}})


def test_a_finished_task_is_read_whole(sample: Sample) -> None:
    assert read_report(sample("evolink/query_completed")) == Report(
        state=ReportState.FINISHED,
        word="completed",
        task_id=TASK,
        link="https://files.evolink.ai/7cvnl5zw.mp4",
        progress=100,
        model="wan2.7-text-to-video",
        created_at=datetime(2025, 9, 6, 14, 42, 23, tzinfo=UTC),
    )


def test_the_link_is_also_looked_for_where_the_official_client_does(sample: Sample) -> None:
    body = sample("evolink/query_completed") | {"results": [], "result_data": [{"video_url": "https://h/v.mp4"}]}
    assert read_report(body).link == "https://h/v.mp4"


@pytest.mark.parametrize("code", FAILURES)
def test_a_failed_tasks_code_decides_whether_it_is_tried_again(sample: Sample, code: str) -> None:
    body = sample("evolink/query_failed") | {"error": {"code": code, "message": "m"}}
    ours, retryable = FAILURES[code]
    assert read_report(body).failure == Failure(ours, "m", retryable)


def test_only_these_codes_are_worth_another_try() -> None:
    assert {code for code, (_, retryable) in FAILURES.items() if retryable} == {
        "generation_timeout",
        "quota_exceeded",
        "resource_exhausted",
        "service_error",
        "service_unavailable",
        "unknown_error",
    }


@pytest.mark.parametrize("code", ["channel_busy", 500, None, ["x"]])
def test_an_unknown_code_is_not_tried_again(sample: Sample, code: Any) -> None:
    failure = read_report(sample("evolink/query_failed") | {"error": {"code": code, "message": "m"}}).failure
    assert failure == Failure("generation_failed", "m", False)


@pytest.mark.parametrize("word", ["failed", "cancelled", "canceled"])
def test_a_cancelled_task_has_failed_in_whichever_word_it_is_said(sample: Sample, word: str) -> None:
    report = EVOLINK.read_callback(sample("evolink/callback_cancelled") | {"status": word})
    assert (report.state, report.word_known) == (ReportState.FAILED, True)
    assert report.failure == Failure("generation_failed", "The request was cancelled", False)


@pytest.mark.parametrize(
    ("status", "kind", "code", "pause_s"),
    [
        (400, "invalid_request_error", "invalid_request", None),
        (401, "authentication_error", "unauthorized", 300),
        (402, "insufficient_quota_error", "insufficient_credits", 900),
        (403, "permission_error", "unauthorized", 300),
        (404, "not_found_error", "invalid_request", None),
        (413, "request_too_large_error", "invalid_request", None),
        (429, "rate_limit_error", "rate_limited", 60),
        (400, "a_new_type", "invalid_request", None),
    ],
)
def test_a_documented_refusal_is_read(status: int, kind: str, code: str, pause_s: float | None) -> None:
    for number_or_word in (status, "some_code"):
        refusal = read_refusal(status, {}, {"error": {"code": number_or_word, "message": "m", "type": kind}})
        assert refusal is not None
        assert (refusal.failure.code, refusal.pause_s) == (code, pause_s)


@pytest.mark.parametrize(("status", "kind"), [(400, "upstream_error"), (429, "service_unavailable_error")])
def test_a_type_of_another_status_is_no_refusal(status: int, kind: str) -> None:
    assert read_refusal(status, {}, {"error": {"code": status, "message": "m", "type": kind}}) is None


@pytest.mark.parametrize(
    ("headers", "hint", "pause_s"),
    [
        ({}, "retry after 90 seconds", 90),
        ({}, "Retry after 9999 seconds", 900),
        ({}, "try another model", 60),
        ({}, None, 60),
        ({"Retry-After": "5"}, "retry after 90 seconds", 5),
    ],
)
def test_the_pause_is_the_header_or_the_hint_or_the_pages(headers: dict[str, str], hint: Any, pause_s: float) -> None:
    error = {"code": 429, "message": "m", "type": "rate_limit_error", "fallback_suggestion": hint}
    refusal = read_refusal(429, headers, {"error": error})
    assert refusal is not None
    assert refusal.pause_s == pause_s


def test_the_price_is_in_dollars() -> None:
    assert EVOLINK.price_usd(Generation(Mode.TEXT, "p", resolution="720p", duration=10)) == pytest.approx(0.86)
