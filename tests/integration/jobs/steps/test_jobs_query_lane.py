"""A gateway that answers no questions: who still asks, how often, and what lets its lane rest."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from benches import Gateway, worker
from rows import DAY, HOUR, MINUTE, NOW, SECOND, Rows

from jobs.machine import schedule
from jobs.machine.breaker import Lane
from jobs.machine.states import State
from jobs.providers.client import Account, Answered, Lost, NotSent
from jobs.providers.registry import PROVIDERS
from jobs.steps import reconciliation
from jobs.steps.resources import Resources
from jobs.store import lanes
from jobs.store.tables import attempts, jobs
from jobs.store.tables import lanes as lanes_table
from storage.errors import LinkUnavailable

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


class TestManyTasksAtTheirEnds:
    """One question at a time tries a gateway whose questions rest: none of hundreds must wait for two of its own."""

    def ended(self, rows: Rows, count: int = 3) -> list[str]:
        made = [running(rows, f"old{n}") for n in range(count)]
        rows.now += 2 * DAY
        rows.write(lambda db: db.execute(sa.update(jobs).values(alarm_at=rows.now)))
        return made

    def rest(self, rows: Rows, resources: Resources, reason: str = "unreachable") -> None:
        rows.write(lambda db: lanes.rest(db, KEY, "query", reason, 900, now=rows.now))
        self.probe(rows, resources)

    def probe(self, rows: Rows, resources: Resources) -> None:
        """Another one is being asked about."""
        for_s = resources.settings.query_lease_s
        rows.write(
            lambda db: lanes.write(db, KEY, "query", lanes.lock(db, KEY, "query").probe("X", rows.now, for_s=for_s))
        )

    def follow(self, rows: Rows, resources: Resources, made: list[str], until: datetime, reason: str) -> None:
        """At every alarm, and with a new rest each quarter of an hour."""
        rested = rows.now
        while rows.now < until:
            for job_id in made:
                if (at := rows.case(job_id).job.alarm_at) and at <= rows.now:
                    self.probe(rows, resources)
                    reconciliation.reconcile(job_id, resources)
            rows.now += 5 * MINUTE
            if rows.now >= rested + 15 * MINUTE:
                rested = rows.now
                self.rest(rows, resources, reason)

    @pytest.mark.parametrize("reason", ["unreachable", "no_network"])
    def test_where_it_cannot_be_reached_the_questions_of_others_count_for_all(
        self, rows: Rows, resources: Resources, gateway: Asked, reason: str
    ) -> None:
        made = self.ended(rows)
        self.rest(rows, resources, reason)
        self.follow(rows, resources, made, rows.now + 50 * MINUTE, reason)
        assert {rows.case(job_id).job.state for job_id in made} == {State.GENERATING}
        self.follow(rows, resources, made, rows.now + 30 * MINUTE, reason)
        assert {rows.case(job_id).job.error_code for job_id in made} == {"task_expired"}
        assert gateway.asked == []

    @pytest.mark.prove
    @pytest.mark.timeout(300)
    def test_hundreds_end_within_an_hour_and_a_third(self, rows: Rows, resources: Resources, gateway: Asked) -> None:
        gateway.answer_with = NotSent("no route to host")
        made = self.ended(rows, 200)
        began = rows.now
        while left := [case for job_id in made if (case := rows.case(job_id)).job.state is State.GENERATING]:
            rows.now = max(rows.now + SECOND, min(case.job.alarm_at or rows.now for case in left))
            ask(rows, resources, *(case.job.id for case in left if case.job.alarm_at and case.job.alarm_at <= rows.now))
            assert rows.now < began + 80 * MINUTE
        assert len(gateway.asked) < 80 * 60 / 15 + 200

    @pytest.mark.parametrize("but", ["no answer came", "nobody was asked since its end", "news", "it was well since"])
    def test_where_they_say_nothing_of_it_each_waits_for_its_own(
        self, rows: Rows, resources: Resources, gateway: Asked, but: str
    ) -> None:
        reason = "no_answer" if but == "no answer came" else "unreachable"
        (job_id,) = self.ended(rows, 1)
        if but == "news":
            rows.callback(job_id, task_id="old0")
        if but == "it was well since":
            rows.write(lambda db: db.execute(sa.update(attempts).values(unanswered_since=rows.now)))
            rows.now += 2 * HOUR
        self.rest(rows, resources, reason)
        if but == "nobody was asked since its end":
            end = schedule.life_end(rows.case(job_id).attempts[1], resources.settings, PROVIDERS)
            rows.write(lambda db: db.execute(sa.update(lanes_table).values(began_at=end - MINUTE)))
        reconciliation.reconcile(job_id, resources)
        job = rows.case(job_id)
        assert (job.job.state, gateway.asked) == (State.GENERATING, [])
        since = job.attempts[1].unanswered_since
        assert since is None or but == "it was well since"


def test_a_fresh_link_is_asked_for_slowly_while_it_rests(rows: Rows, resources: Resources, gateway: Asked) -> None:
    ask(rows, resources, *[running(rows, f"t{n}") for n in range(2)])
    attempt = rows.case(running(rows, "finished")).attempts[1]
    gateway.asked.clear()
    for _ in range(3):
        with pytest.raises(LinkUnavailable, match=r"did not answer|questions to evolink rest"):
            reconciliation.fresh_link(attempt, resources)
    assert gateway.asked == ["finished"]
    rows.now += 15 * SECOND
    gateway.answer_with = RUNNING
    assert reconciliation.fresh_link(attempt, resources) is None
    assert lane(rows).is_well
