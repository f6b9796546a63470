"""aivideoapi.ai, against the bodies its pages print."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.errors import BadReport
from jobs.generation import Generation, Media, Mode
from jobs.providers.aivideoapi import AIVIDEOAPI, read_acceptance, read_refusal, read_report, submit_request
from jobs.providers.base import Acceptance, Failure, Report, ReportState, Request

Sample = Callable[[str], Any]
TASK = "8b6a5162-5c91-4a42-8e80-4c8ef5486f24"


def test_the_pages_example_is_sent_with_its_defaults_said(sample: Sample) -> None:
    example = sample("aivideoapi/submit_request")
    spec = Generation(Mode.TEXT, example["input"]["prompt"], ratio="16:9")
    request = submit_request(spec, "https://your-server.com/webhook")
    said = example["input"] | {"prompt_extend": True, "watermark": False}
    assert request == Request("POST", "/v1/videos/generations", example | {"input": said})


def test_everything_that_can_be_asked_has_its_field() -> None:
    media = (Media("driving_audio", "https://h/a.mp3"),)
    spec = Generation(Mode.TEXT, "p", "blur", "720p", "9:16", 15, 0, False, True, None, media)
    assert AIVIDEOAPI.fit(spec) == []
    body = submit_request(spec, None).body
    assert body == {
        "model": "wan-2.7-text-to-video",
        "input": {
            "prompt": "p",
            "negative_prompt": "blur",
            "resolution": "720p",
            "aspect_ratio": "9:16",
            "duration": 15,
            "seed": 0,
            "prompt_extend": False,
            "watermark": True,
            "audio_urls": ["https://h/a.mp3"],
        },
    }


def test_a_negative_prompt_may_have_500_characters() -> None:
    assert AIVIDEOAPI.fit(Generation(Mode.TEXT, "p", negative_prompt="猫" * 500)) == []
    assert AIVIDEOAPI.fit(Generation(Mode.TEXT, "p", negative_prompt="x" * 501))[0].field == "negative_prompt"


def test_the_acceptance_bears_the_task_id(sample: Sample) -> None:
    assert read_acceptance(200, sample("aivideoapi/submit_accepted")) == Acceptance(TASK)


@pytest.mark.parametrize("code", [402, 500, None, "error"])
def test_an_envelope_whose_code_is_not_200_is_no_acceptance(code: Any) -> None:
    with pytest.raises(BadReport):
        read_acceptance(200, {"code": code, "msg": "m", "data": {"taskId": TASK}})


def test_a_finished_task_is_read_whole(sample: Sample) -> None:
    assert read_report(sample("aivideoapi/query_completed")) == Report(
        state=ReportState.FINISHED,
        word="completed",
        task_id=TASK,
        link="https://file.aivideoapi.ai/videos/8b6a5162.mp4",
        model="wan-2.7-text-to-video",
        created_at=datetime(2026, 3, 29, 13, 17, 7, tzinfo=UTC),
        finished_at=datetime(2026, 3, 29, 15, 2, 9, tzinfo=UTC),
    )


def test_a_success_without_a_link_is_finished_without_a_link(sample: Sample) -> None:
    outputs: list[Any] = [{}, None, {"urls": []}, {"urls": ["ftp://h/v"]}, {"urls": [None]}, {"urls": "https://h/v"}]
    for output in outputs:
        report = read_report(sample("aivideoapi/query_completed") | {"output": output})
        assert (report.state, report.link) == (ReportState.FINISHED, None)


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("upstream_error", Failure("provider_unavailable", "m", True)),
        ("internal_error", Failure("provider_unavailable", "m", True)),
        ("invalid_request", Failure("invalid_request", "m", False)),
        ("never_heard_of", Failure("generation_failed", "m", False)),
    ],
)
def test_a_failed_task_is_tried_again_only_where_that_can_help(sample: Sample, code: str, failure: Failure) -> None:
    body = sample("aivideoapi/query_failed") | {"error": {"code": code, "message": "m"}}
    assert read_report(body).failure == failure


@pytest.mark.parametrize(
    ("status", "code", "ours", "pause_s"),
    [
        (400, "invalid_request", "invalid_request", None),
        (401, "invalid_api_key", "unauthorized", 300),
        (402, "insufficient_credits", "insufficient_credits", 900),
        (403, "ip_not_allowed", "unauthorized", 300),
        (404, "model_not_found", "invalid_request", None),
        (429, "rate_limit_exceeded", "rate_limited", 30),
        (429, "spend_limit_exceeded", "insufficient_credits", 900),
        (403, "a_new_code", "unauthorized", 300),
    ],
)
def test_a_documented_refusal_is_read(status: int, code: str, ours: str, pause_s: float | None) -> None:
    refusal = read_refusal(status, {}, {"error": {"code": code, "message": "m", "type": "t"}})
    assert refusal is not None
    assert (refusal.failure.code, refusal.pause_s) == (ours, pause_s)
    assert refusal.failure.retryable == (code == "rate_limit_exceeded")


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "upstream_error"), (429, "internal_error"), (404, "task_not_found"), (404, "no_such_page"), (409, "x")],
)
def test_a_code_under_a_status_that_is_not_its_own_is_no_refusal(status: int, code: str) -> None:
    assert read_refusal(status, {}, {"error": {"code": code, "message": "m", "type": "t"}}) is None


def test_the_envelope_of_a_submit_is_not_a_report(sample: Sample) -> None:
    with pytest.raises(BadReport):
        read_report(sample("aivideoapi/submit_accepted"))


def test_prices_are_the_pages_in_credits_and_dollars() -> None:
    assert AIVIDEOAPI.price_credits(Generation(Mode.TEXT, "p", resolution="720p", duration=10)) == 240
    assert AIVIDEOAPI.price_usd(Generation(Mode.TEXT, "p", duration=10)) == pytest.approx(2.0)
