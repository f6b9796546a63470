"""Refusals as errors whose class says what to do."""

from __future__ import annotations

import pickle

import pytest

from rushes_client import (
    BadRequest,
    Conflict,
    Forbidden,
    IdempotencyKeyReused,
    MayBePaid,
    NotArchived,
    NotFailed,
    NotFound,
    NothingKept,
    NothingLeft,
    NotSettled,
    RateLimited,
    RushesError,
    TimedOut,
    TooLate,
    Unauthorized,
    Unavailable,
    UnderWay,
)
from rushes_client.errors import refusal


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "bad_request", BadRequest),
        (401, "unauthorized", Unauthorized),
        (403, "forbidden", Forbidden),
        (404, "unknown_job", NotFound),
        (409, "too_late", TooLate),
        (409, "not_failed", NotFailed),
        (409, "may_be_paid", MayBePaid),
        (409, "nothing_left", NothingLeft),
        (409, "nothing_kept", NothingKept),
        (409, "not_archived", NotArchived),
        (409, "under_way", UnderWay),
        (409, "task_known", NotSettled),
        (409, "task_taken", NotSettled),
        (409, "not_lost", NotSettled),
        (409, "not_closed", NotSettled),
        (409, "not_invented_yet", Conflict),
        (413, "too_large", BadRequest),
        (422, "invalid_request", BadRequest),
        (422, "idempotency_key_reused", IdempotencyKeyReused),
        (429, "rate_limited", RateLimited),
        (500, "internal_error", Unavailable),
        (503, "database_unavailable", Unavailable),
        (502, None, Unavailable),
        (418, None, BadRequest),
    ],
)
def test_each_refusal_has_its_class(status: int, code: str | None, kind: type[RushesError]) -> None:
    error = refusal(status, {"code": code, "detail": "Said why."} if code else {})
    assert type(error) is kind
    assert (error.status, error.code) == (status, code)
    assert str(error) == ("Said why." if code else f"The service answered {status}.")


def test_an_error_carries_the_fields_and_the_id_to_find_it_in_the_log_by() -> None:
    problem = {"code": "invalid_request", "detail": "No.", "errors": {"prompt": ["Missing."]}, "request_id": "r1"}
    error = refusal(422, problem, request_id="from the header")
    assert error.errors == {"prompt": ["Missing."]}
    assert error.request_id == "r1"
    assert refusal(502, {}, request_id="from the header").request_id == "from the header"


def test_a_submit_that_was_given_up_says_how_to_ask_again_safely() -> None:
    error = RateLimited("Too many.", idempotency_key="scene-12")
    assert str(error) == "Too many. Submit again with idempotency_key='scene-12': that makes no second job."
    assert str(BadRequest("No prompt.", idempotency_key="scene-12")) == "No prompt."


def test_an_error_survives_the_way_between_processes() -> None:
    error = refusal(429, {"code": "rate_limited", "detail": "Too many."}, retry_after_s=7)
    error.idempotency_key = "scene-12"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is RateLimited
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)


def test_time_that_is_over_is_a_timeout_to_those_who_know_nothing_of_us() -> None:
    assert issubclass(TimedOut, TimeoutError)
