"""What a callback does about an order that is over, while its gateway says that the task still runs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from made_cases import DAY, MINUTE, NOW, SETTINGS, accepted, callback, case, job

from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.providers.base import Failure, Report, ReportState
from jobs.providers.registry import PROVIDERS
from jobs.steps.learning import learn
from jobs.steps.replies import Inquiry, Reply

RUNNING = Report(ReportState.RUNNING, "processing", task_id="t-1")


@pytest.mark.parametrize(("ordered_ago", "is_read"), [(MINUTE, False), (30 * DAY, True)])
def test_it_is_kept_while_the_task_can_live_and_read_after_that(ordered_ago: timedelta, is_read: bool) -> None:
    """Such an answer does not open the order: closed anew, it could be heard of for another life."""
    over = accepted(
        accepted_at=NOW - ordered_ago,
        closed_at=NOW - ordered_ago / 2,
        outcome=AttemptOutcome.EXPIRED,
        standing=Standing.UNCERTAIN,
        task_id="t-1",
    )
    told = callback(task_id="another")
    reply = Reply(Inquiry(over, "t-1", candidate=False), RUNNING, "running", {})
    facts = learn(case(job(State.FAILED), over, callbacks=(told,)), [reply], PROVIDERS, SETTINGS, NOW)
    assert ("closed_at" in facts.attempts[1]) is not is_read
    assert (facts.read, facts.trouble) == ((told.id,), False) if is_read else ((), True)


@pytest.mark.parametrize("is_called", [True, False])
def test_the_news_of_a_callback_are_as_old_as_the_callback(is_called: bool) -> None:
    """Our own queue, in which it may have waited since, is not the gateway's delay."""
    order = accepted(task_id="t-1")
    early, late = (callback(id=n, received_at=NOW - n * MINUTE, task_id="t-1") for n in (7, 5))
    told = (late, early) if is_called else ()
    failed = Report(ReportState.FAILED, "failed", task_id="t-1", failure=Failure("content_refused", "no", False, "c"))
    reply = Reply(Inquiry(order, "t-1", candidate=False), failed, "failed", {})
    said = learn(case(job(State.GENERATING), order, callbacks=told), [reply], PROVIDERS, SETTINGS, NOW).attempts[1]
    assert (said["news_by"], said["news_at"]) == (("callback", NOW - 7 * MINUTE) if is_called else ("poll", NOW))
