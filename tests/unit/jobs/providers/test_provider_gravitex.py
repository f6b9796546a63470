"""GravitexAI, against the bodies its pages print."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jobs.generation import Generation, Media, Mode
from jobs.providers.base import Acceptance, Failure, Report, ReportState, Request
from jobs.providers.gravitex import GRAVITEX, read_acceptance, read_refusal, read_report, submit_request

Sample = Callable[[str], Any]
TASK = "video_69095b4ce0048190893a01510c0c98b0"


def test_the_pages_example_is_sent_exactly_with_prompt_and_duration_twice(sample: Sample) -> None:
    example = sample("gravitex/submit_request")
    spec = Generation(Mode.TEXT, example["prompt"], resolution="720p", ratio="16:9", duration=6)
    assert submit_request(spec, "https://never/sent") == Request("POST", "/v1/video/generations", example)


def test_everything_that_can_be_asked_has_its_field() -> None:
    media = (Media("driving_audio", "https://h/a.mp3"),)
    spec = Generation(Mode.TEXT, "p", "blur", "1080p", "9:16", 15, 0, False, True, None, media)
    assert GRAVITEX.fit(spec) == []
    assert submit_request(spec, None).body == {
        "model": "wan2.7-t2v-2026-04-25",
        "prompt": "p",
        "duration": 15,
        "metadata": {
            "input": {"prompt": "p", "negative_prompt": "blur", "audio_url": "https://h/a.mp3"},
            "parameters": {
                "resolution": "1080P",
                "ratio": "9:16",
                "duration": 15,
                "prompt_extend": False,
                "watermark": True,
                "seed": 0,
            },
        },
    }


def test_the_acceptance_bears_the_task_id(sample: Sample) -> None:
    assert read_acceptance(200, sample("gravitex/submit_accepted")) == Acceptance(TASK)


def test_a_finished_task_is_read_whole(sample: Sample) -> None:
    body = sample("gravitex/query_succeeded")
    assert read_report(body) == Report(ReportState.FINISHED, "succeeded", True, TASK, body["url"])


@pytest.mark.parametrize(
    ("code", "message", "failure"),
    [
        (400, "Prompt contains inappropriate co…", ("content_refused", False)),
        (400, "DataInspectionFailed", ("content_refused", False)),
        (400, "duration is out of range", ("invalid_request", False)),
        (429, "busy", ("rate_limited", True)),
        (502, "upstream", ("provider_unavailable", True)),
        (418, "m", ("generation_failed", False)),
        ("400", "m", ("generation_failed", False)),
        (True, "m", ("generation_failed", False)),
    ],
)
def test_a_failed_tasks_code_is_an_http_status(
    sample: Sample, code: Any, message: str, failure: tuple[str, bool]
) -> None:
    body = sample("gravitex/query_failed") | {"error": {"code": code, "message": message}}
    assert read_report(body).failure == Failure(failure[0], message, failure[1])


@pytest.mark.parametrize(("status", "code"), [(400, "invalid_request"), (401, "unauthorized"), (429, "rate_limited")])
@pytest.mark.parametrize("body", [{"error": {"message": "m"}}, {"message": "m"}, {"error": "m"}])
def test_a_documented_refusal_is_read_in_any_shape(status: int, code: str, body: Any) -> None:
    refusal = read_refusal(status, {}, body)
    assert refusal is not None
    assert (refusal.failure.code, refusal.failure.message) == (code, "m")


@pytest.mark.parametrize("status", [402, 403, 404, 502])
def test_a_status_the_page_does_not_list_is_no_refusal(status: int) -> None:
    assert read_refusal(status, {}, {"error": {"message": "m"}}) is None


def test_an_error_that_names_a_task_is_no_refusal() -> None:
    assert read_refusal(400, {}, {"message": "m", "task_id": TASK}) is None


def test_no_price_is_published() -> None:
    assert GRAVITEX.price_usd(Generation(Mode.TEXT, "p")) is None
