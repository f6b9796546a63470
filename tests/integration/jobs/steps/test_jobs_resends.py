"""Re-sends under an idempotency key: they buy nothing, and yet are POSTs, so an ill gateway is spared them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from benches import Gateway, worker
from rows import DAY, HOUR, MINUTE, NOW, SECOND, Rows

from jobs.machine.breaker import Lane
from jobs.machine.outcome import Facts
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.providers.client import Account, Answered, Lost
from jobs.steps import reconciliation, resending, submission
from jobs.steps.bulkheads import Bulkheads
from jobs.steps.resources import Resources
from jobs.store import lanes, late_facts
from jobs.store.tables import attempts, jobs

KEY = Account("apiframe", "https://gateway", "afk-1")
WANTS = {"prompt": "A fox", "provider": "apiframe"}
REFUSED = Answered(400, {}, b'{"error": "not like this"}')


class Accepts(Gateway):
    def __init__(self) -> None:
        super().__init__(self.taken)
        self.keys: list[str] = []

    def ask(self, *_: Any, **__: Any) -> Any:
        return Lost("no whole answer")

    def send(self, *args: Any, extra_headers: dict[str, str], **more: Any) -> Any:
        self.keys.append(extra_headers["Idempotency-Key"])
        return super().send(*args, **more)

    def taken(self) -> Answered:
        return Answered(202, {}, b'{"jobId": "task-%d", "status": "QUEUED"}' % self.sent)


class Together:
    """Counts how many POSTs are under way at once; each lets `meanwhile` happen before it is answered."""

    def __init__(self, rows: Rows, gateway: Accepts) -> None:
        self.most = self.now = 0
        self.meanwhile: Callable[[], Any] = lambda: None
        self._lock, self._answer = threading.Lock(), gateway.answer
        gateway.answer = self.answer

    def answer(self) -> Any:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.meanwhile()
        with self._lock:
            self.now -= 1
        return Lost("the time was over")


class Killed(BaseException):
    """As a process ends that is killed."""


def dies() -> Any:
    raise Killed


def another(resources: Resources) -> Resources:
    """Another process's parts."""
    return replace(resources, bulkheads=Bulkheads(100))


def lane(rows: Rows) -> Lane:
    return rows.write(lambda db: lanes.read(db, KEY, "submit"))


@pytest.fixture
def gateway() -> Accepts:
    return Accepts()


@pytest.fixture
def resources(rows: Rows, gateway: Accepts) -> Resources:
    resources = worker(rows, gateway)
    return replace(resources, settings=replace(resources.settings, accounts={"apiframe": KEY}))


def lost(rows: Rows) -> str:
    """A job whose order was lost so long ago that it is to be sent again."""
    job_id = rows.job(State.UNCONFIRMED, alarm_at=NOW, provider="apiframe")
    request = {"method": "POST", "path": "/v2/videos/generate", "body": {}, "headers": {}}
    known = {"provider": "apiframe", "account": KEY.fingerprint, "request": request, "standing": Standing.UNCERTAIN}
    rows.attempt(job_id, lost_at=NOW, **known)
    return job_id


def look(rows: Rows, job_id: str, resources: Resources) -> None:
    """As often as its alarm rings for ten minutes."""
    end = rows.now + 10 * MINUTE
    while (
        (alarm_at := rows.case(job_id).job.alarm_at) and alarm_at < end and rows.case(job_id).job.state == "unconfirmed"
    ):
        rows.now = max(rows.now, alarm_at)
        reconciliation.reconcile(job_id, resources)
    rows.now = max(rows.now, end)


def test_none_goes_while_its_gateway_rests_and_one_goes_afterwards(
    rows: Rows, resources: Resources, gateway: Accepts
) -> None:
    job_id = lost(rows)
    rows.write(lambda db: lanes.rest(db, KEY, "submit", "no_answer", 600, now=rows.now))
    look(rows, job_id, resources)
    assert gateway.sent == 0
    look(rows, job_id, resources)
    assert gateway.sent == 1
    assert rows.case(job_id).job.state is State.GENERATING


def test_none_goes_once_a_worker_that_slept_says_that_nothing_was_sent(
    rows: Rows, resources: Resources, gateway: Accepts
) -> None:
    job_id = lost(rows)
    slept = Facts({1: {"outcome": AttemptOutcome.NOT_SENT, "error_code": "own_trouble"}})

    def resolve(*_: Any, **__: Any) -> Any:
        rows.write(lambda db: late_facts.bring_facts(db, job_id, slept, now=rows.now))
        return Lost("no whole answer")

    gateway.ask = resolve  # type: ignore[method-assign]
    rows.callback(job_id, provider="apiframe", task_id="made-up")
    rows.now += 2 * MINUTE
    reconciliation.reconcile(job_id, resources)
    assert gateway.sent == 0
    assert rows.case(job_id).job.state is State.QUEUED


def test_none_goes_once_its_key_is_over_though_the_worker_slept_since_it_looked(
    rows: Rows, resources: Resources, gateway: Accepts
) -> None:
    job_id = lost(rows)
    rows.now += 2 * MINUTE
    lease = rows.lease(job_id)
    looked_at = rows.now
    rows.now += 24 * HOUR
    assert resending.resend(lease, looked_at, resources) == Facts()
    assert gateway.sent == 0


def test_a_process_sends_no_more_at_once_than_it_sends_orders(
    rows: Rows, resources: Resources, gateway: Accepts
) -> None:
    job_id = lost(rows)
    resources.bulkheads = Bulkheads(4, most_submits=1)
    with resources.bulkheads.enter("apiframe", "submit") as come_back_in:
        assert come_back_in == 0
        look(rows, job_id, resources)
        assert gateway.sent == 0
    look(rows, job_id, resources)
    assert gateway.sent == 1


class TestTheLane:
    """A re-send is a POST: it probes as an order does, and takes a place among the five."""

    def test_of_many_workers_one_alone_goes_after_a_rest(
        self, rows: Rows, resources: Resources, gateway: Accepts
    ) -> None:
        made, under_way = [lost(rows) for _ in range(4)], Together(rows, gateway)
        rows.write(lambda db: lanes.rest(db, KEY, "submit", "no_answer", 15, now=rows.now))
        rows.now += 2 * MINUTE
        under_way.meanwhile = lambda: [
            *(reconciliation.reconcile(job_id, another(resources)) for job_id in made[1:]),
            submission.submit(rows.job(request=WANTS), another(resources)),
        ]
        reconciliation.reconcile(made[0], resources)
        assert (gateway.sent, under_way.most) == (1, 1)

    @pytest.mark.parametrize("since", ["lost since the last acceptance", "before it"])
    def test_no_more_are_under_way_than_may_be_whoever_sends_them(
        self, rows: Rows, resources: Resources, gateway: Accepts, since: str
    ) -> None:
        resources.settings = replace(resources.settings, max_unconfirmed=3)
        made, under_way = [lost(rows) for _ in range(6)], Together(rows, gateway)
        if since == "before it":
            well = Lane(accepted_at=rows.now + SECOND)
            rows.write(lambda db: (lanes.lock(db, KEY, "submit"), lanes.write(db, KEY, "submit", well)))
        rows.now += 2 * MINUTE
        waiting = iter(made[1:])

        def others() -> None:
            """Each that goes meets the next one, and an order, while it is under way."""
            if (job_id := next(waiting, None)) is not None:
                reconciliation.reconcile(job_id, another(resources))
                submission.submit(rows.job(request=WANTS), another(resources))

        under_way.meanwhile = others
        reconciliation.reconcile(made[0], resources)
        assert under_way.most == (1 if since != "before it" else 3)

    @pytest.mark.timeout(60)
    def test_claims_and_resends_at_once_see_each_other(
        self, rows: Rows, resources: Resources, gateway: Accepts
    ) -> None:
        """Two processes, six threads each: half of them order, half of them send again."""
        resources.settings = replace(resources.settings, max_unconfirmed=4)
        made = [lost(rows) for _ in range(6)]
        well = Lane(accepted_at=rows.now + SECOND)
        rows.write(lambda db: (lanes.lock(db, KEY, "submit"), lanes.write(db, KEY, "submit", well)))
        rows.now += 2 * MINUTE
        new = [rows.job(request=WANTS) for _ in range(6)]
        under_way, together = Together(rows, gateway), threading.Barrier(12)
        done = threading.Event()
        under_way.meanwhile = lambda: done.wait(0.3)

        def work(step: Callable[..., None], job_id: str, process: Resources) -> None:
            together.wait()
            step(job_id, process)

        with ThreadPoolExecutor(12) as pool:
            processes = [another(resources), another(resources)]
            for number, (old, young) in enumerate(zip(made, new, strict=True)):
                pool.submit(work, reconciliation.reconcile, old, processes[number % 2])
                pool.submit(work, submission.submit, young, processes[number % 2])
        assert 2 <= under_way.most <= 4

    def test_a_worker_that_dies_at_one_keeps_the_place_for_its_lease_alone(
        self, rows: Rows, resources: Resources, gateway: Accepts
    ) -> None:
        resources.settings = replace(resources.settings, max_unconfirmed=1)
        job_id = lost(rows)
        rows.write(lambda db: lanes.rest(db, KEY, "submit", "no_answer", 15, now=rows.now))
        rows.now += 2 * MINUTE
        gateway.answer = dies
        with pytest.raises(Killed):
            reconciliation.reconcile(job_id, resources)
        gateway.answer = gateway.taken
        second = lost(rows)
        rows.write(lambda db: db.execute(sa.update(attempts).values(lost_at=rows.now - 2 * MINUTE)))
        reconciliation.reconcile(second, resources)
        assert gateway.sent == 1
        rows.now += timedelta(seconds=resources.settings.submit_lease_s)
        reconciliation.reconcile(second, resources)
        assert gateway.sent == 2


class TestTheBoundUsedUp:
    """Questions are answered, orders are not: sent again, a lost one tells for nothing what a new one would risk."""

    @pytest.fixture
    def gateway(self) -> Accepts:
        gateway = Accepts()
        gateway.answer = lambda: Lost("the time was over")
        gateway.ask = lambda *_, **__: Answered(404, {}, b'{"error": "Job not found"}')  # type: ignore[method-assign]
        return gateway

    def use_up(self, rows: Rows, rest_s: float = 60) -> list[str]:
        made = [lost(rows) for _ in range(5)]
        rows.write(lambda db: lanes.rest(db, KEY, "submit", "no_answer", rest_s, now=rows.now))
        rows.write(lambda db: lanes.write(db, KEY, "submit", replace(lanes.lock(db, KEY, "submit"), rest_s=rest_s)))
        rows.now += timedelta(seconds=rest_s)
        return made

    @pytest.mark.parametrize("rest_s", [60, 900])
    def test_at_the_end_of_a_rest_one_that_is_due_goes_before_any_new_order(
        self, rows: Rows, resources: Resources, gateway: Accepts, rest_s: float
    ) -> None:
        made = self.use_up(rows, rest_s)
        new = rows.job(request=WANTS, start_by=NOW + DAY)
        submission.submit(new, resources)
        assert (gateway.sent, gateway.keys) == (1, [f"{made[0]}-1"])
        job = rows.case(new).job
        assert (job.state, job.waiting and job.waiting["code"]) == (State.QUEUED, "no_answer")
        assert lane(rows).rest_s == min(2 * rest_s, 900)
        rows.now += lane(rows).rests_s(rows.now) * SECOND
        submission.submit(new, resources)
        assert gateway.keys == [f"{made[0]}-1", f"{made[1]}-1"]

    def test_no_new_order_is_risked_in_hours_while_one_can_be_sent_again(
        self, rows: Rows, resources: Resources, gateway: Accepts
    ) -> None:
        made = self.use_up(rows)
        new = rows.job(request=WANTS, start_by=NOW + DAY)
        end = rows.now + 3 * HOUR
        while rows.now < end:
            submission.submit(new, resources)
            rows.now += max(lane(rows).rests_s(rows.now), 1) * SECOND
        assert set(gateway.keys) == {f"{job_id}-1" for job_id in made}
        assert len(gateway.keys) < 25

    def test_its_acceptance_ends_it_all(self, rows: Rows, resources: Resources, gateway: Accepts) -> None:
        made = self.use_up(rows)
        gateway.answer = gateway.taken
        new = [rows.job(request=WANTS, start_by=NOW + DAY) for _ in range(3)]
        for job_id in new:
            submission.submit(job_id, resources)
        assert rows.case(made[0]).job.state is State.GENERATING
        assert {rows.case(job_id).job.state for job_id in new} == {State.GENERATING}

    def test_its_refusal_lets_one_order_go_and_makes_the_lane_no_better(
        self, rows: Rows, resources: Resources, gateway: Accepts
    ) -> None:
        """What is refused may be the second try alone: as many answers are owed as before."""
        made = self.use_up(rows)
        refusals = iter([REFUSED])
        gateway.answer = lambda: next(refusals, Lost("the time was over"))
        new = [rows.job(request=WANTS, start_by=NOW + DAY) for _ in range(3)]
        for job_id in new:
            submission.submit(job_id, resources)
        assert rows.case(made[0]).job.state is State.UNCONFIRMED
        assert gateway.keys == [f"{made[0]}-1", f"{new[0]}-1"]
        assert lane(rows).rest_s == 120

    def test_where_none_is_due_a_question_is_asked(self, rows: Rows, resources: Resources, gateway: Accepts) -> None:
        self.use_up(rows)
        rows.write(lambda db: db.execute(sa.update(attempts).values(lost_at=rows.now)))
        new = rows.job(request=WANTS, start_by=NOW + DAY)
        submission.submit(new, resources)
        assert gateway.keys == [f"{new}-1"]

    @pytest.mark.parametrize("state", [{"cancel_requested_at": NOW}, {"set_aside_until": NOW + HOUR}])
    def test_one_that_nobody_may_send_holds_up_nothing(
        self, rows: Rows, resources: Resources, gateway: Accepts, state: dict[str, Any]
    ) -> None:
        self.use_up(rows)
        rows.write(lambda db: db.execute(sa.update(jobs).values(**state)))
        new = rows.job(request=WANTS, start_by=NOW + DAY)
        submission.submit(new, resources)
        assert gateway.keys == [f"{new}-1"]


def test_a_refused_one_leaves_its_order_among_the_lost(rows: Rows, resources: Resources, gateway: Accepts) -> None:
    resources.settings = replace(resources.settings, max_unconfirmed=2)
    made = [lost(rows) for _ in range(2)]
    rows.write(lambda db: lanes.rest(db, KEY, "submit", "no_answer", 60, now=rows.now))
    rows.write(lambda db: lanes.write(db, KEY, "submit", replace(lanes.lock(db, KEY, "submit"), rest_s=240)))
    gateway.answer = lambda: REFUSED
    rows.now += 2 * MINUTE
    reconciliation.reconcile(made[0], resources)
    assert (gateway.sent, lane(rows).reason, lane(rows).rest_s) == (1, "no_answer", 240)
