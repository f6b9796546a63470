"""One id per request, in its answer, its problem and its log."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest
from flask.testing import FlaskClient


def asked(api: FlaskClient, path: str, sent: str | None) -> Any:
    return api.get(path, headers={} if sent is None else {"X-Request-Id": sent})


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/nothing", "/livez", "/openapi.json", "/v1/jobs/job_nobody"])
@pytest.mark.parametrize("sent", ["a", "scene-12.take_1", "x" * 64])
def test_the_callers_id_comes_back_with_every_answer(api: FlaskClient, path: str, sent: str) -> None:
    assert asked(api, path, sent).headers["X-Request-Id"] == sent


@pytest.mark.parametrize("sent", [None, "", " ", "x" * 65, "a b", "a\tb", "é", "a/b", "<script>"])
def test_what_is_no_id_is_replaced(api: FlaskClient, sent: str | None) -> None:
    given = [asked(api, "/v1/jobs", sent).headers["X-Request-Id"] for _ in range(2)]
    assert all(re.fullmatch("[0-9a-f]{24}", each) for each in given)
    assert given[0] != given[1]


@pytest.mark.parametrize(("path", "status"), [("/v1/nothing", 404), ("/v1/jobs?limit=x", 422), ("/v1/costs?to=x", 422)])
def test_a_problem_names_it(api: FlaskClient, path: str, status: int) -> None:
    answer = asked(api, path, "scene-12")
    assert (answer.status_code, answer.get_json(force=True)["request_id"]) == (status, "scene-12")


def test_a_refusal_at_the_door_names_it_too(api: FlaskClient) -> None:
    answer = asked(api.application.test_client(), "/v1/jobs", "scene-12")
    assert (answer.status_code, answer.get_json(force=True)["request_id"]) == (401, "scene-12")


def test_the_log_of_a_failure_has_it(
    api: FlaskClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("rushes.api.jobs.cases.read_shown", fail)
    monkeypatch.setattr(logging.getLogger().handlers[0], "stream", __import__("sys").stderr)
    answer = asked(api, "/v1/jobs", "scene-12")
    assert answer.status_code == 500
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if "a fault of ours" in line.get("exception", "")]
    assert line["request_id"] == "scene-12"
