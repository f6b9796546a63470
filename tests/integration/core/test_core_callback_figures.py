"""How ends of orders came to be known, from gateways' callbacks and our own questions to GET /v1/callbacks/figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from served import Served
from workshop import RUN, Workshop, serve_receiver

from jobs.intake import api_keys
from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS
from rushes.app import create_app

CALLING = [name for name, provider in PROVIDERS.items() if provider.callbacks]
NONE = {"ended": 0, "told": 0, "asked": 0, "late": 0, "lost": 0, "loss_ratio": None}
ONE = {"orders": 1, "p50": pytest.approx(5, abs=5), "p95": pytest.approx(5, abs=5)}


def ask(workshop: Workshop, path: str) -> Any:
    _, key = api_keys.create(workshop.database, "test")
    app = create_app(workshop.settings, ringer=workshop.bells)
    try:
        return app.test_client().get(path, headers={"Authorization": f"Bearer {key}"}).get_json()
    finally:
        app.extensions["rushes.close"]()


def figures(workshop: Workshop, provider: str) -> dict[str, Any]:
    """The counts, which the gateway's status tells as well, and the delays."""
    (told,) = ask(workshop, f"/v1/callbacks/figures?provider={provider}")["data"] or [{}]
    status = ask(workshop, f"/v1/providers/{provider}")["status"]["last_day"]
    assert status == {name: told.get(name, NONE[name]) for name in NONE}
    return dict(told)


def submit(workshop: Workshop, **request: Any) -> str:
    job_id = workshop.create(**request)
    RUN["jobs.submit"](job_id, workshop.resources)
    return job_id


def poll(workshop: Workshop, sandbox: Any, provider: str) -> dict[str, Any]:
    """An order whose callback is lost, until it is archived; the gateway's task."""
    if provider in CALLING:
        sandbox.fault(provider, "lose_callback")
    case = workshop.until(submit(workshop, provider=provider), State.ARCHIVED)
    assert case.attempts[1].with_callback == (provider in CALLING)
    (task,) = [task for task in sandbox.tasks(provider) if task["task_id"] == case.attempts[1].task_id]
    return dict(task)


@pytest.mark.parametrize("provider", CALLING)
def test_told_by_a_callback(make_workshop: Callable[..., Workshop], sandbox: Any, provider: str) -> None:
    workshop = make_workshop(poll_interval_s=3600)
    receiver = serve_receiver(workshop)
    try:
        workshop.receive_callbacks_at(receiver.url)
        job_id = submit(workshop, provider=provider)
        rung = ("jobs.transfer", job_id)  # which asks before it copies
        workshop.await_(lambda: rung in workshop.bells.rung, "the callback to ring", job_id=job_id)
        RUN["jobs.transfer"](job_id, workshop.resources)
    finally:
        receiver.close()
    found = figures(workshop, provider)
    assert found | {"called_after_s": None} == {
        "provider": provider,
        "ended": 1,
        "told": 1,
        "asked": 0,
        "late": 0,
        "lost": 0,
        "loss_ratio": 0.0,
        "called_after_s": None,
        "found_after_s": None,
    }
    assert found["called_after_s"] == (ONE if tells_its_end(workshop, job_id) else None)


def tells_its_end(workshop: Workshop, job_id: str) -> bool:
    return workshop.case(job_id).attempts[1].finished_at is not None


@pytest.mark.parametrize("provider", CALLING)
def test_asked_as_no_callback_came(workshop: Workshop, receiver: Served, sandbox: Any, provider: str) -> None:
    poll(workshop, sandbox, provider)
    found = figures(workshop, provider)
    assert {name: found[name] for name in NONE} == {**NONE, "ended": 1, "asked": 1, "lost": 1, "loss_ratio": 1.0}
    assert found["called_after_s"] is None
    assert found["found_after_s"] in (None, ONE)


@pytest.mark.parametrize("provider", CALLING)
def test_late_as_it_was_asked_before_the_callback_came(
    workshop: Workshop, receiver: Served, sandbox: Any, provider: str
) -> None:
    task = poll(workshop, sandbox, provider)
    assert sandbox.call_back(provider, task["task_id"]) == 200
    found = figures(workshop, provider)
    assert {name: found[name] for name in NONE} == {**NONE, "ended": 1, "asked": 1, "late": 1, "loss_ratio": 0.0}
    assert (found["called_after_s"] is None) == (found["found_after_s"] is None)


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name not in CALLING])
def test_a_gateway_that_calls_nobody_loses_nothing(
    workshop: Workshop, receiver: Served, sandbox: Any, provider: str
) -> None:
    assert figures(workshop, provider) == {}
    poll(workshop, sandbox, provider)
    found = figures(workshop, provider)
    assert {name: found[name] for name in NONE} == {**NONE, "ended": 1, "asked": 1}


@pytest.mark.parametrize("provider", ["apiframe", "evolink"])  # the others' failures earn another attempt
def test_a_failure_that_was_asked_about_stays_so_when_its_callback_makes_us_ask_again(
    workshop: Workshop, receiver: Served, sandbox: Any, provider: str
) -> None:
    sandbox.fault(provider, "lose_callback")
    sandbox.fault(provider, "fail", retryable=False)
    job_id = submit(workshop, provider=provider)
    before = workshop.until(job_id, State.FAILED).attempts[1]
    (task,) = sandbox.tasks(provider)
    workshop.bells.take()
    assert sandbox.call_back(provider, task["task_id"]) == 200
    ((step, woken),) = workshop.bells.take()
    assert woken == job_id
    RUN[step](job_id, workshop.resources)
    after = workshop.case(job_id)
    assert after.unread == ()
    assert (after.attempts[1].news_by, after.attempts[1].news_at) == ("poll", before.news_at)
    assert figures(workshop, provider)["late"] == 1
