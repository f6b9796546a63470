"""The table of steps: every due row has one step, and what the table names is there."""

from __future__ import annotations

import pytest

from jobs.broker import QUEUES
from jobs.machine.states import ENDED, State
from jobs.settings import load
from jobs.steps.step import CONCLUDE_FOR_S
from jobs.store.database import BUSY_S
from jobs.store.step_table import BY_NAME, NOTIFY, OF_JOBS, RECONCILE, STEPS, SUBMIT, TRANSFER, Step, slots, wake
from jobs.worker.dispatch import runner

SETTINGS = load({"RUSHES_S3_BUCKET": "videos"})


@pytest.mark.parametrize("unread", [False, True])
@pytest.mark.parametrize("state", State)
def test_a_due_row_wants_exactly_one_step(state: State, unread: bool) -> None:
    assert [step for step in OF_JOBS if step.serves(state, unread)] == [wake(state, news=unread)]


def test_unread_news_comes_before_buying() -> None:
    assert wake(State.QUEUED, news=True) is RECONCILE
    assert wake(State.QUEUED, news=False) is SUBMIT


@pytest.mark.parametrize("state", [s for s in State if s is not State.QUEUED])
def test_news_changes_no_other_step(state: State) -> None:
    assert wake(state, news=True) is wake(state, news=False)


def test_an_ended_job_is_asked_about() -> None:
    assert {wake(state, news=False).name for state in ENDED} == {"jobs.reconcile"}


def test_a_callback_that_says_finished_wakes_who_can_copy_where_there_may_be_something_to_copy() -> None:
    chosen = {state for state in State if wake(state, news=True, says_finished=True) is TRANSFER}
    assert chosen == {State.SUBMITTING, State.GENERATING, State.UNCONFIRMED, State.ARCHIVING}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_what_runs_a_step_is_there(step: Step) -> None:
    assert callable(runner(step))


def test_names_and_queues_are_the_ones_that_the_procfile_and_outsiders_know() -> None:
    assert QUEUES == {
        "jobs.submit": "rushes.submit",
        "jobs.lose": "rushes.reconcile",
        "jobs.reconcile": "rushes.reconcile",
        "jobs.transfer": "rushes.transfer",
        "jobs.sweep": "rushes.sweep",
        "webhooks.notify": "rushes.notify",
        "rushes.generate": "generate",
    }


def test_every_step_is_watched_for_longer_than_its_deadlines() -> None:
    deadlines = {
        "jobs.submit": SETTINGS.submit_deadline_s,
        "jobs.lose": 0,
        "jobs.reconcile": SETTINGS.query_deadline_s,
        "jobs.transfer": SETTINGS.transfer_deadline_s,
        "webhooks.notify": SETTINGS.notice_deadline_s,
    }
    assert {name: BY_NAME[name].limit_s(SETTINGS) >= 2 * s for name, s in deadlines.items()} == dict.fromkeys(
        BY_NAME, True
    )


def test_who_was_answered_and_waits_for_the_database_is_done_before_the_watchdog_takes_him_for_stuck() -> None:
    waits_s = CONCLUDE_FOR_S + BUSY_S  # the last try begins in time, and ends later
    assert BY_NAME["jobs.submit"].limit_s(SETTINGS) > SETTINGS.submit_deadline_s + waits_s
    assert BY_NAME["jobs.reconcile"].limit_s(SETTINGS) > SETTINGS.query_deadline_s + waits_s


def test_a_process_has_the_slots_of_its_role_and_one_for_what_is_no_step() -> None:
    assert slots(NOTIFY.role, SETTINGS) == SETTINGS.notify_slots
    assert slots("transfer", SETTINGS) == SETTINGS.transfer_slots
    assert slots("worker", SETTINGS) == SETTINGS.worker_slots
    assert slots("sweep", SETTINGS) == 1
