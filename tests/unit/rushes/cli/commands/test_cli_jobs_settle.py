"""`rushes jobs settle`: what a person found out, in one command."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from fake_service import Service

Rushes = Callable[..., Result]
PATH = "/v1/jobs/job_1/attempts/1/settle"


def order(number: int = 1, outcome: str = "open", standing: str = "uncertain", **more: Any) -> dict[str, Any]:
    known = {"number": number, "provider": "evolink", "task_id": None, "named": None, "settled": None}
    return {**known, "outcome": outcome, "cost": {"standing": standing}, **more}


def job(*orders: dict[str, Any], state: str = "unconfirmed", updated_at: str = "1") -> dict[str, Any]:
    shown = list(orders) or [order()]
    return {"id": "job_1", "state": state, "attempt": len(shown), "attempts": shown, "updated_at": updated_at}


def named(state: str, reason: str | None = None, task_id: str = "t-7", **more: Any) -> dict[str, Any]:
    return order(named={"task_id": task_id, "state": state, "reason": reason}, **more)


@pytest.mark.parametrize(
    ("said", "before", "body", "after", "words"),
    [
        (
            "--not-made",
            job(),
            {"made": False},
            job(order(outcome="not_made", standing="none"), state="queued"),
            "order 1 is not_made, its money none; the job is queued",
        ),
        (
            "--charged",
            job(order(outcome="expired"), state="failed"),
            {"charged": True},
            job(order(outcome="expired", standing="charged"), state="failed"),
            "order 1 is expired, its money charged; the job is failed",
        ),
        (
            "--not-charged",
            job(order(outcome="failed", task_id="t-1"), state="failed"),
            {"charged": False},
            job(order(outcome="failed", standing="none", task_id="t-1"), state="failed"),
            "order 1 is failed as task t-1, its money none; the job is failed",
        ),
    ],
)
def test_a_word_is_sent_and_what_became_of_it_is_told(
    service: Service, rushes: Rushes, said: str, before: Any, body: Any, after: Any, words: str
) -> None:
    service.answer("GET", "/v1/jobs/job_1", before)
    service.answer("POST", PATH, after)
    result = rushes("jobs", "settle", "job_1", said)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"job_1  {words}\n")
    assert service.asked[-1]["json"] == body


def test_a_named_task_is_waited_for_until_it_is_believed(service: Service, rushes: Rushes) -> None:
    service.answer("GET", "/v1/jobs/job_1", job())
    service.then("GET", "/v1/jobs/job_1", job(named("asking"), updated_at="2"), ETag='W/"2"')
    believed = job(named("believed", task_id="t-7") | {"task_id": "t-7"}, state="generating", updated_at="3")
    service.then("GET", "/v1/jobs/job_1", believed)
    service.answer("POST", PATH, job(named("asking")), 202)
    result = rushes("jobs", "settle", "job_1", "--task-id", "t-7")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "job_1  evolink is asked about t-7",
        "job_1  order 1 is open as task t-7, its money uncertain; the job is generating",
    ]
    waits = [each["params"] for each in service.asked if (each.get("params") or {}).get("wait")]
    assert waits == [{"wait": 20}]


@pytest.mark.parametrize(
    ("order_", "reason"),
    [
        (
            named("refused", "evolink knows no such task; it answered 404"),
            "evolink knows no such task; it answered 404",
        ),
        (named("asking", task_id="t-8"), "somebody has said otherwise since"),
        (order(outcome="not_made"), "somebody has said otherwise since"),
    ],
)
def test_a_task_that_is_not_believed_fails_the_command_with_the_reason(
    service: Service, rushes: Rushes, order_: Any, reason: str
) -> None:
    service.answer("GET", "/v1/jobs/job_1", job())
    service.then("GET", "/v1/jobs/job_1", job(order_, updated_at="2"))
    service.answer("POST", PATH, job(named("asking")), 202)
    result = rushes("jobs", "settle", "job_1", "--task-id", "t-7")
    assert result.exit_code == 1
    assert f"error: t-7 is not the task of order 1: {reason}" in result.stderr
    assert "--not-made says that there is none" in result.stderr


def test_a_gateway_that_cannot_be_asked_is_waited_for_no_longer_than_was_said(service: Service, rushes: Rushes) -> None:
    service.answer("GET", "/v1/jobs/job_1", job(named("asking")))
    service.answer("POST", PATH, job(named("asking")), 202)
    result = rushes("jobs", "settle", "job_1", "--task-id", "t-7", "--timeout", "0")
    assert result.exit_code == 6
    assert "error: evolink has not said what t-7 is after 0 s" in result.stderr
    assert "it is asked on" in result.stderr


@pytest.mark.parametrize("code", ["under_way", "task_known", "task_taken", "not_lost", "not_closed"])
def test_what_is_known_already_is_told_with_where_to_look(service: Service, rushes: Rushes, code: str) -> None:
    service.answer("GET", "/v1/jobs/job_1", job())
    service.answer("POST", PATH, {"code": code, "detail": "No.", "instance": PATH}, 409)
    result = rushes("jobs", "settle", "job_1", "--not-made")
    assert result.exit_code == 1
    assert "error: No." in result.stderr
    assert "`rushes jobs" in result.stderr


class TestWhichOrder:
    @pytest.mark.parametrize(
        ("said", "orders", "number"),
        [
            (["--not-made"], [order(1), order(2, "delivered", "charged", task_id="t-2")], 1),
            (["--not-made"], [order(1, "refused", "none"), order(2, "expired")], 2),
            (["--charged"], [order(1, "expired"), order(2, "open")], 1),
            (["--not-made"], [order(1, "delivered", "charged", task_id="t-1")], 1),  # the service says why not
            (["--not-made", "--attempt", "2"], [order(1), order(2)], 2),
        ],
    )
    def test_it_is_the_one_that_can_be_meant(
        self, service: Service, rushes: Rushes, said: list[str], orders: list[Any], number: int
    ) -> None:
        service.answer("GET", "/v1/jobs/job_1", job(*orders))
        service.answer("POST", f"/v1/jobs/job_1/attempts/{number}/settle", job(*orders))
        assert rushes("jobs", "settle", "job_1", *said).exit_code == 0

    def test_among_several_nobody_guesses(self, service: Service, rushes: Rushes) -> None:
        service.answer("GET", "/v1/jobs/job_1", job(order(1), order(2, "expired")))
        result = rushes("jobs", "settle", "job_1", "--not-made")
        assert (result.exit_code, [each["method"] for each in service.asked]) == (2, ["GET"])
        assert "error: say which order: --attempt with one of 1, 2" in result.stderr

    def test_a_job_without_orders_has_none(self, service: Service, rushes: Rushes) -> None:
        service.answer("GET", "/v1/jobs/job_1", {**job(state="queued"), "attempt": 0, "attempts": []})
        result = rushes("jobs", "settle", "job_1", "--not-made")
        assert (result.exit_code, "has not been ordered yet" in result.stderr) == (3, True)


@pytest.mark.parametrize(
    "said",
    [[], ["--not-made", "--charged"], ["--charged", "--not-charged"], ["--task-id", "t", "--not-made"]],
    ids=" ".join,
)
def test_one_thing_is_said_at_a_time(service: Service, rushes: Rushes, said: list[str]) -> None:
    result = rushes("jobs", "settle", "job_1", *said)
    assert (result.exit_code, service.asked) == (2, [])
    assert "Say one thing: --task-id T, --not-made, --charged or --not-charged." in result.stderr


def test_json_is_the_job_after_it(service: Service, rushes: Rushes) -> None:
    service.answer("GET", "/v1/jobs/job_1", job())
    service.answer("POST", PATH, after := job(order(outcome="not_made"), state="queued"))
    assert json.loads(rushes("jobs", "settle", "job_1", "--not-made", "--json").stdout) == after


def test_a_jobs_orders_show_what_people_said_of_them(service: Service, rushes: Rushes) -> None:
    money = {"standing": "charged", "estimated_usd": None, "reported_usd": None, "estimate_exact": True}
    said = order(outcome="expired", cost=money, settled="charged", link=None)
    asked = named("refused", "it is another's", link=None, cost={**money, "standing": "uncertain"}) | {"number": 2}
    service.answer("GET", "/v1/jobs/job_1", job(said, asked))
    service.answer("GET", "/v1/jobs/job_1/events", {"data": []})
    lines = rushes("jobs", "show", "job_1").stdout.splitlines()
    assert "1\tevolink\texpired\tcharged, says a person\t\t" in lines
    assert "2\tevolink\topen\tuncertain\t\tt-7? it is another's" in lines
