from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from fake_service import Service

from rushes.cli.service import waiting

MONEY = {
    "standing": "charged",
    "estimated_credits": 0.5,
    "estimated_usd": 0.5,
    "estimate_exact": True,
    "reported_credits": None,
    "reported_usd": None,
}
ORDER: dict[str, Any] = {
    "number": 1,
    "provider": "evolink",
    "task_id": "task-1",
    "outcome": "delivered",
    "cost": MONEY,
    "link": None,
    "created_at": "2026-11-21T11:00:00.000Z",
}
JOB: dict[str, Any] = {
    "id": "job_1",
    "state": "queued",
    "provider": None,
    "progress": None,
    "overdue": False,
    "waiting": None,
    "error": None,
    "cost": None,
    "attempts": [],
}
WAITING = {
    "provider": "evolink",
    "code": "full",
    "reason": "evolink has 50 in flight",
    "until": "2026-11-21T12:00:01.000Z",
}


@pytest.fixture
def show(service: Service, rushes: Callable[..., Result]) -> Callable[..., list[list[str]]]:
    def shown(**changes: Any) -> list[list[str]]:
        service.answer("GET", "/v1/jobs/job_1", {**JOB, **changes})
        service.answer("GET", "/v1/jobs/job_1/events", {"data": []})
        result = rushes("jobs", "show", "job_1")
        assert result.exit_code == 0
        return [line.split("\t") for line in result.stdout.splitlines()]

    return shown


def test_why_a_job_waits_is_a_sentence(show: Callable[..., list[list[str]]]) -> None:
    assert ["waiting", "evolink has 50 in flight (full); looked at again at 2026-11-21T12:00:01.000Z"] in show(
        waiting=WAITING
    )
    assert "waiting" not in [row[0] for row in show()]


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({}, ["1", "evolink", "delivered", "charged", "$0.50, expected", "task-1"]),
        (
            {"cost": {**MONEY, "reported_usd": 0.43}, "task_id": None},
            ["1", "evolink", "delivered", "charged", "$0.43", ""],
        ),
        (
            {"cost": {**MONEY, "estimate_exact": False}},
            ["1", "evolink", "delivered", "charged", "at most $0.50, expected", "task-1"],
        ),
        (
            {"cost": {**MONEY, "estimated_usd": None}, "outcome": "undelivered", "link": "https://h/v.mp4"},
            ["1", "evolink", "undelivered: https://h/v.mp4", "charged", "", "task-1"],
        ),
    ],
)
def test_every_order_has_a_line_with_its_money(
    show: Callable[..., list[list[str]]], changes: dict[str, Any], row: list[str]
) -> None:
    rows = show(attempts=[{**ORDER, **changes}])
    assert row in rows
    assert "attempts" not in [row[0] for row in rows]


def test_an_error_shows_the_gateways_own_code(show: Callable[..., list[list[str]]]) -> None:
    error = {"code": "content_refused", "message": "no", "retryable": False, "provider_code": "policy"}
    assert ["error.provider_code", "policy"] in show(error=error)


def test_json_is_the_answer_with_its_history(service: Service, rushes: Callable[..., Result]) -> None:
    service.answer("GET", "/v1/jobs/job_1", {**JOB, "waiting": WAITING})
    service.answer("GET", "/v1/jobs/job_1/events", {"data": [{"event": "created"}]})
    shown = json.loads(rushes("jobs", "show", "job_1", "--json").stdout)
    assert shown == {**JOB, "waiting": WAITING, "events": [{"event": "created"}]}


def test_whoever_follows_a_job_hears_why_it_waits(capsys: pytest.CaptureFixture[str]) -> None:
    waiting.note({**JOB, "waiting": WAITING})
    assert capsys.readouterr().err == "job_1  queued: evolink has 50 in flight\n"
