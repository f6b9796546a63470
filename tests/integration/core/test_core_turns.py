"""As many orders as may be are on their way to a gateway: who is done hands its turn on to those who wait."""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from workshop import Workshop

from jobs.machine.error_codes import TAKES_TURNS
from jobs.machine.routing import Obstacle
from jobs.machine.states import State
from jobs.steps import submission
from jobs.steps.bulkheads import Bulkheads
from jobs.steps.line import Line
from jobs.steps.planning import Wait
from jobs.steps.resources import Resources
from jobs.store.step_table import SUBMIT, Step
from jobs.worker import tasks
from jobs.worker.crew import Crew

PROVIDER = "gravitex"


@pytest.fixture
def one_at_a_time(workshop: Workshop, sandbox: Any) -> Resources:
    return replace(workshop.resources, bulkheads=Bulkheads(4, most_submits=1), line=Line())


def turned_away(workshop: Workshop, resources: Resources, count: int) -> list[str]:
    """Jobs that came while another order was on its way."""
    job_ids = [workshop.create(provider=PROVIDER) for _ in range(count)]
    with resources.bulkheads.enter(PROVIDER, "submit"):
        assert [submission.submit(job_id, resources) for job_id in job_ids] == [None] * count
    for job_id in job_ids:
        case = workshop.case(job_id)
        assert (case.job.state, (case.job.waiting or {})["code"]) == (State.QUEUED, TAKES_TURNS)
    return job_ids


def test_the_next_one_goes_at_once_though_its_alarm_has_not_rung(workshop: Workshop, one_at_a_time: Resources) -> None:
    second, third = turned_away(workshop, one_at_a_time, 2)
    first = workshop.create(provider=PROVIDER)
    assert submission.submit(first, one_at_a_time) == second
    assert submission.submit(second, one_at_a_time) == third
    assert submission.submit(third, one_at_a_time) is None
    assert State.QUEUED not in {workshop.state(job_id) for job_id in (first, second, third)}


def test_a_task_serves_all_whose_turn_it_is_and_each_has_its_whole_time(
    workshop: Workshop, one_at_a_time: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, watched = turned_away(workshop, one_at_a_time, 2), []

    @contextmanager
    def watching(name: str) -> Any:
        watched.append(name)
        yield

    process = SimpleNamespace(resources=one_at_a_time, watchdog=SimpleNamespace(watching=watching))
    monkeypatch.setattr(tasks, "working", lambda: process)
    tasks.serve(SUBMIT, workshop.create(provider=PROVIDER))
    assert State.QUEUED not in {workshop.state(job_id) for job_id in waiting}
    assert watched == [SUBMIT.name] * 3


def test_all_rows_that_a_message_names_are_worked_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits for the others: one after the other they would not come to an end."""
    others, served = threading.Barrier(3, timeout=10), []

    def serve(step: Step, job_id: str) -> None:
        others.wait()
        served.append((step, job_id))

    crew = Crew(3)
    monkeypatch.setattr(tasks, "working", lambda: SimpleNamespace(crew=crew))
    monkeypatch.setattr(tasks, "serve", serve)
    current_app.tasks[SUBMIT.name].run("job_1", "job_2", "job_3")
    crew.close()
    assert sorted(job_id for _, job_id in served) == ["job_1", "job_2", "job_3"]
    assert {step for step, _ in served} == {SUBMIT}


def test_rows_that_have_not_begun_when_their_process_is_to_stop_are_left_to_others(
    workshop: Workshop, one_at_a_time: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = SimpleNamespace(resources=one_at_a_time, watchdog=SimpleNamespace(watching=lambda _: nullcontext()))
    monkeypatch.setattr(tasks, "working", lambda: process)
    job_id = workshop.create(provider=PROVIDER)
    one_at_a_time.stopping.set()
    try:
        tasks.serve(SUBMIT, job_id)
    finally:
        one_at_a_time.stopping.clear()
    assert workshop.state(job_id) is State.QUEUED
    tasks.serve(SUBMIT, job_id)
    assert workshop.state(job_id) is not State.QUEUED


def test_a_process_that_is_to_stop_hands_on_nothing(workshop: Workshop, one_at_a_time: Resources) -> None:
    (waiting,) = turned_away(workshop, one_at_a_time, 1)
    one_at_a_time.stopping.set()
    try:
        assert submission.submit(workshop.create(provider=PROVIDER), one_at_a_time) is None
    finally:
        one_at_a_time.stopping.clear()
    assert workshop.state(waiting) is State.QUEUED


def test_who_comes_when_all_have_just_ended_tries_once_more(
    workshop: Workshop, one_at_a_time: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They ended between its look at the gateway and its place in the line: nobody is left to call it."""
    real, looks = submission.plan, []

    def plan(*args: Any, **options: Any) -> Any:
        looks.append(args)
        if len(looks) == 1:
            return Wait(Obstacle(TAKES_TURNS, "as many as may be are on their way", 5, PROVIDER))
        return real(*args, **options)

    monkeypatch.setattr(submission, "plan", plan)
    job_id = workshop.create(provider=PROVIDER)
    submission.submit(job_id, one_at_a_time)
    assert workshop.state(job_id) is not State.QUEUED


def test_it_is_called_once_and_its_alarm_brings_it_back_if_nobody_took_it_up(
    workshop: Workshop, one_at_a_time: Resources
) -> None:
    (waiting,) = turned_away(workshop, one_at_a_time, 1)
    assert submission.submit(workshop.create(provider=PROVIDER), one_at_a_time) == waiting
    assert one_at_a_time.line.next(PROVIDER) is None
    assert workshop.until(waiting, State.ARCHIVED)
