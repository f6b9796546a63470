"""How much a key may ask."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from flask import Flask, g
from flask.testing import FlaskClient

from jobs.intake import api_keys
from jobs.store.database import Database
from rushes.api.edge.limits import KeyLimits, RateLimited

SHAPE = re.compile(r'"key";r=(\d+);t=(\d+)')


def left(client: FlaskClient, path: str = "/v1/costs") -> tuple[int, int]:
    found = SHAPE.fullmatch(client.get(path).headers["RateLimit"])
    assert found is not None
    return int(found[1]), int(found[2])


def test_every_keyed_answer_tells_what_is_left(make_api: Callable[..., FlaskClient]) -> None:
    api = make_api(API_REQUESTS_PER_MIN="100")
    policy = '"key";q=100;w=60'
    for path, status in (("/v1/jobs", 200), ("/v1/nothing", 404), ("/v1/jobs?limit=x", 422), ("/openapi.json", 200)):
        answer = api.get(path)
        assert (answer.status_code, answer.headers["RateLimit-Policy"]) == (status, policy)
    remaining, reset_s = left(api)
    assert remaining == 95
    assert 0 < reset_s <= 60


def test_beyond_the_limit_is_429_with_word_of_when_and_other_keys_go_on(
    make_api: Callable[..., FlaskClient], database: Database
) -> None:
    api = make_api(API_REQUESTS_PER_MIN="3")
    assert [api.get("/v1/jobs").status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = api.get("/v1/jobs")
    problem = answer.get_json(force=True)
    assert (answer.content_type, problem["code"]) == ("application/problem+json", "rate_limited")
    assert (problem["retryable"], "3 requests a minute" in problem["detail"]) == (True, True)
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["RateLimit"] == f'"key";r=0;t={answer.headers["Retry-After"]}'
    _, other = api_keys.create(database, "other")
    assert api.get("/v1/jobs", headers={"Authorization": f"Bearer {other}"}).status_code == 200


def test_what_has_no_live_key_is_not_counted_and_leaves_nothing_behind(make_api: Callable[..., FlaskClient]) -> None:
    api = make_api(API_REQUESTS_PER_MIN="5")
    before = left(api)[0]
    for n in range(20):
        answer = api.get("/v1/jobs", headers={"Authorization": f"Bearer rk_garbage{n}"})
        assert (answer.status_code, "RateLimit" in answer.headers) == (401, False)
    assert "RateLimit" not in api.get("/livez").headers
    assert left(api)[0] == before - 1


def test_a_window_ends_a_minute_after_its_first_request() -> None:
    now = [0.0]
    limits, app = KeyLimits(2, monotonic=lambda: now[0]), Flask("test")
    with app.app_context():
        limits.take("key_1")
        now[0] = 59.5
        limits.take("key_1")
        with pytest.raises(RateLimited, match="go on in 1 s") as refused:
            limits.take("key_1")
        assert refused.value.retry_after_s == 1
        limits.take("key_2")
        now[0] = 60.0
        limits.take("key_1")
        assert g.rate_limit["RateLimit"] == '"key";r=1;t=60'


def test_counting_a_request_takes_microseconds() -> None:
    limits, app = KeyLimits(10**9), Flask("test")
    with app.app_context():
        took = []
        for _ in range(20):
            began = time.perf_counter()
            for _ in range(100):
                limits.take("key_1")
            took.append(time.perf_counter() - began)
    assert min(took) / 100 < 20e-6
