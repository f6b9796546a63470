"""What every answer says to browsers and caches, whoever gave it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobs.settings import Settings
from webhooks import app as receiver_alone
from webhooks.headers import HEADERS


def told(answer: Any) -> dict[str, str]:
    return {name: answer.headers.get(name, "") for name in HEADERS}


@pytest.fixture
def alone(settings: Settings) -> Iterator[Flask]:
    app = receiver_alone.create_app(settings)
    yield app
    app.extensions["rushes.close"]()


def test_every_kind_of_answer_has_the_headers(api: FlaskClient) -> None:
    stranger = api.application.test_client()
    answers = [
        *(api.get(path) for path in ("/v1/jobs", "/v1/providers", "/openapi.json", "/livez", "/readyz", "/nothing")),
        api.get("/v1/jobs/job_nobody"),
        api.post("/v1/jobs", data=b"{", content_type="application/json"),
        api.post("/v1/jobs", json={}),
        api.delete("/v1/jobs"),
        stranger.get("/v1/jobs"),
        stranger.post("/webhooks/evolink/job_1/1/k1.wrong", json={}),
        stranger.post("/webhooks/evolink/job_1/1/k1.wrong"),
    ]
    assert {answer.status_code for answer in answers} >= {200, 400, 401, 404, 405, 422, 503}
    assert [told(answer) for answer in answers] == [HEADERS] * len(answers)


def test_a_failure_of_ours_has_the_headers_and_tells_nothing(api: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("https://s3.example/k?X-Amz-Signature=of-a-failure")

    monkeypatch.setattr("rushes.api.jobs.cases.read_shown", fail)
    answer = api.get("/v1/jobs/job_01K8Z3V0QWERTYUIOPASDFGHJK")
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (500, "internal_error")
    assert told(answer) == HEADERS
    assert b"of-a-failure" not in answer.get_data()


def test_the_receiver_alone_has_them_too_and_knows_no_other_path(alone: Flask) -> None:
    client = alone.test_client()
    for answer in (
        client.get("/livez"),
        client.post("/webhooks/evolink/job_1/1/k1.x", json={}),
        client.get("/v1/jobs"),
    ):
        assert told(answer) == HEADERS
    assert {rule.rule.partition("/<")[0] for rule in alone.url_map.iter_rules()} == {"/webhooks", "/livez", "/readyz"}
