"""What a callback does about an order that is over, while its gateway says that the task still runs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from made_cases import DAY, MINUTE, NOW, SETTINGS, accepted, callback, case, job

from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.providers.base import Report, ReportState
from jobs.providers.registry import PROVIDERS
from jobs.steps.answers import Inquiry, Reply, learn

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
