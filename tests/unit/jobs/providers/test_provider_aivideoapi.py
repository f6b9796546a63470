"""aivideoapi.ai: what is read of its answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jobs.errors import BadReport
from jobs.providers.aivideoapi import read_acceptance, read_refusal, read_report
from jobs.providers.base import Failure, ReportState

Sample = Callable[[str], Any]
TASK = "8b6a5162-5c91-4a42-8e80-4c8ef5486f24"


@pytest.mark.parametrize("code", [402, 500, None, "error"])
def test_an_envelope_whose_code_is_not_200_is_no_acceptance(code: Any) -> None:
    with pytest.raises(BadReport):
        read_acceptance(200, {"code": code, "msg": "m", "data": {"taskId": TASK}})


def test_a_success_without_a_link_is_finished_without_a_link(sample: Sample) -> None:
    outputs: list[Any] = [{}, None, {"urls": []}, {"urls": ["ftp://h/v"]}, {"urls": [None]}, {"urls": "https://h/v"}]
    for output in outputs:
        report = read_report(sample("aivideoapi/query_completed") | {"output": output})
        assert (report.state, report.link) == (ReportState.FINISHED, None)


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("upstream_error", Failure("provider_unavailable", "m", True, "upstream_error")),
        ("internal_error", Failure("provider_unavailable", "m", True, "internal_error")),
        ("invalid_request", Failure("invalid_request", "m", False, "invalid_request")),
        ("never_heard_of", Failure("generation_failed", "m", False, "never_heard_of")),
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
