"""Everything ends: tasks that never do, links that never come, clocks that leap; and what a person sees meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from persons import lost, rested
from served import Served
from workshop import Ahead, Workshop

from jobs.intake import changes
from jobs.intake.settling import settle
from jobs.machine.rows import AttemptOutcome, Settled, Standing
from jobs.machine.states import State
from jobs.reports import attention
from jobs.reports.attention_items import Item, Looking

GATEWAYS = ["aivideoapi", "apiframe", "easyrouter", "gravitex", "evolink"]
FOR_EVER = 100_000
DAY_S, HOUR_S, MINUTE_S = 86_400, 3_600, 60


@pytest.fixture
def workshop(make_workshop: Callable[..., Workshop]) -> Workshop:
    return make_workshop(max_in_flight=1, retry_first_s=0.05)


@pytest.fixture
def clock(workshop: Workshop) -> Ahead:
    return Ahead(workshop)


def lines(workshop: Workshop, job_id: str) -> list[Item]:
    """What the list of what needs a person says of a job."""
    with workshop.database.read() as db:
        looking = Looking(workshop.settings, workshop.resources.providers, workshop.database.clock(db))
        return [item for item in attention.items(db, looking) if item.job_id == job_id]


def needs(workshop: Workshop, job_id: str) -> list[str]:
    """The reasons for which a job stands in that list."""
    return [item.reason for item in lines(workshop, job_id)]


def generating(workshop: Workshop, provider: str) -> str:
    job_id = workshop.create(provider=provider)
    workshop.until(job_id, State.GENERATING)
    return job_id


def made(workshop: Workshop, sandbox: Any, provider: str) -> None:
    """Wait for the task's end: one that still ran would be asked about next at the slow pace of its age."""
    workshop.await_(lambda: sandbox.tasks(provider)[0]["state"] == "finished", "the task's end")


def asked(workshop: Workshop, job_id: str) -> State:
    """The job's state after one more question, or one more try."""

    def tried() -> Any:
        case = workshop.case(job_id)
        return case.job.troubles, case.attempts[1].answered_at, case.job.state

    before = tried()
    workshop.await_(lambda: workshop.sweep() and tried() != before, "a look", job_id=job_id)
    return workshop.state(job_id)


def nobody_answers(sandbox: Any, provider: str) -> None:
    sandbox.fault(provider, "refuse", on="query", status=503, times=FOR_EVER)


@pytest.mark.parametrize("provider", GATEWAYS)
def test_a_task_that_is_said_to_run_for_ever_ends_with_its_life_and_frees_its_place(
    workshop: Workshop, clock: Ahead, sandbox: Any, provider: str
) -> None:
    sandbox.fault(provider, "stall")
    job_id = generating(workshop, provider)
    clock.leap(47 * HOUR_S)
    assert asked(workshop, job_id) is State.GENERATING, "a slow gateway is not an ill one"
    assert needs(workshop, job_id) == ["overdue_day"]
    clock.leap(HOUR_S)
    assert asked(workshop, job_id) is State.FAILED
    case = workshop.case(job_id)
    assert (case.job.error_code, case.attempts[1].standing) == ("task_expired", Standing.UNCERTAIN)
    workshop.until(workshop.create(provider=provider), State.ARCHIVED)


def test_a_task_that_ended_while_the_service_was_down_for_longer_than_a_life_is_brought_home(
    workshop: Workshop, clock: Ahead, sandbox: Any
) -> None:
    sandbox.fault("evolink", "stall")
    job_id = generating(workshop, "evolink")
    clock.leap(5 * DAY_S)
    sandbox.clear()  # it finishes
    made(workshop, sandbox, "evolink")
    workshop.until(job_id, State.ARCHIVED)


def test_a_gateway_that_does_not_answer_at_the_end_is_tried_for_an_hour(
    workshop: Workshop, clock: Ahead, sandbox: Any
) -> None:
    sandbox.fault("gravitex", "stall")
    job_id = generating(workshop, "gravitex")
    nobody_answers(sandbox, "gravitex")
    assert asked(workshop, job_id) is State.GENERATING
    clock.leap(3 * DAY_S)  # the machine was down meanwhile, and what it tried before says nothing about now
    for _ in range(5):
        assert asked(workshop, job_id) is State.GENERATING
        clock.leap(11 * MINUTE_S)
    assert asked(workshop, job_id) is State.GENERATING
    clock.leap(11 * MINUTE_S)
    assert asked(workshop, job_id) is State.FAILED


def test_a_proxys_not_found_is_no_answer(workshop: Workshop, clock: Ahead, sandbox: Any) -> None:
    sandbox.fault("evolink", "stall")
    job_id = generating(workshop, "evolink")
    page = "<html><body>404 Not Found</body></html>"
    sandbox.fault("evolink", "refuse", on="query", status=404, body=page, times=100)
    clock.leap(3 * DAY_S)
    assert asked(workshop, job_id) is State.GENERATING
    sandbox.clear()
    made(workshop, sandbox, "evolink")
    clock.leap(11 * MINUTE_S)
    workshop.until(job_id, State.ARCHIVED)


def test_and_brought_home_if_it_answers_within_that_hour(workshop: Workshop, clock: Ahead, sandbox: Any) -> None:
    sandbox.fault("gravitex", "stall")
    job_id = generating(workshop, "gravitex")
    nobody_answers(sandbox, "gravitex")
    clock.leap(3 * DAY_S)
    assert asked(workshop, job_id) is State.GENERATING
    sandbox.clear()
    made(workshop, sandbox, "gravitex")
    clock.leap(50 * MINUTE_S)
    workshop.until(job_id, State.ARCHIVED)


@pytest.mark.parametrize("days", [1, 2])
def test_a_clock_that_is_ahead_for_a_moment_ends_nothing_that_was_not_asked_about(
    workshop: Workshop, clock: Ahead, sandbox: Any, days: int
) -> None:
    sandbox.fault("evolink", "stall")
    job_id = generating(workshop, "evolink")
    nobody_answers(sandbox, "evolink")
    clock.leap(days * DAY_S)
    assert asked(workshop, job_id) is State.GENERATING
    clock.leap(-days * DAY_S)
    assert asked(workshop, job_id) is State.GENERATING
    sandbox.clear()
    made(workshop, sandbox, "evolink")
    workshop.until(job_id, State.ARCHIVED)


def test_a_job_whose_order_was_taken_while_the_clock_was_ahead_is_asked_about_once_it_is_right(
    workshop: Workshop, clock: Ahead, sandbox: Any
) -> None:
    clock.leap(DAY_S)
    job_id = generating(workshop, "gravitex")
    nobody_answers(sandbox, "gravitex")
    clock.leap(-DAY_S)
    assert asked(workshop, job_id) is State.GENERATING
    sandbox.clear()
    made(workshop, sandbox, "gravitex")
    clock.leap(MINUTE_S)  # how old its task is nobody knows, so it is asked about as an overdue one is
    workshop.until(job_id, State.ARCHIVED)


def test_a_word_that_nobody_knows_stands_for_a_person_to_see_until_another_is_said(
    workshop: Workshop, sandbox: Any
) -> None:
    sandbox.fault("easyrouter", "unknown_word", times=FOR_EVER)
    job_id = generating(workshop, "easyrouter")
    asked(workshop, job_id)
    assert needs(workshop, job_id) == ["unknown_word"]
    sandbox.clear()
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.job.flagged is None


@pytest.mark.parametrize(
    ("fault", "params", "wait_s", "reason"),
    [
        ("unknown_word", {"times": FOR_EVER}, 0, "unknown_word"),
        ("hide_link", {"reports": FOR_EVER}, 0, "no_link"),
        ("stall", {}, DAY_S + HOUR_S, "overdue_day"),
    ],
)
def test_an_earlier_order_is_told_as_well_by_its_number_though_its_job_has_another_ones_video(
    workshop: Workshop,
    receiver: Served,
    clock: Ahead,
    sandbox: Any,
    fault: str,
    params: dict[str, Any],
    wait_s: float,
    reason: str,
) -> None:
    sandbox.fault("evolink", "lose_callback")
    sandbox.fault("evolink", fault, **params)
    job_id = lost(workshop, sandbox, "evolink", made=True)
    settle(job_id, 1, Settled.NOT_MADE, workshop.core)
    if fault != "unknown_word":  # that one is of every task's answers, not of one order's
        workshop.until(job_id, State.ARCHIVED)
    else:
        workshop.until(job_id, State.GENERATING)
    [task, *_] = sandbox.tasks("evolink")
    assert sandbox.call_back("evolink", task["task_id"]) == 200
    workshop.await_(
        lambda: workshop.sweep() and workshop.case(job_id).attempts[1].task_id, "the task known", job_id=job_id
    )
    clock.leap(wait_s)
    told = [(item.reason, item.attempt, item.task_id, item.command) for item in lines(workshop, job_id)]
    assert (reason, 1, task["task_id"], f"rushes jobs show {job_id}") in told
    sandbox.clear()
    if fault == "hide_link":
        sandbox.fault("evolink", fault, task_id=task["task_id"], reports=0)

    def is_told_no_more() -> bool:
        clock.leap(6 * MINUTE_S)  # an ended job is asked about every five, give or take a tenth
        workshop.sweep()
        return 1 not in [item.attempt for item in lines(workshop, job_id) if item.reason == reason]

    workshop.await_(is_told_no_more, "the end of the line", job_id=job_id)


class TestAFinishedTaskWithoutALink:
    @pytest.mark.parametrize("provider", GATEWAYS)
    def test_stands_for_a_person_to_see_and_is_archived_once_the_link_is_there(
        self, workshop: Workshop, sandbox: Any, provider: str
    ) -> None:
        sandbox.fault(provider, "hide_link", reports=FOR_EVER)
        job_id = generating(workshop, provider)
        workshop.await_(lambda: workshop.sweep() and needs(workshop, job_id), "the flag", job_id=job_id)
        assert needs(workshop, job_id) == ["no_link"]
        assert workshop.case(job_id).job.state is State.GENERATING
        self.show(sandbox, provider)
        case = workshop.until(job_id, State.ARCHIVED)
        assert (case.job.flagged, case.job.error_code, case.attempts[1].error_code) == (None, None, None)

    def test_ends_as_paid_and_not_delivered_and_a_retry_asks_for_the_link_once_more(
        self, workshop: Workshop, clock: Ahead, sandbox: Any
    ) -> None:
        sandbox.fault("evolink", "hide_link", reports=FOR_EVER)
        job_id = generating(workshop, "evolink")
        workshop.await_(lambda: workshop.sweep() and needs(workshop, job_id), "the flag", job_id=job_id)
        clock.leap(23 * HOUR_S)
        assert asked(workshop, job_id) is State.GENERATING
        clock.leap(HOUR_S)
        self.ended(workshop, job_id)
        changes.retry(job_id, workshop.core)
        self.ended(workshop, job_id)
        self.show(sandbox, "evolink")
        changes.retry(job_id, workshop.core)
        workshop.until(job_id, State.ARCHIVED)
        assert len(sandbox.tasks("evolink")) == 1

    def ended(self, workshop: Workshop, job_id: str) -> None:
        case = workshop.until(job_id, State.FAILED)
        order = case.attempts[1]
        assert (case.job.error_code, order.outcome) == ("no_link", AttemptOutcome.UNDELIVERED)
        assert order.standing is Standing.CHARGED

    def show(self, sandbox: Any, provider: str) -> None:
        [task] = sandbox.tasks(provider)
        sandbox.fault(provider, "hide_link", task_id=task["task_id"], reports=0)


def test_a_callback_after_the_end_brings_the_video_home(
    make_workshop: Callable[..., Workshop], receiver: Served, workshop: Workshop, clock: Ahead, sandbox: Any
) -> None:
    sandbox.fault("evolink", "stall")
    sandbox.fault("evolink", "lose_callback")
    job_id = generating(workshop, "evolink")
    clock.leap(2 * DAY_S)
    workshop.until(job_id, State.FAILED)
    [task] = sandbox.tasks("evolink")
    assert sandbox.call_back("evolink", task["task_id"]) == 200
    assert asked(workshop, job_id) is State.FAILED, "its callback is ahead of what a query is told"
    sandbox.clear()
    clock.leap(MINUTE_S)
    case = workshop.until(job_id, State.ARCHIVED)
    assert case.attempts[1].standing is Standing.CHARGED


def test_and_one_that_says_that_the_task_runs_yet_opens_its_order_again_for_as_long_as_it_can_live(
    receiver: Served, workshop: Workshop, clock: Ahead, sandbox: Any
) -> None:
    """The clock was ahead for a moment when the gateway was asked, so that the task seemed to be two days old."""
    sandbox.fault("evolink", "stall")
    sandbox.fault("evolink", "lose_callback")
    job_id = generating(workshop, "evolink")
    clock.leap(2 * DAY_S)
    workshop.until(job_id, State.FAILED)
    clock.leap(-2 * DAY_S)
    [task] = sandbox.tasks("evolink")
    assert sandbox.call_back("evolink", task["task_id"]) == 200
    workshop.await_(
        lambda: workshop.sweep() and workshop.case(job_id).attempts[1].outcome is AttemptOutcome.OPEN,
        "the order open again",
        job_id=job_id,
    )
    assert workshop.case(job_id).attempts[1].standing is Standing.HELD
    sandbox.clear()

    def is_archived_later() -> bool:
        clock.leap(6 * MINUTE_S)  # an ended job is asked about every five, give or take a tenth
        workshop.sweep()
        return workshop.state(job_id) is State.ARCHIVED

    workshop.await_(is_archived_later, "the video at home", job_id=job_id)


class TestACallbackForAVideoThatWasNotDelivered:
    @pytest.fixture
    def undelivered(self, workshop: Workshop, receiver: Served, clock: Ahead, sandbox: Any) -> str:
        """Its link was dead, and so was each that its gateway told."""
        sandbox.fault("evolink", "lose_callback")
        sandbox.fault("evolink", "expire_link", reports=FOR_EVER)
        job_id = generating(workshop, "evolink")
        workshop.until(job_id, State.ARCHIVING)
        clock.leap(DAY_S)
        case = workshop.until(job_id, State.FAILED)
        assert (case.job.error_code, case.attempts[1].outcome) == ("link_expired", AttemptOutcome.UNDELIVERED)
        assert case.job.alarm_at is None
        return job_id

    def call_back(self, sandbox: Any, *, link: str) -> None:
        [task] = sandbox.tasks("evolink")
        if link == "fresh":
            sandbox.fault("evolink", "expire_link", task_id=task["task_id"], reports=0)
        assert sandbox.call_back("evolink", task["task_id"]) == 200

    @pytest.mark.parametrize("settled", [None, Settled.NOT_CHARGED])
    def test_brings_it_home_by_a_fresh_link_and_leaves_the_money_where_it_is(
        self, workshop: Workshop, undelivered: str, sandbox: Any, settled: Settled | None
    ) -> None:
        if settled:
            settle(undelivered, 1, settled, workshop.core)
        before = workshop.case(undelivered).attempts[1]
        self.call_back(sandbox, link="fresh")
        case = workshop.until(undelivered, State.ARCHIVED)
        assert (case.attempts[1].standing, case.attempts[1].settled) == (before.standing, settled)
        assert len(sandbox.tasks("evolink")) == 1
        assert case.job.error_code is None

    def test_changes_nothing_without_one(
        self, workshop: Workshop, clock: Ahead, undelivered: str, sandbox: Any
    ) -> None:
        self.call_back(sandbox, link="dead")
        case = workshop.await_(lambda: rested(workshop, undelivered), "it rests", job_id=undelivered)
        assert (case.job.state, case.attempts[1].outcome) == (State.FAILED, AttemptOutcome.UNDELIVERED)
        assert all(callback.read_at for callback in case.callbacks)

    def test_wakes_nobody_once_no_link_can_live(
        self, workshop: Workshop, clock: Ahead, undelivered: str, sandbox: Any
    ) -> None:
        clock.leap(2 * DAY_S)
        self.call_back(sandbox, link="fresh")
        assert workshop.case(undelivered).job.alarm_at is None
        assert workshop.state(undelivered) is State.FAILED


class TestALinkAtItsEnd:
    def archiving(self, workshop: Workshop, sandbox: Any, what: str) -> str:
        sandbox.fault("evolink", "serve", what=what, hits=FOR_EVER)
        job_id = workshop.create(provider="evolink")
        workshop.until(job_id, State.ARCHIVING)
        return job_id

    def test_is_given_up_when_what_it_serves_is_no_video(self, workshop: Workshop, clock: Ahead, sandbox: Any) -> None:
        job_id = self.archiving(workshop, sandbox, "html")
        clock.leap(DAY_S)
        assert asked(workshop, job_id) is State.FAILED
        assert workshop.case(job_id).job.error_code == "bad_video"

    def test_is_tried_for_an_hour_when_nobody_serves_it(self, workshop: Workshop, clock: Ahead, sandbox: Any) -> None:
        job_id = self.archiving(workshop, sandbox, "truncated")
        clock.leap(3 * DAY_S)
        for _ in range(6):
            assert asked(workshop, job_id) is State.ARCHIVING
            clock.leap(11 * MINUTE_S)
        assert asked(workshop, job_id) is State.FAILED
        case = workshop.case(job_id)
        assert (case.job.error_code, case.attempts[1].standing) == ("link_expired", Standing.CHARGED)

    def test_and_copied_if_it_is_served_within_that_hour(self, workshop: Workshop, clock: Ahead, sandbox: Any) -> None:
        job_id = self.archiving(workshop, sandbox, "truncated")
        clock.leap(3 * DAY_S)
        assert asked(workshop, job_id) is State.ARCHIVING
        [task] = sandbox.tasks("evolink")
        sandbox.fault("evolink", "serve", task_id=task["task_id"], hits=0)
        clock.leap(11 * MINUTE_S)
        workshop.until(job_id, State.ARCHIVED)
