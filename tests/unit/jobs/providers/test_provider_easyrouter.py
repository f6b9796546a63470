"""EasyRouter, against the bodies its page prints."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.errors import BadReport
from jobs.generation import Generation, Media, Mode
from jobs.providers.base import Acceptance, Failure, ReportState, Request
from jobs.providers.easyrouter import EASYROUTER, read_acceptance, read_refusal, read_report, submit_request

Sample = Callable[[str], Any]
TASK = "task_AbCdEf1234567890XyZw"


def changed(body: Any, **fields: Any) -> Any:
    return body | {"data": body["data"] | fields}


def test_the_pages_example_is_sent_exactly(sample: Sample) -> None:
    example = sample("easyrouter/submit_request")
    spec = Generation(Mode.TEXT, example["prompt"], resolution="720p", ratio="16:9", seed=42)
    assert submit_request(spec, "https://never/sent") == Request("POST", "/v1/video/generations", example)


def test_what_is_wans_own_goes_into_metadata() -> None:
    body = submit_request(Generation(Mode.TEXT, "p", "blur", "1080p", "9:16", 15, 0), None).body
    assert body == {
        "model": "wan2.7-t2v",
        "prompt": "p",
        "resolution": "1080P",
        "duration": 15,
        "metadata": {"ratio": "9:16", "seed": 0, "negative_prompt": "blur"},
    }


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (Generation(Mode.TEXT, "p", watermark=True), "watermark"),
        (Generation(Mode.TEXT, "p", prompt_extend=False), "prompt_extend"),
        (Generation(Mode.TEXT, "p", media=(Media("driving_audio", "https://h/a.mp3"),)), "media"),
        (Generation(Mode.TEXT, "p", negative_prompt="x" * 501), "negative_prompt"),
    ],
)
def test_what_has_no_documented_field_is_a_misfit(spec: Generation, field: str) -> None:
    assert [m.field for m in EASYROUTER.fit(spec)] == [field]


def test_the_acceptance_bears_the_task_id(sample: Sample) -> None:
    assert read_acceptance(200, sample("easyrouter/submit_accepted")) == Acceptance(TASK)


def test_a_task_in_progress_tells_its_percentage(sample: Sample) -> None:
    report = read_report(sample("easyrouter/query_in_progress"))
    assert (report.state, report.progress, report.finished_at) == (ReportState.RUNNING, 40, None)


def test_a_finished_task_is_read_whole(sample: Sample) -> None:
    body = sample("easyrouter/query_success")
    report = read_report(body)
    assert (report.state, report.task_id, report.progress) == (ReportState.FINISHED, TASK, 100)
    assert (report.link, report.cost, report.model) == (body["data"]["result_url"], 250_000, "wan2.7-t2v")
    assert report.created_at == datetime.fromtimestamp(1778300000, UTC)
    assert report.finished_at == datetime.fromtimestamp(1778300095, UTC)


def test_the_link_is_also_looked_for_where_older_builds_put_it(sample: Sample) -> None:
    body = changed(sample("easyrouter/query_success"), result_url=None)
    assert read_report(body).link == body["data"]["data"]["output"]["video_url"]
    body = changed(body, data=None, fail_reason="https://h/old.mp4")
    assert read_report(body).link == "https://h/old.mp4"


def test_the_outer_status_rules_over_the_upstreams(sample: Sample) -> None:
    body = changed(sample("easyrouter/query_failure"), data={"output": {"task_status": "RUNNING"}})
    assert read_report(body).state is ReportState.FAILED


def test_a_refusal_by_moderation_is_not_tried_again_and_its_quota_comes_back(sample: Sample) -> None:
    report = read_report(changed(sample("easyrouter/query_failure"), quota=250_000))
    reason = "DataInspectionFailed: input data may contain inappropriate content"
    assert report.failure == Failure("content_refused", reason, False)
    assert (report.cost, report.progress) == (0.0, 100)


@pytest.mark.parametrize("reason", ["task timed out", "OddCode: x", "", None])
def test_another_failure_is_just_that(sample: Sample, reason: Any) -> None:
    failure = read_report(changed(sample("easyrouter/query_failure"), fail_reason=reason)).failure
    assert failure == Failure("generation_failed", reason or "no reason given", False)


def test_an_unknown_task_is_no_report(sample: Sample) -> None:
    with pytest.raises(BadReport):
        read_report(sample("easyrouter/query_unknown_task"))


def test_an_envelope_that_is_not_a_success_is_no_report_even_with_a_task_in_it(sample: Sample) -> None:
    with pytest.raises(BadReport):
        read_report(sample("easyrouter/query_failure") | {"code": "server_error"})


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, {"code": "invalid_request", "message": "unknown model: x"}, "invalid_request"),
        (401, {"error": {"message": "invalid token", "type": "new_api_error"}}, "unauthorized"),
        (402, {"code": "x", "message": "insufficient user quota", "data": None}, "insufficient_credits"),
        (403, {"error": {"message": "user quota is not enough", "type": "new_api_error"}}, "insufficient_credits"),
        (403, {"code": "x", "message": "insufficient quota"}, "insufficient_credits"),
        (403, {"code": "x", "message": "no access to this model"}, "unauthorized"),
        (429, {"code": "x", "message": "slow down"}, "rate_limited"),
    ],
)
def test_a_refusal_is_read_in_both_shapes(status: int, body: Any, code: str) -> None:
    refusal = read_refusal(status, {}, body)
    assert refusal is not None
    assert refusal.failure.code == code


def test_an_error_that_names_a_task_is_no_refusal() -> None:
    assert read_refusal(400, {}, {"code": "x", "message": "m", "task_id": TASK}) is None


def test_the_price_in_quota_is_the_pages_example() -> None:
    spec = Generation(Mode.TEXT, "p", resolution="1080p", duration=10)
    assert EASYROUTER.price_credits(spec) == 750_000
    assert EASYROUTER.price_usd(spec) == pytest.approx(1.5)
