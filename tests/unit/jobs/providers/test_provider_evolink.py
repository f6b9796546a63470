"""EvoLink: what is read of its answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jobs.errors import BadReport
from jobs.providers.base import Failure, ReportState
from jobs.providers.evolink import (
    EVOLINK,
    FAILURES,
    read_acceptance,
    read_refusal,
    read_report,
)

Sample = Callable[[str], Any]


def test_an_acceptance_with_an_error_in_it_is_none(sample: Sample) -> None:
    with pytest.raises(BadReport):
        read_acceptance(200, sample("evolink/submit_accepted") | {"error": {"message": "m"}})


def test_the_link_is_also_looked_for_where_the_official_client_does(sample: Sample) -> None:
    body = sample("evolink/query_completed") | {"results": [], "result_data": [{"video_url": "https://h/v.mp4"}]}
    assert read_report(body).link == "https://h/v.mp4"


@pytest.mark.parametrize("code", FAILURES)
def test_a_failed_tasks_code_decides_whether_it_is_tried_again(sample: Sample, code: str) -> None:
    body = sample("evolink/query_failed") | {"error": {"code": code, "message": "m"}}
    ours, retryable = FAILURES[code]
    assert read_report(body).failure == Failure(ours, "m", retryable, code)


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
    assert failure == Failure("generation_failed", "m", False, code if isinstance(code, str) else None)


@pytest.mark.parametrize("word", ["failed", "cancelled", "canceled"])
def test_a_cancelled_task_has_failed_in_whichever_word_it_is_said(sample: Sample, word: str) -> None:
    report = EVOLINK.read_callback(sample("evolink/callback_cancelled") | {"status": word})
    assert (report.state, report.word_known) == (ReportState.FAILED, True)
    assert report.failure == Failure("generation_failed", "The request was cancelled", False, "request_cancelled")


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
