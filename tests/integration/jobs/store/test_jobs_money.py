"""Reservations, rests and sums, in a real database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa
from benches import Gateway, rung, worker
from rows import ACCOUNT, DAY, HOUR, MINUTE, NOW, SECOND, Rows

from jobs.machine.breaker import Kind, Lane, LaneName, Word
from jobs.machine.changes import AttemptChanges
from jobs.machine.outcome import Facts
from jobs.machine.rows import AttemptOutcome, Money, Origin, Standing
from jobs.machine.states import State
from jobs.providers.client import Account, Answered, NotSent
from jobs.providers.registry import Terms
from jobs.reports import costs
from jobs.steps import planning, submission
from jobs.steps.resources import Resources
from jobs.store import attempt_rows, hearing, lanes, late_facts, orders_out, spending
from jobs.store.database import Database
from jobs.store.tables import attempts, jobs

pytestmark = pytest.mark.both_databases

A, Z = AttemptOutcome, Standing
TODAY = "2026-03-04"
KEY = Account("evolink", "https://gateway", "sk-1")
PRICE = 0.72  # 5 s of 1080p at EvoLink
FINISHED: Any = {"outcome": A.FINISHED, "standing": Z.CHARGED, "link": "https://host/v"}


def with_terms(resources: Resources, **terms: Any) -> Resources:
    """The worker, under other terms of EvoLink's."""
    known = {**resources.settings.terms, "evolink": Terms(**terms)}
    return replace(resources, settings=replace(resources.settings, terms=known))


def spent(rows: Rows, day: str = TODAY) -> float:
    return rows.write(lambda db: spending.spent_usd(db, "evolink", day))


def resting(rows: Rows, name: LaneName = "submit", account: Account = KEY) -> tuple[str | None, float]:
    """Why a lane rests, and for how long yet."""
    lane = rows.write(lambda db: lanes.read(db, account, name))
    return lane.reason, lane.rests_s(rows.now)


def ask_for_rest(rows: Rows, reason: str, seconds: float) -> None:
    word = Word(Kind.ASKED_FOR_REST, "job", rows.now, "A", seconds, reason)
    rows.write(lambda db: hearing.hear(db, KEY, "submit", word, rows.core.settings, now=rows.now))


def refuse(status: int, kind: str, headers: dict[str, str] | None = None) -> Callable[[], Answered]:
    body = b'{"error": {"code": %d, "message": "no", "type": "%s"}}' % (status, kind.encode())
    return lambda: Answered(status, headers or {}, body)


class TestDailyBudget:
    def test_a_claim_counts_its_price_to_the_day(self, rows: Rows) -> None:
        submission.submit(rows.job(), worker(rows, Gateway()))
        assert spent(rows) == PRICE

    def test_a_job_that_would_pass_the_budget_waits_and_says_why(self, rows: Rows) -> None:
        gateway = Gateway()
        resources = with_terms(worker(rows, gateway), daily_usd=1.0)
        first, second = rows.job(), rows.job()
        submission.submit(first, resources)
        submission.submit(second, resources)
        job = rows.case(second).job
        assert (gateway.sent, job.state) == (1, State.QUEUED)
        assert job.waiting is not None
        assert (job.waiting["provider"], job.waiting["code"]) == ("evolink", "over_budget")
        assert job.alarm_at is not None
        assert SECOND < job.alarm_at - rows.now <= 15 * MINUTE
        assert [event for event, *_ in rows.history(second)] == ["created", "waiting"]

    def test_looking_again_for_the_same_reason_writes_no_second_line(self, rows: Rows) -> None:
        resources = with_terms(worker(rows, Gateway()), daily_usd=1.0)
        submission.submit(rows.job(), resources)
        waiting = rows.job()
        for _ in range(3):
            submission.submit(waiting, resources)
            rows.now += 20 * MINUTE
        assert [event for event, *_ in rows.history(waiting)] == ["created", "waiting"]

    def test_the_next_day_it_goes(self, rows: Rows) -> None:
        resources = with_terms(worker(rows, Gateway()), daily_usd=1.0)
        submission.submit(rows.job(), resources)
        waiting = rows.job(start_by=NOW + 3 * DAY)
        submission.submit(waiting, resources)
        rows.now += DAY
        submission.submit(waiting, resources)
        case = rows.case(waiting)
        assert (case.job.state, case.job.waiting) == (State.GENERATING, None)
        assert (spent(rows), spent(rows, "2026-03-05")) == (PRICE, PRICE)

    @pytest.mark.parametrize(
        "answer", [refuse(400, "invalid_request_error"), refuse(429, "rate_limit_error"), lambda: NotSent("no route")]
    )
    def test_an_order_that_was_not_taken_gives_its_price_back(self, rows: Rows, answer: Any) -> None:
        submission.submit(rows.job(), worker(rows, Gateway(answer)))
        assert spent(rows) == 0

    def test_a_worker_that_died_before_it_sent_gives_it_back(self, rows: Rows) -> None:
        resources = worker(rows, Gateway())
        job_id = rows.job()
        order = planning.plan(rows.case(job_id), resources)
        assert isinstance(order, planning.Plan)
        assert submission._claim(order, resources) is not None
        assert spent(rows) == PRICE
        rows.now += DAY / 24
        submission.lose(job_id, resources)
        assert rows.case(job_id).job.state is State.QUEUED
        assert spent(rows) == 0

    def test_a_refunded_failure_gives_it_back_and_a_video_after_all_takes_it_again(self, rows: Rows) -> None:
        job_id = rows.job()
        submission.submit(job_id, worker(rows, Gateway()))

        def bring(**changes: Any) -> None:
            rows.write(lambda db: late_facts.bring_facts(db, job_id, Facts({1: changes}), now=rows.now))

        bring(outcome=A.FAILED, standing=Z.REFUNDED)
        assert spent(rows) == 0
        bring(outcome=A.FINISHED, standing=Z.CHARGED, link="https://host/v")
        assert spent(rows) == PRICE

    def test_a_reported_cost_puts_the_reservation_right(self, rows: Rows) -> None:
        job_id = rows.job()
        submission.submit(job_id, worker(rows, Gateway()))
        said = {"outcome": A.FINISHED, "standing": Z.CHARGED, "reported_credits": 0.5, "reported_usd": 0.5}
        rows.write(lambda db: late_facts.bring_facts(db, job_id, Facts({1: said}), now=rows.now))
        assert spent(rows) == 0.5

    def test_a_lost_answer_keeps_its_price_reserved(self, rows: Rows) -> None:
        submission.submit(rows.job(), worker(rows, Gateway(lambda: Answered(502, {}, b"<html>"))))
        assert spent(rows) == PRICE

    def test_an_adopted_task_that_turns_out_to_be_anothers_is_reserved_for_again(self, rows: Rows) -> None:
        adopter, owner = rows.job(), rows.job(State.SUBMITTING)
        submission.submit(adopter, worker(rows, Gateway(lambda: Answered(502, {}, b"<html>"))))
        said = {"task_id": "t", "adopted": True, "outcome": A.FAILED, "standing": Z.REFUNDED}
        rows.write(lambda db: late_facts.bring_facts(db, adopter, Facts({1: said}), now=rows.now))
        assert spent(rows) == 0
        rows.attempt(owner, account=KEY.fingerprint)
        rows.write(lambda db: late_facts.bring_facts(db, owner, Facts({1: {"task_id": "t"}}), now=rows.now))
        assert rows.case(adopter).attempts[1].standing is Z.UNCERTAIN
        assert spent(rows) == PRICE

    def test_many_workers_at_once_do_not_pass_it(self, rows: Rows) -> None:
        gateway = Gateway()
        ids = [rows.job() for _ in range(12)]
        together = threading.Barrier(12)

        def order(job_id: str, name: str) -> None:
            resources = with_terms(worker(rows, gateway, name), daily_usd=3 * PRICE)
            together.wait(10)
            submission.submit(job_id, resources)

        threads = [threading.Thread(target=order, args=(one, f"w{n}")) for n, one in enumerate(ids)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert gateway.sent == 3
        assert spent(rows) == pytest.approx(3 * PRICE)
        assert sum(rows.case(one).job.state is State.GENERATING for one in ids) == 3


class TestMaxInFlight:
    def test_many_workers_at_once_do_not_pass_it(self, rows: Rows) -> None:
        gateway = Gateway()
        ids = [rows.job() for _ in range(10)]
        together = threading.Barrier(10)

        def order(job_id: str, name: str) -> None:
            resources = worker(rows, gateway, name)
            resources.settings = replace(resources.settings, max_in_flight=4)
            together.wait(10)
            submission.submit(job_id, resources)

        threads = [threading.Thread(target=order, args=(one, f"w{n}")) for n, one in enumerate(ids)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert gateway.sent == 4

    def test_a_full_gateway_makes_a_job_wait(self, rows: Rows) -> None:
        resources = worker(rows, Gateway())
        resources.settings = replace(resources.settings, max_in_flight=1)
        submission.submit(rows.job(), resources)
        second = rows.job()
        submission.submit(second, resources)
        job = rows.case(second).job
        assert job.waiting == {"provider": "evolink", "code": "full", "reason": "evolink has 1 in flight"}

    @pytest.mark.parametrize(
        ("columns", "counts"),
        [
            ({"accepted_at": NOW}, True),
            ({"lost_at": None}, True),  # being submitted
            ({"lost_at": NOW - HOUR + SECOND, "standing": Z.UNCERTAIN}, True),  # it may be running: nobody knows
            ({"lost_at": NOW - MINUTE, "standing": Z.UNCERTAIN, "outcome": A.EXPIRED}, True),
            ({"lost_at": NOW - HOUR, "standing": Z.UNCERTAIN}, False),
            ({"lost_at": NOW, "standing": Z.UNCERTAIN, "origin": "forgotten"}, False),
            ({"accepted_at": NOW, "origin": "forgotten"}, True),
            ({"accepted_at": NOW, "outcome": A.FINISHED}, False),
            ({"accepted_at": NOW, "account": "another"}, False),
            ({"accepted_at": NOW, "provider": "apiframe"}, False),
        ],
    )
    def test_what_is_in_flight(self, rows: Rows, columns: dict[str, Any], counts: bool) -> None:
        rows.attempt(rows.job(State.GENERATING), **columns)
        known = Account("evolink", "https://gateway", "sk-1")
        assert known.fingerprint != ACCOUNT
        rows.write(
            lambda db: db.execute(
                sa.update(attempts).where(attempts.c.account == ACCOUNT).values(account=known.fingerprint)
            )
        )
        out = rows.write(lambda db: orders_out.out(db, known, Lane(), rows.core.settings, now=rows.now))
        assert out.in_flight == int(counts)


class TestPauses:
    @pytest.mark.parametrize(
        ("answer", "reason", "seconds"),
        [
            (refuse(429, "rate_limit_error", {"Retry-After": "42"}), "rate_limited", 42),
            (refuse(429, "rate_limit_error"), "rate_limited", 60),
            (refuse(402, "insufficient_quota_error"), "insufficient_credits", 900),
            (refuse(401, "authentication_error"), "unauthorized", 300),
        ],
    )
    def test_a_refusal_about_the_key_lets_it_rest(self, rows: Rows, answer: Any, reason: str, seconds: float) -> None:
        gateway = Gateway(answer)
        resources = worker(rows, gateway)
        first, second = rows.job(), rows.job()
        submission.submit(first, resources)
        assert resting(rows) == (reason, seconds)
        submission.submit(second, resources)
        assert gateway.sent == 1
        waiting = rows.case(second).job.waiting
        assert waiting is not None
        assert (waiting["provider"], waiting["code"]) == ("evolink", reason)
        assert resting(rows, "query") == (None, 0)

    def test_a_refusal_about_the_request_pauses_nothing(self, rows: Rows) -> None:
        submission.submit(rows.job(), worker(rows, Gateway(refuse(400, "invalid_request_error"))))
        assert resting(rows) == (None, 0)

    def test_a_longer_rest_is_not_shortened_and_a_longer_one_counts(self, rows: Rows) -> None:
        for seconds, reason, kept in ((100, "a", 100), (30, "b", 100), (200, "c", 200), (5000, "d", 900)):
            ask_for_rest(rows, reason, seconds)
            assert resting(rows)[1] == kept

    def test_a_rest_ends(self, rows: Rows) -> None:
        ask_for_rest(rows, "rate_limited", 10)
        rows.now += 10 * SECOND
        assert resting(rows)[1] == 0

    def test_another_key_of_the_same_gateway_is_not_concerned(self, rows: Rows) -> None:
        ask_for_rest(rows, "unauthorized", 300)
        assert resting(rows, account=Account("evolink", "https://gateway", "sk-2")) == (None, 0)


class TestCosts:
    def test_the_sums_are_by_gateway_day_and_what_became_of_the_money(self, rows: Rows) -> None:
        done, dead, running = rows.job(State.ARCHIVED), rows.job(State.FAILED), rows.job(State.GENERATING)
        usd = {"estimated_usd": 1.0, "estimated_credits": 10.0}
        rows.attempt(
            done, 1, standing=Z.CHARGED, outcome=A.DELIVERED, **{**usd, "reported_usd": 1.5, "reported_credits": 15.0}
        )
        rows.attempt(done, 2, standing=Z.CHARGED, outcome=A.FINISHED, **usd)
        rows.attempt(dead, 1, standing=Z.UNCERTAIN, outcome=A.EXPIRED, **usd)
        rows.attempt(dead, 2, standing=Z.NONE, outcome=A.REFUSED, **usd)
        rows.attempt(running, 1, standing=Z.HELD, **usd)
        rows.attempt(running, 2, standing=Z.REFUNDED, outcome=A.FAILED, day="2026-03-03", provider="gravitex")
        found = self.sums(rows)
        assert found == [
            costs.Sum({"day": TODAY, "provider": "evolink"}, "charged", 1, 1.5, 0, 15.0),
            costs.Sum({"day": TODAY, "provider": "evolink"}, "held", 1, 1.0, 0, 10.0),
            costs.Sum({"day": TODAY, "provider": "evolink"}, "paid_not_delivered", 1, 1.0, 0, 10.0),
            costs.Sum({"day": TODAY, "provider": "evolink"}, "uncertain", 1, 1.0, 0, 10.0),
            costs.Sum({"day": "2026-03-03", "provider": "gravitex"}, "refunded", 1, 0.0, 1, 0.0),
        ]

    def test_a_finished_video_that_is_still_being_copied_is_simply_charged(self, rows: Rows) -> None:
        rows.attempt(rows.job(State.ARCHIVING), 1, standing=Z.CHARGED, outcome=A.FINISHED)
        assert [one.line for one in self.sums(rows)] == ["charged"]

    def test_days_and_gateways_can_be_chosen(self, rows: Rows) -> None:
        job_id = rows.job(State.ARCHIVED)
        for number, day in enumerate(("2026-03-02", "2026-03-03", "2026-03-04"), 1):
            rows.attempt(job_id, number, standing=Z.CHARGED, outcome=A.DELIVERED, day=day)
        assert [one.day for one in self.sums(rows, "2026-03-02", "2026-03-03")] == ["2026-03-03", "2026-03-02"]
        assert self.sums(rows, provider="apiframe") == []

    def sums(self, rows: Rows, since: str = "2026-01-01", until: str = "2026-12-31", **more: Any) -> list[costs.Sum]:
        return rows.write(lambda db: costs.sums(db, since=since, until=until, **more))


def test_the_day_of_an_order_is_utcs(rows: Rows, database: Database) -> None:
    rows.now = NOW.replace(hour=23, minute=59)
    job_id = rows.job()
    submission.submit(job_id, worker(rows, Gateway()))
    assert rows.case(job_id).attempts[1].day == TODAY
    with database.read() as db:
        assert db.execute(sa.select(jobs.c.state).where(jobs.c.id == job_id)).scalar_one() == State.GENERATING
    assert rung(worker(rows, Gateway())) == []


class TestAbsurdCosts:
    def finish(self, rows: Rows, **reported: Any) -> str:
        job_id = rows.job()
        submission.submit(job_id, worker(rows, Gateway()))
        rows.write(lambda db: attempt_rows.change_attempt(db, job_id, 1, FINISHED | reported, rows.now))
        return job_id

    @pytest.mark.parametrize("usd", [10.001 * PRICE, 2e7, 9.4e12, 2e302, 1e308])
    def test_one_of_more_than_ten_times_the_estimate_is_kept_and_the_estimate_counts(
        self, rows: Rows, usd: float
    ) -> None:
        job_id = self.finish(rows, reported_usd=usd, reported_credits=usd)
        made = rows.case(job_id).attempts[1]
        assert (made.reported_usd, made.reported_credits, made.money.is_doubted) == (usd, usd, True)
        assert spent(rows) == PRICE
        [line] = rows.write(lambda db: costs.sums(db, since=TODAY, until=TODAY))
        assert (line.usd, line.credits) == (PRICE, PRICE)

    def test_one_of_ten_times_the_estimate_counts(self, rows: Rows) -> None:
        self.finish(rows, reported_usd=10 * PRICE, reported_credits=10 * PRICE)
        assert spent(rows) == 7.2

    def test_one_in_credits_of_no_known_worth_is_measured_by_credits(self, rows: Rows) -> None:
        job_id = self.finish(rows, reported_usd=None, reported_credits=1e308)
        assert rows.case(job_id).attempts[1].money.is_doubted
        [line] = rows.write(lambda db: costs.sums(db, since=TODAY, until=TODAY))
        assert (line.usd, line.credits) == (PRICE, PRICE)

    def test_a_person_lets_it_count(self, rows: Rows) -> None:
        job_id, settled = self.finish(rows, reported_usd=1000.0), AttemptChanges(settled="charged")
        rows.write(lambda db: attempt_rows.change_attempt(db, job_id, 1, settled, rows.now))
        assert spent(rows) == 1000
        [line] = rows.write(lambda db: costs.sums(db, since=TODAY, until=TODAY))
        assert line.usd == 1000

    def test_a_new_word_of_the_gateways_about_the_money_puts_it_in_doubt_again(self, rows: Rows) -> None:
        job_id = self.finish(rows, reported_usd=1000.0, settled="charged")
        anew = AttemptChanges(standing=Z.CHARGED)
        rows.write(lambda db: attempt_rows.change_attempt(db, job_id, 1, anew, rows.now))
        attempt = rows.case(job_id).attempts[1]
        assert (attempt.settled, attempt.money.is_doubted) == (None, True)
        assert spent(rows) == PRICE

    def test_what_no_column_could_hold_is_counted_as_the_most_that_one_can(self, rows: Rows) -> None:
        for _ in range(3):
            self.finish(rows, reported_usd=1e308, reported_credits=1e308, settled="charged")
        assert spent(rows) == 3e9
        [line] = rows.write(lambda db: costs.sums(db, since=TODAY, until=TODAY))
        assert (line.usd, line.credits) == (3e9, 3e15)

    def test_what_an_order_counts_for_is_the_same_in_python_and_in_sql(self, rows: Rows) -> None:
        figures = [None, 0.0, 0.5, 5.0, 5.1, 1e6]
        drawn = product([None, "charged", "not_charged"], figures, figures, figures, figures)
        kept = [Money(Z.CHARGED, *row) for row in drawn][::5]
        job_id = rows.job()
        with rows.database.write() as db:
            base = attempt_rows.new_row(
                job_id, 0, "evolink", Origin.ORDERED, base_url="x", account="x", with_callback=False, created_at=NOW
            )
            db.execute(sa.insert(attempts), [{**base, "number": n, **m._asdict()} for n, m in enumerate(kept)])
            counted = sa.select(spending.counted("usd")).order_by(attempts.c.number)
            assert list(db.execute(counted).scalars()) == [money.usd for money in kept]
