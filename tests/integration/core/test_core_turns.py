"""As many orders as may be are on their way to a gateway: who is done hands its turn on to those who wait."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from workshop import Ahead, Workshop

from jobs.intake import changes
from jobs.machine.case import Case
from jobs.machine.error_codes import TAKES_TURNS
from jobs.machine.routing import Obstacle
from jobs.machine.states import State
from jobs.steps import line, submission, waiting
from jobs.steps.bulkheads import Bulkheads
from jobs.steps.line import Line
from jobs.steps.planning import Wait
from jobs.steps.resources import Resources
from jobs.store import cases, leases
from jobs.store.step_table import SUBMIT, Step
from jobs.worker import tasks
from jobs.worker.crew import Crew

PROVIDER, SECOND = "gravitex", timedelta(seconds=1)


class Patience(Line):
    """A line in which any time has passed that a test says."""

    def __init__(self) -> None:
        super().__init__(lambda: self.now)
        self.now = 0.0

    def seconds_pass(self) -> None:
        self.now += waiting.SAYS_SO_AFTER_S


@pytest.fixture
def patience() -> Patience:
    return Patience()


@pytest.fixture
def one_at_a_time(workshop: Workshop, sandbox: Any, patience: Patience) -> Resources:
    return replace(workshop.resources, bulkheads=Bulkheads(4, most_submits=1), line=patience)


def turned_away(workshop: Workshop, resources: Resources, count: int) -> list[str]:
    """Jobs that came while another order was on its way, and were rung for again after some seconds."""
    assert isinstance(resources.line, Patience)
    job_ids = [workshop.create(provider=PROVIDER) for _ in range(count)]
    with resources.bulkheads.enter(PROVIDER, "submit"):
        for _ in range(2):
            assert [submission.submit(job_id, resources) for job_id in job_ids] == [None] * count
            resources.line.seconds_pass()
    for job_id in job_ids:
        assert waits_its_turn(workshop, job_id)
    return job_ids


def waits_its_turn(workshop: Workshop, job_id: str) -> bool:
    """Whether its row says so: until then it is a new job."""
    job = workshop.case(job_id).job
    assert job.state is State.QUEUED
    return (job.waiting or {}).get("code") == TAKES_TURNS


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


def test_a_turn_that_comes_to_nothing_is_handed_on(workshop: Workshop, one_at_a_time: Resources) -> None:
    """Another process has taken the second job since, and a client wants the third one no more."""
    second, third, fourth = turned_away(workshop, one_at_a_time, 3)
    submission.submit(second, workshop.another_worker())
    changes.cancel(third, workshop.core)
    assert submission.submit(workshop.create(provider=PROVIDER), one_at_a_time) == second
    assert submission.submit(second, one_at_a_time) == third
    assert submission.submit(third, one_at_a_time) == fourth
    assert submission.submit(fourth, one_at_a_time) is None
    assert workshop.state(fourth) is not State.QUEUED


def test_a_turn_that_comes_to_nothing_is_handed_on_where_there_is_room_alone(
    workshop: Workshop, one_at_a_time: Resources
) -> None:
    turned_away(workshop, one_at_a_time, 1)
    gone = workshop.create(provider=PROVIDER)
    changes.cancel(gone, workshop.core)
    with one_at_a_time.bulkheads.enter(PROVIDER, "submit"):
        assert submission.submit(gone, one_at_a_time) is None


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


def test_a_new_job_is_turned_away_unplanned_and_one_that_is_rung_for_again_unread(
    workshop: Workshop, one_at_a_time: Resources, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    for named in ("plan", "due_case"):
        monkeypatch.setattr(submission, named, None)
    job_id = workshop.create(provider=PROVIDER)
    before = workshop.case(job_id)
    with one_at_a_time.bulkheads.enter(PROVIDER, "submit"):
        submission.submit(job_id, one_at_a_time)
        assert workshop.case(job_id) == before  # due as it was: it is found should this process die
        monkeypatch.setattr(cases, "read_new", None)
        submission.submit(job_id, one_at_a_time)  # the sweep rings for it as well
        assert workshop.case(job_id) == before
        patience.seconds_pass()
        submission.submit(job_id, one_at_a_time)
    assert waits_its_turn(workshop, job_id)
    assert workshop.history(job_id) == ["created", "waiting"]
    assert one_at_a_time.line.next(PROVIDER) == job_id


def test_a_job_that_another_gateway_of_its_route_has_room_for_is_planned(
    workshop: Workshop, one_at_a_time: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, planned = submission.plan, []

    def plan(case: Case, *args: Any, **options: Any) -> Any:
        planned.append(case.job.id)
        return real(case, *args, **options)

    monkeypatch.setattr(submission, "plan", plan)
    job_ids = [workshop.create(provider=names) for names in ([PROVIDER], [PROVIDER, "evolink"])]
    with one_at_a_time.bulkheads.enter(PROVIDER, "submit"):
        for job_id in job_ids * 2:
            submission.submit(job_id, one_at_a_time)
    assert planned == job_ids[1:] * 2


def test_a_job_that_has_moved_since_it_was_turned_away_is_read(workshop: Workshop, one_at_a_time: Resources) -> None:
    (waiting,) = turned_away(workshop, one_at_a_time, 1)
    with workshop.database.write() as db:
        now = workshop.database.clock(db)
        leases.bring_news(db, waiting, now=now)
    with one_at_a_time.bulkheads.enter(PROVIDER, "submit"):
        for version in (3, 4):  # and remembered as it stands now
            submission.submit(waiting, one_at_a_time)
            job = workshop.case(waiting).job
            assert (job.version, job.alarm_at) == (version, max(job.alarm_at, now + SECOND))


def test_a_job_whose_time_to_start_is_over_fails_in_the_line(workshop: Workshop, one_at_a_time: Resources) -> None:
    (waiting,) = turned_away(workshop, one_at_a_time, 1)
    Ahead(workshop).leap(workshop.settings.start_within_s)
    with one_at_a_time.bulkheads.enter(PROVIDER, "submit"):
        submission.submit(waiting, one_at_a_time)
    assert workshop.state(waiting) is State.FAILED


def test_a_new_job_for_which_the_line_has_no_place_has_a_later_alarm(
    workshop: Workshop, one_at_a_time: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "MOST", 0)
    job_id = workshop.create(provider=PROVIDER)
    with one_at_a_time.bulkheads.enter(PROVIDER, "submit"):
        submission.submit(job_id, one_at_a_time)
    assert waits_its_turn(workshop, job_id)


def test_a_job_that_finds_its_gateway_full_once_it_is_planned_stands_in_line(
    workshop: Workshop, one_at_a_time: Resources, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one has come between."""
    real, after = submission.plan, ExitStack()

    def plan(*args: Any, **options: Any) -> Any:
        planned = real(*args, **options)
        assert after.enter_context(one_at_a_time.bulkheads.enter(PROVIDER, "submit")) == 0
        return planned

    monkeypatch.setattr(submission, "plan", plan)
    job_id = workshop.create(provider=PROVIDER)
    before = workshop.case(job_id)
    with after:
        submission.submit(job_id, one_at_a_time)
        assert workshop.case(job_id) == before
        patience.seconds_pass()
        submission.submit(job_id, one_at_a_time)
    assert waits_its_turn(workshop, job_id)
    assert one_at_a_time.line.next(PROVIDER) == job_id


def test_it_is_called_once_and_its_alarm_brings_it_back_if_nobody_took_it_up(
    workshop: Workshop, one_at_a_time: Resources
) -> None:
    (waiting,) = turned_away(workshop, one_at_a_time, 1)
    assert submission.submit(workshop.create(provider=PROVIDER), one_at_a_time) == waiting
    assert one_at_a_time.line.next(PROVIDER) is None
    assert workshop.until(waiting, State.ARCHIVED)
