"""GravitexAI: what is read of its answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jobs.providers.base import Failure
from jobs.providers.gravitex import read_refusal, read_report

Sample = Callable[[str], Any]
TASK = "video_69095b4ce0048190893a01510c0c98b0"


@pytest.mark.parametrize(
    ("code", "message", "ours", "said"),
    [
        (400, "Prompt contains inappropriate co…", ("content_refused", False), "400"),
        (400, "DataInspectionFailed", ("content_refused", False), "400"),
        (400, "duration is out of range", ("invalid_request", False), "400"),
        (429, "busy", ("rate_limited", True), "429"),
        (502, "upstream", ("provider_unavailable", True), "502"),
        (418, "m", ("generation_failed", False), "418"),
        ("400", "m", ("generation_failed", False), "400"),
        (True, "m", ("generation_failed", False), None),
        (None, "m", ("generation_failed", False), None),
    ],
)
def test_a_failed_tasks_code_is_an_http_status(
    sample: Sample, code: Any, message: str, ours: tuple[str, bool], said: str | None
) -> None:
    body = sample("gravitex/query_failed") | {"error": {"code": code, "message": message}}
    assert read_report(body).failure == Failure(ours[0], message, ours[1], said)


@pytest.mark.parametrize(("status", "code"), [(400, "invalid_request"), (401, "unauthorized"), (429, "rate_limited")])
@pytest.mark.parametrize("body", [{"error": {"message": "m"}}, {"message": "m"}, {"error": "m"}])
def test_a_documented_refusal_is_read_in_any_shape(status: int, code: str, body: Any) -> None:
    refusal = read_refusal(status, {}, body)
    assert refusal is not None
    assert (refusal.failure.code, refusal.failure.message) == (code, "m")


@pytest.mark.parametrize("status", [403, 404, 502])
def test_a_status_the_page_does_not_list_is_no_refusal(status: int) -> None:
    assert read_refusal(status, {}, {"error": {"message": "m"}}) is None


@pytest.mark.parametrize("inside", [False, True])
def test_a_quota_that_is_used_up_is_a_lack_of_credit_as_new_api_says_it(inside: bool) -> None:
    said = {"code": "insufficient_user_quota", "message": "预扣费额度失败, 用户剩余额度: ＄0.1"}
    refusal = read_refusal(403, {}, {"error": said} if inside else said)
    assert refusal is not None
    assert (refusal.failure.code, refusal.failure.message) == ("insufficient_credits", said["message"])
    assert read_refusal(403, {}, {**said, "task_id": TASK}) is None


def test_an_error_that_names_a_task_is_no_refusal() -> None:
    assert read_refusal(400, {}, {"message": "m", "task_id": TASK}) is None
