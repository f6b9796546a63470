"""A job whose workers die over it: set aside for an hour and shown, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest
import sqlalchemy as sa
from benches import Gateway, worker
from rows import HOUR, MINUTE, Rows

from jobs.intake import changes
from jobs.machine.outcome import Facts
from jobs.machine.rows import AttemptOutcome, Standing
from jobs.machine.states import State
from jobs.reports import attention, attention_items
from jobs.steps import archiving
from jobs.steps.step import conclude
from jobs.store.due import due_rows
from jobs.store.step_table import TRANSFER
from jobs.store.tables import jobs

pytestmark = pytest.mark.both_databases


class Killed(BaseException):
    """As a kill: nothing that the process would do afterwards is done."""


class Deadly:
    """A bucket whose first answer ends the process that asks."""

    def head(self, key: str) -> Any:
        raise Killed


@pytest.fixture
def job_id(rows: Rows) -> str:
    dies_at = rows.now + timedelta(days=1)
    job_id = rows.job(State.ARCHIVING, provider="evolink", link_dies_at=dies_at)
    made = {"outcome": AttemptOutcome.FINISHED, "standing": Standing.CHARGED, "finished_at": rows.now}
    rows.attempt(job_id, task_id="task-1", link="https://host/film.mp4", accepted_at=rows.now, **made)
    return job_id


def die(rows: Rows, job_id: str) -> bool:
    """A worker looks at the job; whether that was its death. Its lease runs out."""
    try:
        archiving.transfer(job_id, worker(rows, Gateway(), bucket=cast(Any, Deadly())))
        return False
    except Killed:
        rows.now += 2 * MINUTE
        return True


def listed(rows: Rows) -> dict[str, attention_items.Item]:
    with rows.database.read() as db:
        looking = attention_items.Looking(rows.core.settings, rows.core.providers, rows.now)
        return {item.reason: item for item in attention.items(db, looking)}


def set_aside(rows: Rows, job_id: str) -> None:
    assert [die(rows, job_id) for _ in range(4)] == [True, True, True, False]


def is_due(rows: Rows, job_id: str) -> bool:
    with rows.database.read() as db:
        return job_id in {row.id for row in due_rows(db, TRANSFER, limit=9, now=rows.now)}


def test_a_job_whose_holder_has_died_three_times_is_left_alone_for_an_hour_and_shown(rows: Rows, job_id: str) -> None:
    set_aside(rows, job_id)
    job = rows.case(job_id).job
    assert (job.alarm_at, job.lease_holder, job.flagged, job.state) == (
        *(rows.now + HOUR, None, "holder_died"),
        State.ARCHIVING,
    )
    assert rows.history(job_id)[-1][0] == "set_aside"
    assert listed(rows)["holder_died"].until == rows.now + HOUR
    assert listed(rows)["holder_died"].command == f"rushes jobs retry {job_id}"
    rows.now += HOUR - MINUTE
    assert not is_due(rows, job_id)
    rows.now += MINUTE
    assert is_due(rows, job_id)
    assert [die(rows, job_id), die(rows, job_id)] == [True, False]  # one more death, and it is set aside again


@pytest.mark.parametrize(("left", "aside"), [(HOUR, HOUR / 2), (MINUTE, MINUTE), (-MINUTE, MINUTE)])
def test_a_link_about_to_die_is_left_half_of_its_time(rows: Rows, job_id: str, left: Any, aside: Any) -> None:
    assert [die(rows, job_id) for _ in range(3)] == [True, True, True]
    rows.write(lambda db: db.execute(sa.update(jobs).values(link_dies_at=rows.now + left)))
    assert not die(rows, job_id)
    assert rows.case(job_id).job.alarm_at == rows.now + aside


def test_a_callback_does_not_cut_the_hour_short(rows: Rows, job_id: str) -> None:
    set_aside(rows, job_id)
    until = rows.now + HOUR
    rows.callback(job_id)
    assert rows.case(job_id).job.alarm_at == rows.now
    assert not die(rows, job_id)
    assert rows.case(job_id).job.alarm_at == until


def test_a_person_takes_it_up_at_once(rows: Rows, job_id: str) -> None:
    set_aside(rows, job_id)
    case = changes.retry(job_id, rows.core, api_key_id="key_9")
    assert (case.job.alarm_at, case.job.flagged, case.job.state) == (rows.now, None, State.ARCHIVING)
    assert rows.history(job_id)[-1][0] == "taken_up"
    set_aside(rows, job_id)


def test_a_step_that_comes_to_its_end_starts_the_count_anew(rows: Rows, job_id: str) -> None:
    for _ in range(2):
        assert [die(rows, job_id), die(rows, job_id)] == [True, True]
        conclude(rows.lease(job_id), Facts(trouble=True), worker(rows, Gateway()))
        rows.now += HOUR
    set_aside(rows, job_id)
    rows.now += HOUR
    conclude(rows.lease(job_id), Facts(trouble=True), worker(rows, Gateway()))
    assert (rows.case(job_id).job.flagged, rows.case(job_id).job.holder_deaths) == (None, 0)


def test_a_holder_that_only_slept_has_not_died(rows: Rows, job_id: str) -> None:
    assert [die(rows, job_id), die(rows, job_id)] == [True, True]
    sleeper = rows.lease(job_id, "S")
    rows.now += 2 * MINUTE
    assert not die(rows, job_id)
    assert rows.case(job_id).job.flagged == "holder_died"
    conclude(sleeper, Facts(), worker(rows, Gateway()))
    job = rows.case(job_id).job
    assert (job.flagged, job.holder_deaths, job.alarm_at) == (None, 0, rows.now)
    assert die(rows, job_id)


def test_that_a_holder_only_slept_is_a_change_also_of_a_job_that_has_ended(rows: Rows, job_id: str) -> None:
    assert [die(rows, job_id), die(rows, job_id)] == [True, True]
    sleeper = rows.lease(job_id, "S")
    rows.now += 2 * MINUTE
    assert not die(rows, job_id)
    rows.write(lambda db: db.execute(sa.update(jobs).values(state=State.FAILED, alarm_at=None, ended_at=rows.now)))
    before = rows.case(job_id).job
    conclude(sleeper, Facts(), worker(rows, Gateway()))
    after = rows.case(job_id).job
    assert (before.flagged, after.flagged) == ("holder_died", None)
    assert after.version > before.version  # which answers with an ETag, and whoever waits for a change, go by
