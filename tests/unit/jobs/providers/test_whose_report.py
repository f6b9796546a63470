"""An answer that does not name the task that was asked about is no report of it, whatever it says."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from gateway_bodies import EVERY, samples
from made_cases import NOW, SETTINGS, accepted, case, job, lost

from jobs.machine.states import State
from jobs.providers.answers import is_own
from jobs.providers.base import Provider
from jobs.providers.client import Account, Answered
from jobs.providers.registry import PROVIDERS
from jobs.steps.learning import learn
from jobs.steps.replies import SHAPES, Inquiry, Reply, read_reply

NAMES = ("id", "task_id", "jobId")
NOT_FOUND = {
    "aivideoapi": (404, {"error": {"code": "task_not_found", "message": "no", "type": "invalid_request_error"}}),
    "apiframe": (404, {"error": "Job not found"}),
    "easyrouter": (400, {"code": "task_not_exist", "message": "task_not_exist", "data": None}),
    "gravitex": (404, {"error": {"message": "Task not found"}}),
    "evolink": (404, {"error": {"type": "not_found_error", "message": "Task not found", "code": "404"}}),
}


def reports(provider: Provider) -> list[tuple[Any, str]]:
    """Every documented report, and the task that it names."""
    bodies = [body for name, body in samples(provider, "query").items() if "unknown_task" not in name]
    return [(body, str(provider.read_report(body).task_id)) for body in bodies]


def nameless(body: Any) -> Any:
    """The same report without the names of its task."""
    body = {name: value for name, value in body.items() if name not in NAMES}
    return body | {"data": nameless(body["data"])} if isinstance(body.get("data"), dict) else body


def read(provider: Provider, asked: str, body: Any, status: int = 200, *, candidate: bool = False) -> Reply:
    row = lost(provider=provider.name) if candidate else accepted(provider=provider.name, task_id=asked)
    key = Account(provider.name, provider.base_url, "sk-1")
    answer = Answered(status, {}, json.dumps(body).encode())
    return read_reply(Inquiry(row, asked, candidate=candidate), provider, key, answer)


def own(provider: Provider, asked: str, body: Any, status: int = 200) -> bool:
    return is_own(provider, asked, status, json.dumps(body).encode())


@EVERY
def test_every_documented_report_names_its_task_and_is_its_report(provider: Provider) -> None:
    for body, task_id in reports(provider):
        reply = read(provider, task_id, body)
        assert reply.final
        assert reply.report is not None
        assert own(provider, task_id, body)


@EVERY
@pytest.mark.parametrize("candidate", [False, True])
def test_without_that_name_it_is_no_answer_and_counts_as_a_drift(provider: Provider, candidate: bool) -> None:
    for body, task_id in reports(provider):
        reply = read(provider, task_id, nameless(body), candidate=candidate)
        assert (reply.report, reply.final) == (None, False)
        assert SHAPES[str(reply.word)] == "(an answer that names no task)"
        assert not own(provider, task_id, nameless(body))


@EVERY
def test_nor_is_one_about_another_task(provider: Provider) -> None:
    for body, task_id in reports(provider):
        reply = read(provider, f"{task_id}-2", body)
        assert (reply.report, reply.word, reply.final) == (None, "another_task", False)
        assert not own(provider, f"{task_id}-2", body)


@EVERY
def test_a_documented_not_found_names_none_and_stays_an_answer(provider: Provider) -> None:
    status, body = NOT_FOUND[provider.name]
    reply = read(provider, "task-9", body, status)
    assert (reply.report, reply.final) == (None, True)
    assert own(provider, "task-9", body, status)


@EVERY
@pytest.mark.parametrize("word", ["maintenance", "failed", "completed", "queued"])
def test_a_maintenance_page_with_a_status_tells_nothing_of_a_task_that_was_named(provider: Provider, word: str) -> None:
    named = lost(provider=provider.name, named_task_id="task-9")
    page = {"status": word, "message": "We are back soon", "error": {"code": "service_error"}}
    bodies = [page, {"code": "success", "data": page}]
    for body in bodies:
        reply = replace(read(provider, "task-9", body), inquiry=Inquiry(named, "task-9", candidate=True))
        assert not reply.final
        said = learn(case(job(State.UNCONFIRMED), named), [reply], PROVIDERS, SETTINGS, NOW).attempts[1]
        assert not said.keys() & {"task_id", "adopted", "outcome", "named_refused", "rejected_task_ids"}
