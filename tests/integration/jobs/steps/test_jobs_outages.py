"""A gateway that is ill, as the orders of many jobs meet it: what is risked, who tries it again, when all may go."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
import sqlalchemy as sa
import structlog
from benches import Gateway, worker
from rows import DAY, HOUR, MINUTE, NOW, SECOND, Rows
from structlog.testing import LogCapture

from jobs.machine import breaker
from jobs.machine.breaker import Lane
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.machine.times import iso_s
from jobs.providers.client import Account, Answered, Lost, NotSent
from jobs.settings import Settings
from jobs.steps import health, planning, submission
from jobs.steps.health import NO_TASK
from jobs.steps.resources import Resources
from jobs.store import lanes, orders_out, spending, waiting_jobs
from jobs.store.step_table import OF_JOBS
from jobs.store.tables import attempts
from jobs.worker import dispatch
from jobs.worker.sweep import Sweeper

KEY = Account("evolink", "https://gateway", "sk-1")
BAD_GATEWAY = Answered(502, {}, b"<html>502 Bad Gateway</html>")
REFUSED = Answered(400, {}, b'{"error": {"code": 400, "message": "no", "type": "invalid_request_error"}}')
NOT_FOUND = Answered(404, {}, b'{"error": {"message": "Task not found"}}')
PROXYS_PAGE = Answered(404, {}, b"<html>404</html>")
PROXYS_JSON = Answered(404, {}, b'{"message": "no Route matched with those values"}')
MAINTENANCE = Answered(200, {}, b'{"message": "We are back soon"}')
MAINTENANCE_STATUS = Answered(200, {}, b'{"status": "maintenance"}')
OF_NO_TASK = Answered(200, {}, b'{"id": "%s", "status": "processing"}' % NO_TASK.encode())
OF_ANOTHER = Answered(200, {}, b'{"id": "task-of-another", "status": "processing"}')


class IllGateway(Gateway):
    """Answers orders and questions as it is told to, and counts both."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.orders: Any = BAD_GATEWAY  # None: accepted
        self.questions: Any = Lost("no whole answer")
        super().__init__(lambda: self.accept() if self.orders is None else self.orders)

    def ask(self, provider: Any, account: Any, request: Any, **_: Any) -> Any:
        self.asked.append(request.path)
        return self.questions


@pytest.fixture
def gateway() -> IllGateway:
    return IllGateway()


@pytest.fixture
def resources(rows: Rows, gateway: IllGateway) -> Resources:
    return worker(rows, gateway)


def lane(rows: Rows) -> Lane:
    return rows.write(lambda db: lanes.read(db, KEY, "submit"))


def submit(rows: Rows, resources: Resources, count: int = 1) -> list[str]:
    """So many new jobs, one after the other: their ids."""
    made = [rows.job(start_by=NOW + 30 * DAY) for _ in range(count)]
    for job_id in made:
        submission.submit(job_id, resources)
    return made


def pass_rest(rows: Rows) -> None:
    rows.now += lane(rows).rests_s(rows.now) * SECOND


def use_up(rows: Rows, resources: Resources, gateway: IllGateway) -> None:
    """Five lost orders, one rest after the other, at a gateway that answers questions meanwhile."""
    gateway.orders = BAD_GATEWAY
    while len(lost(rows)) < 5:
        submit(rows, resources)
        pass_rest(rows)
    gateway.sent, gateway.asked = 0, []


def lost(rows: Rows) -> list[Any]:
    return rows.write(lambda db: db.execute(sa.select(attempts).where(attempts.c.lost_at.is_not(None))).all())


def waits(rows: Rows, job_id: str) -> Any:
    job = rows.case(job_id).job
    assert job.state is State.QUEUED
    return job.waiting


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (BAD_GATEWAY, "no_answer"),
        (Answered(503, {}, b""), "no_answer"),
        (Answered(200, {}, b"not json"), "no_answer"),
        (Lost("the time was over"), "no_answer"),
        (NotSent("ConnectionRefusedError: Connection refused"), "unreachable"),
    ],
)
def test_two_orders_are_risked_and_the_others_wait_with_a_true_reason(
    rows: Rows, resources: Resources, gateway: IllGateway, answer: Any, code: str
) -> None:
    gateway.orders = answer
    made = submit(rows, resources, 10)
    assert gateway.sent == 2
    for job_id in made[2:]:
        said = waits(rows, job_id)
        assert (said["provider"], said["code"]) == ("evolink", code)
        assert "2026-03-04T12:00:15Z" in said["reason"]
        assert rows.case(job_id).job.alarm_at == NOW + 15 * SECOND


def test_in_one_turn_an_order_that_was_not_sent_is_given_up_and_claimed_elsewhere(
    rows: Rows, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both in one transaction: whoever looks sees its price reserved at one of the two gateways, and never at none."""
    sums: list[tuple[int, int]] = []
    real = spending.reserve

    class Chooses(Gateway):
        def send(self, provider: Any, *_: Any, **__: Any) -> Any:
            return NotSent("ConnectionRefusedError") if provider.name == "evolink" else super().send()

        def accept(self) -> Answered:
            return Answered(200, {}, b'{"id": "task-1", "task_id": "task-1", "status": "queued"}')

    def reserve(db: Any, name: str, *more: Any) -> bool:
        reserved = real(db, name, *more)
        with rows.database.read() as outside:
            sums.append(tuple(_reserved(outside, each) for each in ("evolink", "easyrouter")))  # type: ignore[arg-type]
        return reserved

    resources.client = cast(Any, Chooses())
    resources.settings = with_easyrouter(resources.settings)
    job_id = rows.job(request={"prompt": "A fox", "provider": ["evolink", "easyrouter"]})
    monkeypatch.setattr(spending, "reserve", reserve)
    submission.submit(job_id, resources)
    case = rows.case(job_id)
    assert (case.job.state, case.job.attempt, case.job.provider) == (State.GENERATING, 2, "easyrouter")
    # Seen from outside, just before the second claim's commit: the first gateway's reservation still stands.
    assert sums == [(0, 0), (720_000, 0)]
    with rows.database.read() as db:
        assert _reserved(db, "evolink") == 0
        assert _reserved(db, "easyrouter") > 0


@pytest.mark.parametrize(
    ("answer", "every_s"),
    [
        (BAD_GATEWAY, 60),
        (Answered(503, {"Retry-After": "30"}, b""), 30),
        (Answered(503, {"Retry-After": "1"}, b""), 5),  # as often as the sweep looks
        (NotSent("ConnectionRefusedError: Connection refused"), 60),
    ],
)
def test_an_outage_of_ten_minutes_costs_ten_minutes(
    rows: Rows, resources: Resources, gateway: IllGateway, answer: Any, every_s: int
) -> None:
    """Rests double, so that the last would end six minutes later; that the gateway answers again is seen before."""
    gateway.orders = gateway.questions = answer
    made = [rows.job(start_by=NOW + 30 * DAY) for _ in range(12)]
    run_for(rows, resources, 10 * MINUTE)
    risked = gateway.sent
    assert risked <= 5 if isinstance(answer, Answered) else risked < 20
    assert len(gateway.asked) <= 600 / every_s
    gateway.orders, gateway.questions = None, NOT_FOUND
    run_for(rows, resources, 75 * SECOND)
    assert gateway.sent == risked + len([job_id for job_id in made if rows.case(job_id).attempts[1].lost_at is None])


def test_without_a_broker_silent_gateways_are_asked_as_well(
    rows: Rows, resources: Resources, gateway: IllGateway
) -> None:
    """As `rushes sweep --once` does, by cron."""
    silent = Lane().rest(breaker.UNREACHABLE, 900, NOW).silent(NOW)
    rows.write(lambda db: (lanes.lock(db, KEY, "submit"), lanes.write(db, KEY, "submit", silent)))
    (job_id,) = submit(rows, resources)
    assert rows.case(job_id).job.alarm_at == NOW + 900 * SECOND
    gateway.orders, gateway.questions = None, NOT_FOUND
    rows.now += MINUTE
    dispatch.run_in_place(resources, OF_JOBS)
    assert (len(gateway.asked), rows.case(job_id).job.state) == (1, State.GENERATING)


def test_where_questions_are_answered_and_orders_are_lost_a_rest_takes_its_time(
    rows: Rows, resources: Resources, gateway: IllGateway
) -> None:
    use_up(rows, resources, gateway)
    gateway.questions = NOT_FOUND
    [rows.job(start_by=NOW + 30 * DAY) for _ in range(3)]
    before = lane(rows).rest_s
    run_for(rows, resources, 40 * MINUTE)
    assert before >= 60
    assert gateway.sent <= 4


def run_for(rows: Rows, resources: Resources, time: timedelta) -> None:
    """The sweep every five seconds, and whatever it rings for."""
    bells = cast(Any, resources.ringer)
    end = rows.now + time
    while rows.now < end:
        Sweeper(resources).once()
        while bells.rung:
            step, job_id = bells.rung.pop(0)
            if step == "jobs.submit":
                submission.submit(job_id, resources)
        rows.now += 5 * SECOND


def test_one_job_alone_lets_nothing_rest(rows: Rows, resources: Resources, gateway: IllGateway) -> None:
    gateway.orders = NotSent("no route")
    (job_id,) = submit(rows, resources)
    for _ in range(5):
        rows.now += HOUR
        submission.submit(job_id, resources)
    assert gateway.sent == 6
    assert lane(rows).is_well


@pytest.mark.parametrize("reason", ["the process slept", "Cannot start a thread"])
def test_a_trouble_of_this_machine_lets_nothing_rest_and_is_told(
    rows: Rows, resources: Resources, gateway: IllGateway, reason: str
) -> None:
    gateway.orders = NotSent(reason, ours=True)
    made = submit(rows, resources, 4)
    assert gateway.sent == 4
    assert lane(rows).is_well
    assert all(reason in waits(rows, job_id)["reason"] for job_id in made)


def test_after_the_rest_one_order_tries_it_and_with_its_acceptance_all_go(
    rows: Rows, resources: Resources, gateway: IllGateway
) -> None:
    made = submit(rows, resources, 6)
    pass_rest(rows)
    gateway.orders = None
    probe = planning.plan(rows.case(made[2]), resources)
    assert isinstance(probe, planning.Plan)
    lease = submission._claim(probe, resources)
    assert lease is not None
    submission.submit(made[3], resources)
    assert "one order tries it now" in waits(rows, made[3])["reason"]
    assert gateway.sent == 2
    submission._send(lease, probe, resources)
    rows.now += 6 * SECOND
    for job_id in made[3:]:
        submission.submit(job_id, resources)
    assert gateway.sent == 2 + 4
    assert lane(rows) == Lane(accepted_at=lane(rows).accepted_at)


def test_a_gateway_that_is_well_again_wakes_those_who_wait_for_it(
    rows: Rows, resources: Resources, gateway: IllGateway
) -> None:
    made = submit(rows, resources, 3)
    behind, elsewhere = (
        rows.job(alarm_at=NOW + HOUR, waiting={"provider": name, "code": "no_answer", "reason": "it rests"})
        for name in ("evolink", "easyrouter")
    )
    pass_rest(rows)
    gateway.orders = None
    before = rows.case(behind).job.version
    submission.submit(made[2], resources)
    assert (rows.case(behind).job.alarm_at, rows.case(behind).job.version) == (rows.now, before + 1)
    assert rows.case(elsewhere).job.alarm_at == NOW + HOUR


def test_a_prober_that_dies_keeps_the_others_waiting_for_its_lease_alone(
    rows: Rows, resources: Resources, gateway: IllGateway
) -> None:
    made = submit(rows, resources, 4)
    pass_rest(rows)
    gateway.orders = None
    probe = planning.plan(rows.case(made[2]), resources)
    assert isinstance(probe, planning.Plan)
    assert submission._claim(probe, resources) is not None
    rows.now += timedelta(seconds=resources.settings.submit_lease_s)
    submission.submit(made[3], resources)
    assert rows.case(made[3]).job.state is State.GENERATING


def test_no_more_than_five_orders_are_on_their_way_without_an_answer(rows: Rows, resources: Resources) -> None:
    made = [rows.job() for _ in range(6)]
    for job_id in made[:5]:
        assert submission._claim(_planned(rows, job_id, resources), resources) is not None
    submission.submit(made[5], resources)
    assert waits(rows, made[5])["code"] == "slow"
    assert rows.case(made[5]).job.alarm_at == NOW + 5 * SECOND


@pytest.mark.timeout(60)
def test_claims_at_once_on_both_sides_of_midnight_see_each_other(rows: Rows, resources: Resources) -> None:
    """The day's row of the budget is another one on each side; the lane's row is not."""
    resources.settings = replace(resources.settings, max_unconfirmed=3)
    plans = [_planned(rows, rows.job(), resources) for _ in range(12)]
    rows.write(lambda db: lanes.lock(db, KEY, "submit"))  # the row is there: to make it would lock it as well
    midnight = NOW.replace(hour=0) + DAY
    own = threading.local()
    rows.database.clock = lambda db: own.now  # type: ignore[method-assign]
    claimed: list[bool] = []
    together = threading.Barrier(len(plans))

    def claim(number: int, plan: planning.Plan) -> None:
        own.now = midnight + (number % 2 - 1) * SECOND
        together.wait()
        try:
            claimed.append(submission._claim(plan, resources) is not None)
        except submission._Hindered:
            claimed.append(False)

    threads = [threading.Thread(target=claim, args=each) for each in enumerate(plans)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(claimed), sum(claimed)) == (12, 3)


def test_orders_lost_before_the_last_acceptance_take_room_for_an_hour_and_block_nothing(
    rows: Rows, resources: Resources, gateway: IllGateway
) -> None:
    resources.settings = replace(resources.settings, max_in_flight=50)
    for _ in range(20):  # every third answer is lost
        gateway.orders = None
        submit(rows, resources, 2)
        gateway.orders = BAD_GATEWAY
        submit(rows, resources)
        rows.now += SECOND
    assert len(lost(rows)) > 5
    stands = lane(rows)
    out, later = (
        rows.write(lambda db, now=now: orders_out.out(db, KEY, stands, resources.settings, now=now))  # type: ignore[misc]
        for now in (rows.now, rows.now + HOUR)
    )
    assert out.in_flight >= len(lost(rows))
    assert later.in_flight == out.in_flight - len(lost(rows))


def test_orders_that_a_backup_only_suspects_are_not_counted(rows: Rows, resources: Resources) -> None:
    for _ in range(8):
        rows.attempt(
            rows.job(State.UNCONFIRMED), origin="forgotten", lost_at=NOW, account=KEY.fingerprint, standing="uncertain"
        )
    (job_id,) = submit(rows, worker(rows, Gateway()))
    assert rows.case(job_id).job.state is State.GENERATING


class TestTheBoundUsedUp:
    def test_a_question_that_costs_nothing_is_asked_and_without_its_answer_no_order_goes(
        self, rows: Rows, resources: Resources, gateway: IllGateway
    ) -> None:
        use_up(rows, resources, gateway)
        for _ in range(3):
            before = lane(rows).rest_s
            submit(rows, resources, 3)
            assert lane(rows).rest_s == min(2 * before, breaker.LONGEST_REST_S)
            pass_rest(rows)
        assert (gateway.sent, len(gateway.asked)) == (0, 3)

    @pytest.mark.parametrize("answer", [NOT_FOUND, OF_NO_TASK])
    def test_with_its_answer_one_order_goes_and_its_loss_is_the_end_of_it(
        self, rows: Rows, resources: Resources, gateway: IllGateway, answer: Answered
    ) -> None:
        use_up(rows, resources, gateway)
        gateway.questions = answer
        submit(rows, resources, 4)
        assert (gateway.sent, len(gateway.asked)) == (1, 1)
        pass_rest(rows)
        submit(rows, resources, 4)
        assert (gateway.sent, len(gateway.asked)) == (2, 2)

    @pytest.mark.parametrize(
        "answer",
        [
            BAD_GATEWAY,
            PROXYS_PAGE,
            PROXYS_JSON,
            MAINTENANCE,
            MAINTENANCE_STATUS,
            OF_ANOTHER,
            NotSent("no route"),
            Lost("the time was over"),
        ],
    )
    def test_a_proxys_page_is_no_answer(
        self, rows: Rows, resources: Resources, gateway: IllGateway, answer: Any
    ) -> None:
        use_up(rows, resources, gateway)
        gateway.questions = answer
        submit(rows, resources, 4)
        assert gateway.sent == 0

    def test_its_answer_wakes_those_who_wait_as_the_one_that_asked_may_be_cancelled(
        self, rows: Rows, resources: Resources, gateway: IllGateway
    ) -> None:
        use_up(rows, resources, gateway)
        said = {"provider": "evolink", "code": "no_answer", "reason": "it rests"}
        behind = rows.job(alarm_at=rows.now + HOUR, waiting=said)
        gateway.questions = NOT_FOUND
        assert health.ask_for_free(KEY, resources)
        assert rows.case(behind).job.alarm_at == rows.now

    def test_an_acceptance_ends_it_all(self, rows: Rows, resources: Resources, gateway: IllGateway) -> None:
        use_up(rows, resources, gateway)
        gateway.orders, gateway.questions = None, NOT_FOUND
        made = submit(rows, resources, 10)
        assert {rows.case(job_id).job.state for job_id in made} == {State.GENERATING}

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (Answered(401, {}, REFUSED.body), "unauthorized"),
            (Answered(403, {}, REFUSED.body), "unauthorized"),
            (Answered(429, {}, REFUSED.body), "rate_limited"),
            (Answered(429, {"Retry-After": "5"}, REFUSED.body), "rate_limited"),
        ],
    )
    def test_a_key_that_may_not_ask_rests_for_that_and_after_the_longest_rest_an_order_tries(
        self, rows: Rows, resources: Resources, gateway: IllGateway, answer: Any, reason: str
    ) -> None:
        use_up(rows, resources, gateway)
        gateway.orders, gateway.questions = None, answer
        begun = rows.now
        submit(rows, resources)
        assert lane(rows).reason == reason
        end = rows.now + 3 * HOUR
        while not gateway.sent and rows.now < end:
            pass_rest(rows)
            submit(rows, resources)
        assert gateway.sent == 1
        assert len(gateway.asked) < 20
        assert rows.now - begun >= breaker.LONGEST_REST_S * SECOND

    def test_the_refusal_of_a_probe_below_the_bound_makes_the_lane_well(
        self, rows: Rows, resources: Resources, gateway: IllGateway
    ) -> None:
        """Four are owed, and the one that was refused is none of them."""
        gateway.orders = BAD_GATEWAY
        while len(lost(rows)) < 4:
            submit(rows, resources)
            pass_rest(rows)
        gateway.orders = REFUSED
        submit(rows, resources)
        assert lane(rows).is_well

    def test_a_refusal_shows_life_and_frees_no_more_than_one_order_a_rest(
        self, rows: Rows, resources: Resources, gateway: IllGateway
    ) -> None:
        use_up(rows, resources, gateway)
        gateway.orders, gateway.questions = REFUSED, NOT_FOUND
        submit(rows, resources, 4)
        assert gateway.sent == 1
        pass_rest(rows)
        submit(rows, resources, 4)
        assert gateway.sent == 2

    def test_once_the_rest_is_the_longest_one_order_goes_unasked(
        self, rows: Rows, resources: Resources, gateway: IllGateway
    ) -> None:
        use_up(rows, resources, gateway)
        while lane(rows).rest_s < breaker.LONGEST_REST_S:
            submit(rows, resources)
            pass_rest(rows)
        assert gateway.sent == 0
        submit(rows, resources, 3)
        assert gateway.sent == 1

    @pytest.mark.parametrize("longest", [False, True])
    def test_a_worker_that_dies_at_the_one_order_more_is_followed_by_none_before_the_next_rest_is_over(
        self, rows: Rows, resources: Resources, gateway: IllGateway, longest: bool
    ) -> None:
        use_up(rows, resources, gateway)
        while longest and lane(rows).rest_s < breaker.LONGEST_REST_S:
            submit(rows, resources)
            pass_rest(rows)
        gateway.questions = NOT_FOUND
        job_id = rows.job(start_by=NOW + 30 * DAY)
        assert submission._claim(_planned(rows, job_id, resources), resources) is not None
        (behind,) = submit(rows, resources)
        assert "one order tries it now" in waits(rows, behind)["reason"]
        rows.now += timedelta(seconds=resources.settings.submit_lease_s)
        submission.lose(job_id, resources)
        asked = len(gateway.asked)
        submit(rows, resources, 4)
        assert (gateway.sent, len(gateway.asked)) == (0, asked)
        pass_rest(rows)
        submit(rows, resources, 4)
        assert gateway.sent == 1

    def test_the_log_tells_of_the_answer_and_of_the_rest_that_one_order_more_begins(
        self, rows: Rows, resources: Resources, gateway: IllGateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_up(rows, resources, gateway)
        heard = LogCapture()
        monkeypatch.setattr(lanes, "log", structlog.wrap_logger(structlog.PrintLogger(), processors=[heard]))
        gateway.questions = NOT_FOUND
        began, since = rows.now, lane(rows).since
        submit(rows, resources)
        told = [(line["event"], line.get("reason"), line.get("since")) for line in heard.entries]
        assert since is not None
        assert began > since
        assert told[:2] == [("lane_answers", None, None), ("lane_rests", "unconfirmed", iso_s(since))]

    def test_the_question_is_about_a_task_that_the_key_has(
        self, rows: Rows, resources: Resources, gateway: IllGateway
    ) -> None:
        gateway.orders = None
        submit(rows, resources)
        rows.now += SECOND
        use_up(rows, resources, gateway)
        submit(rows, resources)
        assert [path.rpartition("/")[2] for path in gateway.asked] == ["task-1"]

    def test_the_end_of_a_wait_is_no_knowledge_and_a_persons_word_is(
        self, rows: Rows, resources: Resources, gateway: IllGateway
    ) -> None:
        """Where no callback can come an order is waited for a quarter of an hour; an outage may take the whole day."""
        use_up(rows, resources, gateway)
        of_all = sa.update(attempts).where(attempts.c.lost_at.is_not(None))
        rows.write(lambda db: db.execute(of_all.values(outcome=AttemptOutcome.EXPIRED)))
        submit(rows, resources, 4)
        assert gateway.sent == 0
        pass_rest(rows)
        rows.write(lambda db: db.execute(of_all.values(outcome=AttemptOutcome.NOT_MADE, standing=Standing.NONE)))
        gateway.orders = None
        (job_id,) = submit(rows, resources)
        assert rows.case(job_id).job.state is State.GENERATING

    def test_their_money_stays_in_the_days_budget(self, rows: Rows, resources: Resources, gateway: IllGateway) -> None:
        use_up(rows, resources, gateway)
        assert {row.standing for row in lost(rows)} == {Standing.UNCERTAIN}
        assert sum(row.reserved_micro_usd for row in lost(rows)) == 5 * 720_000

    def test_workers_that_died_at_it_are_asked_about_as_well(
        self, rows: Rows, resources: Resources, gateway: IllGateway
    ) -> None:
        """Nobody heard an answer, so the lane is well; the bound is used up all the same, and there is a way out."""
        for _ in range(5):
            rows.attempt(rows.job(State.UNCONFIRMED), lost_at=NOW, account=KEY.fingerprint, standing="uncertain")
        submit(rows, resources, 2)
        assert (gateway.sent, len(gateway.asked)) == (0, 1)
        pass_rest(rows)
        gateway.questions, gateway.orders = NOT_FOUND, None
        (job_id,) = submit(rows, resources)
        assert rows.case(job_id).job.state is State.GENERATING

    @pytest.mark.parametrize("out", ["on_way", "asking"])
    def test_while_one_is_on_its_way_or_asks_nobody_else_does(
        self, rows: Rows, resources: Resources, gateway: IllGateway, out: str
    ) -> None:
        for number in range(5):
            lost: dict[str, Any] = {"lost_at": NOW, "standing": "uncertain"}
            answered = {} if number == 0 and out == "on_way" else lost
            rows.attempt(rows.job(State.UNCONFIRMED), account=KEY.fingerprint, **answered)
        if out == "asking":
            rows.write(
                lambda db: lanes.write(db, KEY, "submit", lanes.lock(db, KEY, "submit").probe("X", NOW, for_s=9))
            )
        submit(rows, resources)
        assert (gateway.sent, gateway.asked) == (0, [])


def test_a_person_lets_a_gateway_rest_and_ends_its_rest(rows: Rows, resources: Resources, gateway: IllGateway) -> None:
    rows.write(lambda db: lanes.rest(db, KEY, "submit", breaker.BY_HAND, 3600, now=NOW))
    gateway.orders = None
    (job_id,) = submit(rows, resources)
    assert waits(rows, job_id)["code"] == "by_hand"
    rows.now += MINUTE
    rows.write(lambda db: (lanes.resume(db, KEY), waiting_jobs.wake_waiting(db, "evolink", now=rows.now)))
    submission.submit(job_id, resources)
    assert rows.case(job_id).job.state is State.GENERATING


def with_easyrouter(settings: Settings) -> Settings:
    accounts = {**settings.accounts, "easyrouter": Account("easyrouter", "https://other", "sk-1")}
    return replace(settings, accounts=accounts)


def _reserved(db: Any, provider: str) -> int:
    return spending.micro(spending.spent_usd(db, provider, spending.day_of(NOW)))


def _planned(rows: Rows, job_id: str, resources: Resources) -> planning.Plan:
    found = planning.plan(rows.case(job_id), resources)
    assert isinstance(found, planning.Plan)
    return found
