"""Settling an order: a word, or a task that is waited for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from scripted import JOB_ID, Answer, Clock, Request, Scripted, job, problem

from rushes_client import Client, NotSettled, TaskRefused, TimedOut, UnderWay


def named(state: str, reason: str | None = None, task_id: str = "t-7") -> dict[str, Any]:
    order = {"number": 1, "provider": "evolink", "outcome": "open", "cost": {"standing": "uncertain"}}
    asked = {"task_id": task_id, "state": state, "reason": reason}
    return job("unconfirmed", attempts=[{**order, "named": asked, "created_at": "2026-11-21T15:46:13.827Z"}])


@pytest.mark.parametrize("said", [{"made": False}, {"charged": True}, {"charged": False}], ids=str)
def test_a_word_is_sent_and_the_job_after_it_comes_back(
    client: Client, service: Scripted, said: dict[str, bool]
) -> None:
    service.script = [Answer(503), Answer(200, job("queued"))]  # it may come twice: the same word changes nothing
    assert client.settle(JOB_ID, 1, **said).state == "queued"
    assert [request.path for request in service.requests] == [f"/v1/jobs/{JOB_ID}/attempts/1/settle"] * 2
    assert json.loads(service.requests[-1].body) == said


def test_a_task_is_waited_for_until_the_gateway_was_asked(client: Client, service: Scripted) -> None:
    service.script = [
        Answer(202, named("asking")),
        Answer(200, named("asking"), {"ETag": '"1"'}),
        Answer(304, headers={"ETag": '"1"'}),
        Answer(200, named("believed"), {"ETag": '"2"'}),
    ]
    settled = client.settle(JOB_ID, 1, task_id="t-7").attempts[0].named
    assert settled is not None
    assert settled.state == "believed"
    assert [request.query.get("wait") for request in service.requests] == [None, None, ["30"], ["30"]]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (named("refused", "evolink knows no such task"), "t-7 is not the task of order 1: evolink knows no such task"),
        (named("asking", task_id="t-8"), "Somebody has said otherwise of order 1 since"),
        (job("queued"), "Somebody has said otherwise of order 1 since"),
    ],
)
def test_a_task_that_is_not_believed_raises_with_the_reason(
    client: Client, service: Scripted, answer: dict[str, Any], words: str
) -> None:
    service.script = [Answer(202, named("asking")), Answer(200, answer)]
    with pytest.raises(TaskRefused, match=words) as caught:
        client.settle(JOB_ID, 1, task_id="t-7")
    assert caught.value.job is not None


def test_a_gateway_that_cannot_be_asked_is_not_waited_for_without_end(
    client: Client, service: Scripted, clock: Clock
) -> None:
    def rule(request: Request) -> Answer:
        clock.now += float(next(iter(request.query.get("wait", ["0"]))))
        return Answer(202 if request.method == "POST" else 200, named("asking"), {"ETag": '"1"'})

    service.rule = rule
    with pytest.raises(TimedOut):
        client.settle(JOB_ID, 1, task_id="t-7", timeout_s=70)


@pytest.mark.parametrize(("code", "kind"), [("under_way", UnderWay), ("task_taken", NotSettled)])
def test_what_the_service_knows_better_has_its_class(
    client: Client, service: Scripted, code: str, kind: type[Exception]
) -> None:
    service.script = [problem(409, code)]
    with pytest.raises(kind, match="Said why"):
        client.settle(JOB_ID, 1, task_id="t-7")
