"""What every gateway's module must read, whichever it is. A new provider is tested by being in the registry."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from gateway_bodies import EVERY, GARBAGE, JSON, OBJECTS, check, check_failure, samples, with_status
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import BadReport
from jobs.providers.base import Provider, ReportState


@EVERY
def test_every_gateway_has_samples_of_a_submit_and_of_every_end(provider: Provider) -> None:
    assert samples(provider, "request_text")
    assert samples(provider, "submit_accepted")
    states = {provider.read_report(b).state for n, b in samples(provider, "query").items() if "unknown_task" not in n}
    assert states == set(ReportState)
    assert bool(samples(provider, "callback")) == (provider.callbacks is not None)


@EVERY
def test_every_sample_of_a_query_is_read_with_a_known_word_and_an_id(provider: Provider) -> None:
    accepted = provider.read_acceptance(200, samples(provider, "submit_accepted")["submit_accepted"])
    for name, body in samples(provider, "query").items():
        if "unknown_task" in name:
            continue
        report = provider.read_report(body)
        check(report)
        assert report.word_known
        assert report.task_id == accepted.task_id
        assert (report.link is not None) == (report.state is ReportState.FINISHED)


@EVERY
def test_an_unknown_status_word_means_still_running(provider: Provider) -> None:
    for name, body in samples(provider, "query").items():
        if "unknown_task" in name:
            continue
        report = provider.read_report(with_status(body, "somewhat_done"))
        assert (report.state, report.word_known) == (ReportState.RUNNING, False)
        assert report.word == "somewhat_done"
        assert report.link is None


@EVERY
@pytest.mark.parametrize("change", [str.upper, str.lower, str.title, lambda w: f" {w} "])
def test_the_case_of_a_status_word_does_not_matter(provider: Provider, change: Any) -> None:
    for name, body in samples(provider, "query").items():
        if "unknown_task" in name:
            continue
        said = provider.read_report(body)
        assert provider.read_report(with_status(body, change(said.word))).state is said.state


@EVERY
@pytest.mark.parametrize("word", [None, "", " ", 7, ["completed"], {"a": 1}])
def test_a_body_without_a_status_word_is_a_bad_report(provider: Provider, word: Any) -> None:
    for body in samples(provider, "query").values():
        if body.get("data", body) is not None:
            with pytest.raises(BadReport):
                provider.read_report(with_status(body, word))


@EVERY
@GARBAGE
@given(body=JSON | OBJECTS)
def test_garbage_raises_bad_report_or_reads_as_a_sound_report(provider: Provider, body: Any) -> None:
    for read in (provider.read_report, provider.read_callback):
        with contextlib.suppress(BadReport):
            check(read(body))


@EVERY
@GARBAGE
@given(more=OBJECTS)
def test_garbage_beside_a_status_word_is_read_or_left_out_but_never_raises(provider: Provider, more: Any) -> None:
    for state in ("completed", "success", "succeeded", "failed", "failure", "running"):
        body = {"code": "success", "data": more | {"status": state}} if provider.name == "easyrouter" else more
        check(provider.read_report(body | {"status": state}))


@EVERY
@GARBAGE
@given(status=st.integers(100, 599), body=JSON | OBJECTS)
def test_an_acceptance_is_only_read_from_a_2xx_and_with_a_usable_id(provider: Provider, status: int, body: Any) -> None:
    try:
        task_id = provider.read_acceptance(status, body).task_id
    except BadReport:
        return
    assert 200 <= status < 300
    assert 1 <= len(task_id) <= 200


@EVERY
@pytest.mark.parametrize("status", [199, 302, 400, 401, 402, 409, 429, 500, 503])
def test_an_error_status_is_no_acceptance_even_with_the_right_body(provider: Provider, status: int) -> None:
    with pytest.raises(BadReport):
        provider.read_acceptance(status, samples(provider, "submit_accepted")["submit_accepted"])


@EVERY
@pytest.mark.parametrize("odd", [None, "", 7.5, True, [], {}, "x" * 201, "🎬" * 130, "..", "a\nb", "a\0b", "a\ud800"])
def test_an_acceptance_needs_an_id_that_can_be_kept_as_it_came(provider: Provider, odd: Any) -> None:
    with pytest.raises(BadReport):
        provider.read_acceptance(200, accepted_as(provider, odd))


@EVERY
@pytest.mark.parametrize("named", [7, 12345678901234567890123, "tâche-1", "任务-1", " blanks ", "50%", "x" * 200])
def test_an_id_is_kept_as_it_came_and_a_number_as_its_digits(provider: Provider, named: Any) -> None:
    assert provider.read_acceptance(200, accepted_as(provider, named)).task_id == str(named)


@EVERY
def test_why_an_id_cannot_be_kept_is_told(provider: Provider) -> None:
    with pytest.raises(BadReport, match="the task's id cannot be kept: xxx"):
        provider.read_acceptance(200, accepted_as(provider, "x" * 300))


def accepted_as(provider: Provider, task_id: Any) -> Any:
    """An acceptance with this for an id."""
    accepted = samples(provider, "submit_accepted")["submit_accepted"]
    named = provider.read_acceptance(200, accepted).task_id
    return json.loads(json.dumps(accepted).replace(json.dumps(named), json.dumps(task_id)))


@EVERY
def test_no_error_body_is_an_acceptance_even_under_200(provider: Provider) -> None:
    for body in samples(provider, "refused").values():
        with pytest.raises(BadReport):
            provider.read_acceptance(200, body)


@EVERY
@GARBAGE
@given(status=st.integers(100, 599), body=JSON | OBJECTS)
def test_a_refusal_is_never_read_from_outside_4xx_nor_from_what_is_no_object(
    provider: Provider, status: int, body: Any
) -> None:
    refusal = provider.read_refusal(status, {}, body)
    if refusal is not None:
        assert 400 <= status < 500
        assert isinstance(body, dict)
        check_failure(refusal.failure)
        assert refusal.pause_s is None or 1 <= refusal.pause_s <= 900


@EVERY
@pytest.mark.parametrize("status", [200, 202, 302, 408, 409, 418, 425, 500, 502, 503, 504, 529])
def test_a_5xx_or_an_undocumented_status_is_no_refusal_whatever_the_body(provider: Provider, status: int) -> None:
    for body in samples(provider, "refused").values():
        assert provider.read_refusal(status, {}, body) is None


@EVERY
@pytest.mark.parametrize("body", [None, "", "insufficient user quota", 7, [], {}])
def test_a_refusal_without_the_gateways_own_body_proves_nothing(provider: Provider, body: Any) -> None:
    if body == {} and provider.name == "gravitex":
        return  # its error body is not documented, so any object will do
    for status in (400, 401, 402, 403, 404, 413, 429):
        assert provider.read_refusal(status, {}, body) is None


@EVERY
def test_every_sample_of_a_refusal_is_read_by_the_status_in_its_name(provider: Provider) -> None:
    meant = {"400": "invalid_request", "401": "unauthorized", "402": "insufficient_credits", "429": "rate_limited"}
    assert samples(provider, "refused_400")
    for name, body in samples(provider, "refused").items():
        status = name.split("_")[1]
        refusal = provider.read_refusal(int(status), {}, body)
        assert refusal is not None
        assert refusal.failure.code == meant[status]
        assert (refusal.pause_s is None) == (status == "400")


@EVERY
@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({"Retry-After": "7"}, 7),
        ({"RETRY-AFTER": " 7 "}, 7),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": "86400"}, 900),
        ({"Retry-After": "9" * 400}, 900),
        ({"Retry-After": "Fri, 21 Nov 2026 10:00:30 GMT", "Date": "Fri, 21 Nov 2026 10:00:00 GMT"}, 30),
        ({"Retry-After": "Sat Nov 21 10:00:30 2026", "Date": "Sat, 21 Nov 2026 10:00:00 -0000"}, 30),
        ({"Retry-After": "Saturday, 21-Nov-26 10:00:30 GMT", "Date": "Sat Nov 21 10:00:00 2026"}, 30),
        ({"Retry-After": "Fri, 21 Nov 2026 09:00:00 GMT", "Date": "Fri, 21 Nov 2026 10:00:00 GMT"}, 1),
    ],
)
def test_a_rate_limit_rests_the_key_for_as_long_as_asked_but_no_more_than_15_minutes(
    provider: Provider, headers: dict[str, str], pause_s: float
) -> None:
    body = {"error": {"code": "rate_limit_exceeded", "type": "rate_limit_error", "message": "m"}, "message": "m"}
    refusal = provider.read_refusal(429, headers, body if provider.name != "apiframe" else {"error": "m"})
    assert refusal is not None
    assert (refusal.failure.code, refusal.failure.retryable, refusal.pause_s) == ("rate_limited", True, pause_s)


@EVERY
@pytest.mark.parametrize("value", ["soon", "-5", "nan", "١٢", "Fri, 99 Nov 2026 10:00:30 GMT", ""])
def test_an_unreadable_retry_after_leaves_the_gateways_own_pause(provider: Provider, value: str) -> None:
    body: Any = {"error": {"code": "rate_limit_exceeded", "type": "rate_limit_error", "message": "m"}, "message": "m"}
    body = body if provider.name != "apiframe" else {"error": "m"}
    plain, odd = provider.read_refusal(429, {}, body), provider.read_refusal(429, {"Retry-After": value}, body)
    assert plain is not None
    assert odd == plain


@EVERY
def test_a_long_message_is_cut_and_a_key_in_it_hidden(provider: Provider) -> None:
    words = "bad sk-abcdefghijklmnop " * 500
    body: Any = {"error": {"type": "authentication_error", "code": "invalid_api_key", "message": words}}
    refusal = provider.read_refusal(401, {}, {"error": words} if provider.name == "apiframe" else body)
    assert refusal is not None
    check_failure(refusal.failure)
    assert "abcdef" not in refusal.failure.message


@EVERY
def test_times_that_no_calendar_has_are_left_out(provider: Provider) -> None:
    for body in samples(provider, "query_").values():
        if body.get("data", body) is None:
            continue
        odd = json.loads(json.dumps(body).replace("1778300000", "1e300").replace("2026-03-15", "0000-00-00"))
        check(provider.read_report(odd))
