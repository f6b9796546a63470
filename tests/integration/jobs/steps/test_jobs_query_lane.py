"""A gateway that answers no questions: who still asks, how often, and what lets its lane rest."""

from __future__ import annotations

from typing import Any

import pytest
from benches import Gateway, worker
from rows import DAY, HOUR, MINUTE, NOW, SECOND, Rows

from jobs.machine.breaker import Lane
from jobs.machine.states import State
from jobs.providers.client import Account, Answered, Lost, NotSent
from jobs.steps import reconciliation
from jobs.steps.resources import Resources
from jobs.store import lanes

pytestmark = pytest.mark.both_databases

KEY = Account("evolink", "https://gateway", "sk-1")
RUNNING = Answered(200, {}, b'{"id": "%s", "status": "processing", "progress": 5}')
SILENT = Lost("the time was over")


class Asked(Gateway):
    """Answers every question alike, and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.answer_with: Any = SILENT

    def ask(self, provider: Any, account: Any, request: Any, **_: Any) -> Any:
        task = request.path.rpartition("/")[2]
        self.asked.append(task)
        if self.answer_with is RUNNING:
            return Answered(200, {}, RUNNING.body % task.encode())
        return self.answer_with


@pytest.fixture
def gateway() -> Asked:
    return Asked()


@pytest.fixture
def resources(rows: Rows, gateway: Asked) -> Resources:
    return worker(rows, gateway)


def lane(rows: Rows) -> Lane:
    return rows.write(lambda db: lanes.read(db, KEY, "query"))


def running(rows: Rows, task: str, **columns: Any) -> str:
    """A job whose task runs at the gateway, and is due to be asked about."""
    job_id = rows.job(State.GENERATING, alarm_at=rows.now, provider="evolink", **columns)
    rows.attempt(job_id, account=KEY.fingerprint, task_id=task, accepted_at=rows.now, standing="held")
    return job_id


def ask(rows: Rows, resources: Resources, *job_ids: str) -> None:
    for job_id in job_ids:
        reconciliation.reconcile(job_id, resources)


@pytest.mark.parametrize("answer", [SILENT, NotSent("no route"), Answered(503, {}, b""), Answered(200, {}, b"<html>")])
def test_failures_about_two_known_tasks_let_questions_rest_and_orders_go_on(
    rows: Rows, resources: Resources, gateway: Asked, answer: Any
) -> None:
    gateway.answer_with = answer
    made = [running(rows, f"t{n}") for n in range(5)]
    ask(rows, resources, *made)
    assert len(gateway.asked) == 2
    assert lane(rows).rests_s(rows.now) == 15
    assert rows.case(made[4]).job.alarm_at == NOW + 15 * SECOND
    assert rows.write(lambda db: lanes.read(db, KEY, "submit")).is_well


def test_one_task_alone_never_does(rows: Rows, resources: Resources, gateway: Asked) -> None:
    job_id = running(rows, "t1")
    for _ in range(4):
        ask(rows, resources, job_id)
        rows.now += 2 * HOUR
    assert len(gateway.asked) == 4
    assert lane(rows).is_well


@pytest.mark.parametrize("answer", [None, Answered(429, {"Retry-After": "600"}, b"{}")], ids=["silence", "429"])
def test_candidates_never_do(rows: Rows, resources: Resources, gateway: Asked, answer: Answered | None) -> None:
    """Anybody who knows a callback's URL can name tasks; a gateway may fail over each of them, or want a rest."""
    gateway.answer_with = answer or gateway.answer_with
    for number in range(4):
        job_id = rows.job(State.UNCONFIRMED, alarm_at=rows.now)
        rows.attempt(job_id, account=KEY.fingerprint, lost_at=rows.now)
        rows.callback(job_id, task_id=f"forged-{number}")
        ask(rows, resources, job_id)
    assert len(gateway.asked) == 4
    assert lane(rows).is_well


@pytest.mark.parametrize("status", [401, 403, 408])
def test_an_answer_about_the_key_says_nothing_of_the_lane(
    rows: Rows, resources: Resources, gateway: Asked, status: int
) -> None:
    gateway.answer_with = Answered(status, {}, b"{}")
    ask(rows, resources, *[running(rows, f"t{n}") for n in range(3)])
    assert len(gateway.asked) == 3
    assert lane(rows).is_well


def test_news_is_asked_about_while_it_rests_one_at_a_time(rows: Rows, resources: Resources, gateway: Asked) -> None:
    ask(rows, resources, *[running(rows, f"t{n}") for n in range(2)])
    with_news = [running(rows, f"news{n}") for n in range(3)]
    for job_id in with_news:
        rows.callback(job_id, task_id="x")
    gateway.asked.clear()
    ask(rows, resources, *with_news)
    assert gateway.asked == ["news0"]
    until = lane(rows).until
    rows.now += 15 * SECOND
    ask(rows, resources, with_news[1])
    assert gateway.asked == ["news0", "news1"]
    assert until is not None


def test_an_answer_to_news_ends_the_rest(rows: Rows, resources: Resources, gateway: Asked) -> None:
    ask(rows, resources, *[running(rows, f"t{n}") for n in range(2)])
    rows.now += SECOND
    job_id = running(rows, "news")
    rows.callback(job_id, task_id="news")
    gateway.answer_with = RUNNING
    ask(rows, resources, job_id)
    assert lane(rows).is_well


def test_after_the_rest_one_question_tries_it(rows: Rows, resources: Resources, gateway: Asked) -> None:
    made = [running(rows, f"t{n}") for n in range(4)]
    ask(rows, resources, *made)
    gateway.asked.clear()
    rows.now += 15 * SECOND
    ask(rows, resources, made[2], made[3])
    assert gateway.asked == ["t2"]
    assert lane(rows).rests_s(rows.now) == 30
    rows.now += MINUTE
    gateway.answer_with = RUNNING
    ask(rows, resources, made[3], made[0], made[1])
    assert lane(rows).is_well
    assert gateway.asked == ["t2", "t3", "t0", "t1"]


def test_in_a_long_rest_one_question_a_minute_tries_it_and_an_answer_ends_it(
    rows: Rows, resources: Resources, gateway: Asked
) -> None:
    made = [running(rows, f"t{n}") for n in range(4)]
    ask(rows, resources, *made)
    while lane(rows).rest_s < 240:
        rows.now += lane(rows).rests_s(rows.now) * SECOND
        ask(rows, resources, made[0])
    began = rows.now
    gateway.asked.clear()
    ask(rows, resources, *made)
    assert gateway.asked == []
    assert {rows.case(job_id).job.alarm_at for job_id in made[1:]} == {began + MINUTE}
    for _ in range(2):
        rows.now += MINUTE
        ask(rows, resources, *made[1:])
    assert gateway.asked == ["t1", "t1"]
    assert lane(rows).rests_s(rows.now) == 120
    rows.now += MINUTE
    gateway.answer_with = RUNNING
    ask(rows, resources, *made)
    assert lane(rows).is_well
    assert sorted(gateway.asked[2:]) == ["t0", "t1", "t2", "t3"]


def test_a_task_at_the_end_of_its_life_is_asked_about_while_it_rests_and_ends_after_an_hour_of_tries(
    rows: Rows, resources: Resources, gateway: Asked
) -> None:
    """However long a gateway is ill, and whoever else probes it."""
    job_id = running(rows, "old")
    rows.now += 2 * DAY
    began = rows.now
    while rows.case(job_id).job.state is State.GENERATING:
        rows.write(lambda db: lanes.rest(db, KEY, "query", "no_answer", 900, now=rows.now))
        ask(rows, resources, job_id)
        rows.now = max(rows.now + SECOND, rows.case(job_id).job.alarm_at or rows.now)
        assert rows.now < began + 2 * HOUR
    assert len(gateway.asked) >= 6
