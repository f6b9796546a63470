"""EasyRouter: what is read of its answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jobs.errors import BadReport
from jobs.providers.base import Failure, ReportState
from jobs.providers.easyrouter import read_refusal, read_report

Sample = Callable[[str], Any]
TASK = "task_AbCdEf1234567890XyZw"


def changed(body: Any, **fields: Any) -> Any:
    return body | {"data": body["data"] | fields}


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
    assert report.failure == Failure("content_refused", reason, False, "DataInspectionFailed")
    assert (report.cost, report.progress) == (0.0, 100)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("task timed out", None),
        ("OddCode: x", "OddCode"),
        ("at 10:30: x", None),
        ("任务超时", None),
        ("", None),
        (None, None),
    ],
)
def test_another_failure_is_just_that(sample: Sample, reason: Any, said: str | None) -> None:
    failure = read_report(changed(sample("easyrouter/query_failure"), fail_reason=reason)).failure
    assert failure == Failure("generation_failed", reason or "no reason given", False, said)


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
        (403, {"code": "insufficient_user_quota", "message": "预扣费额度失败"}, "insufficient_credits"),
        (403, {"error": {"code": "insufficient_user_quota", "message": "预扣费额度失败"}}, "insufficient_credits"),
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


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("queued", ReportState.QUEUED),
        ("in_progress", ReportState.RUNNING),
        ("unknown", ReportState.RUNNING),
        ("failed", ReportState.FAILED),
    ],
)
def test_only_a_finished_task_of_the_flat_form_has_a_link_and_an_end(
    sample: Sample, word: str, state: ReportState
) -> None:
    error = {"message": "DataInspectionFailed: no", "code": "x"}
    report = read_report(sample("easyrouter/query_openai_completed") | {"status": word, "error": error})
    assert (report.state, report.word_known, report.link, report.finished_at) == (state, True, None, None)
    said = Failure("content_refused", "DataInspectionFailed: no", False, "DataInspectionFailed")
    assert report.failure == (said if state is ReportState.FAILED else None)
