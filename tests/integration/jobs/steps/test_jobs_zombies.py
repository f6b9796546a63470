"""Workers that sleep past their lease and wake, at the moments that matter; on both databases."""

from __future__ import annotations

import threading
from itertools import chain, repeat

import pytest
from benches import Gateway, rung, worker
from rows import MINUTE, Rows

from jobs.machine.outcome import Facts
from jobs.machine.rows import AttemptOutcome
from jobs.machine.states import State
from jobs.providers.client import Answered, Lost, NotSent
from jobs.steps import submission
from jobs.steps.step import conclude
from jobs.store import leases

pytestmark = pytest.mark.both_databases


@pytest.fixture
def job_id(rows: Rows) -> str:
    return rows.job()


def test_a_submit_that_is_accepted_generates(rows: Rows, job_id: str) -> None:
    gateway = Gateway()
    submission.submit(job_id, worker(rows, gateway))
    case = rows.case(job_id)
    assert (case.job.state, case.attempts[1].task_id, gateway.sent) == (State.GENERATING, "task-1", 1)


def test_a_worker_that_sleeps_before_it_sends_says_nothing_of_the_post_that_another_makes_meanwhile(
    rows: Rows, job_id: str
) -> None:
    """Found by the model: a late "not sent" made the accepted POST of another look unsent, and it was bought again."""
    gateway = Gateway()
    is_sending, sleeper_is_done = threading.Event(), threading.Event()

    def slow() -> Answered:
        is_sending.set()
        assert sleeper_is_done.wait(20)
        return gateway.accept()

    gateway.answer = slow
    other = worker(rows, gateway, "B")
    thread = threading.Thread(target=submission.submit, args=(job_id, other))

    def sleep() -> float:
        """Called between the sleeper's claim and its mark that a byte may leave."""
        if not is_sending.is_set():
            rows.now += 2 * MINUTE
            submission.lose(job_id, other)
            thread.start()
            assert is_sending.wait(20)
        return 0.0

    submission.submit(job_id, worker(rows, gateway, monotonic=sleep))
    sleeper_is_done.set()
    thread.join(20)

    case = rows.case(job_id)
    assert (case.job.state, case.attempts[1].outcome) == (State.GENERATING, AttemptOutcome.OPEN)
    submission.submit(job_id, other)
    assert gateway.sent == 1


def test_a_worker_whose_lease_ran_out_before_it_sends_sends_nothing(rows: Rows, job_id: str) -> None:
    gateway = Gateway()

    def sleep() -> float:
        rows.now += 2 * MINUTE
        return 0.0

    submission.submit(job_id, worker(rows, gateway, monotonic=sleep))
    case = rows.case(job_id)
    assert gateway.sent == 0
    assert (case.job.state, case.attempts[1].outcome) == (State.QUEUED, AttemptOutcome.NOT_SENT)


def test_a_worker_that_slept_after_its_mark_sends_nothing(rows: Rows, job_id: str) -> None:
    gateway = Gateway()
    clock = chain([0.0], repeat(6.0))
    submission.submit(job_id, worker(rows, gateway, monotonic=lambda: next(clock)))
    case = rows.case(job_id)
    assert gateway.sent == 0
    assert (case.job.state, case.attempts[1].outcome) == (State.QUEUED, AttemptOutcome.NOT_SENT)
    assert case.attempts[1].sending_at is None


def test_a_submit_whose_worker_died_after_its_mark_is_unconfirmed_and_not_sent_again(rows: Rows, job_id: str) -> None:
    gateway = Gateway()

    def die() -> Answered:
        raise SystemExit

    gateway.answer = die
    with pytest.raises(SystemExit):
        submission.submit(job_id, worker(rows, gateway))
    rows.now += 2 * MINUTE
    other = worker(rows, gateway, "B")
    submission.lose(job_id, other)
    assert rows.case(job_id).job.state is State.UNCONFIRMED
    submission.submit(job_id, other)
    assert gateway.sent == 1


def test_an_answer_that_comes_after_the_lease_was_lost_still_counts(rows: Rows, job_id: str) -> None:
    gateway = Gateway()
    other = worker(rows, gateway, "B")

    def late() -> Answered:
        rows.now += 2 * MINUTE
        submission.lose(job_id, other)
        assert rows.case(job_id).job.state is State.UNCONFIRMED
        return gateway.accept()

    gateway.answer = late
    sleeper = worker(rows, gateway)
    submission.submit(job_id, sleeper)
    case = rows.case(job_id)
    assert case.attempts[1].task_id == "task-1"
    assert case.job.alarm_at == rows.now
    assert rung(sleeper) == [("jobs.reconcile", job_id)]


def test_a_callback_under_a_submit_whose_answer_is_lost_is_not_overwritten(rows: Rows, job_id: str) -> None:
    gateway = Gateway()

    def lose() -> Lost:
        rows.callback(job_id)
        return Lost("the connection broke")

    gateway.answer = lose
    resources = worker(rows, gateway)
    submission.submit(job_id, resources)
    case = rows.case(job_id)
    assert (case.job.state, case.job.alarm_at, len(case.unread)) == (State.UNCONFIRMED, rows.now, 1)
    assert rung(resources) == [("jobs.reconcile", job_id)]  # the message of the callback was spent on a held job


def test_a_doorbell_for_a_held_row_is_left(rows: Rows, job_id: str) -> None:
    rows.lease(job_id)
    gateway = Gateway()
    resources = worker(rows, gateway)
    submission.submit(job_id, resources)
    assert (gateway.sent, rung(resources)) == (0, [])


def test_a_doorbell_for_another_step_is_rung_on(rows: Rows, job_id: str) -> None:
    gateway = Gateway()
    resources = worker(rows, gateway)
    submission.lose(job_id, resources)
    assert (gateway.sent, rung(resources)) == (0, [("jobs.submit", job_id)])


def test_nothing_sent_waits_and_goes_out_under_the_same_number(rows: Rows, job_id: str) -> None:
    gateway = Gateway(lambda: NotSent("no route"))
    submission.submit(job_id, worker(rows, gateway))
    assert rows.case(job_id).job.alarm_at > rows.now
    rows.now += MINUTE
    gateway.answer = gateway.accept
    submission.submit(job_id, worker(rows, gateway))
    case = rows.case(job_id)
    assert (case.job.state, list(case.attempts)) == (State.GENERATING, [1])


def test_news_of_a_lost_lease_does_not_free_the_one_that_took_it(rows: Rows, job_id: str) -> None:
    zombie = rows.lease(job_id, "A:1")
    rows.now += 2 * MINUTE
    rows.lease(job_id, "B:1")
    resources = worker(rows, Gateway())
    assert conclude(zombie, Facts(), resources) is None
    job = rows.case(job_id).job
    assert (job.lease_holder, job.alarm_at) == ("B:1", rows.now)
    assert rung(resources) == []  # held: its holder rings
    assert not rows.write(lambda db: leases.finish_step(db, zombie, _nothing(), now=rows.now))


def _nothing() -> leases.Outcome:
    return leases.Outcome(alarm_at=None)
