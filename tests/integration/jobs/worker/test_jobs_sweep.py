"""When the sweep looks, on a clock that a test turns; on both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from benches import Bells, Gateway, worker
from rows import MINUTE, NOW, SECOND, Rows

from jobs.machine.states import State
from jobs.steps.resources import Resources
from jobs.store import tables
from jobs.store.step_table import RECONCILE, STEPS, SUBMIT, TRANSFER, Step, slots
from jobs.worker.sweep import AGAIN_S, LEAVE_OUT_S, LEAVE_OUT_WHILE_LONG_S, Sweeper

pytestmark = pytest.mark.both_databases


class Ears(Bells):
    """When each job was first rung for, and when the sweep looked at every step."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__()
        self.now = now
        self.heard: dict[str, float] = {}
        self.looks: list[float] = []
        self.times: Counter[str] = Counter()
        self.queued = 0  # messages of each step

    def ring(self, task: str, *job_ids: str) -> None:
        for job_id in job_ids:
            self.heard.setdefault(job_id, self.now())
            self.times[job_id] += 1

    def waiting(self, task: str) -> int:
        if task == STEPS[0].name:
            self.looks.append(self.now())
        return self.queued


@pytest.fixture
def ears(rows: Rows) -> Ears:
    return Ears(lambda: (rows.now - NOW).total_seconds())


@pytest.fixture
def resources(rows: Rows, ears: Ears) -> Resources:
    def pause(seconds: float) -> None:
        rows.now += timedelta(seconds=seconds)

    return worker(rows, Gateway(), ringer=ears, monotonic=ears.now, pause=pause)


def test_an_alarm_that_rings_between_two_sweeps_is_heard_within_half_a_second(
    rows: Rows, resources: Resources, ears: Ears
) -> None:
    alarms = {rows.job(State.GENERATING, alarm_at=NOW + n * SECOND): n for n in range(10)}
    Sweeper(resources).run(for_s=10)
    assert set(ears.heard) == set(alarms)
    assert all(0 <= ears.heard[job_id] - at <= AGAIN_S for job_id, at in alarms.items())


def test_a_row_that_comes_while_the_sweep_runs_is_heard_though_its_alarm_is_older_than_the_last_look(
    rows: Rows, resources: Resources, ears: Ears
) -> None:
    def pause(seconds: float) -> None:
        rows.now += timedelta(seconds=seconds)
        if ears.now() == 4:  # its transaction began before the look at 3.5, and has just been committed
            rows.job(alarm_at=NOW + 3 * SECOND)

    resources.pause = pause
    Sweeper(resources).run(for_s=10)
    assert list(ears.heard.values()) == [4]


def test_a_sweep_ends_when_the_next_one_begins(rows: Rows, resources: Resources, ears: Ears) -> None:
    rows.job(State.GENERATING, alarm_at=NOW + MINUTE)
    Sweeper(resources).run(for_s=10)
    assert 10 <= ears.now() <= 10 + AGAIN_S
    assert ears.heard == {}


def test_a_sweep_whose_process_is_told_to_stop_ends_at_once(resources: Resources, ears: Ears) -> None:
    resources.stopping.set()
    Sweeper(resources).run(for_s=10)
    assert ears.now() == 0


def test_while_no_alarm_rings_the_steps_are_not_looked_at_again(rows: Rows, resources: Resources, ears: Ears) -> None:
    rows.job(State.ARCHIVED, alarm_at=None)
    rows.job(State.GENERATING, alarm_at=NOW + MINUTE)
    Sweeper(resources).run(for_s=10)
    assert ears.looks == [0]


@pytest.mark.parametrize(
    ("step", "state"), [(TRANSFER, State.ARCHIVING), (SUBMIT, State.QUEUED), (RECONCILE, State.GENERATING)]
)
def test_however_long_a_queue_is_the_most_urgent_rows_are_rung_for_now_and_again(
    rows: Rows, resources: Resources, ears: Ears, step: Step, state: State
) -> None:
    """A copy that failed has been heard: its message is gone, and those that come keep the queue long for hours."""
    few = slots(step.role, resources.settings)
    jobs = [rows.job(state, alarm_at=NOW - n * SECOND) for n in range(3 * few)]
    ears.queued, sweeper = 1_000, Sweeper(resources)
    sweeper.run(for_s=2 * LEAVE_OUT_S)
    assert ears.times == dict.fromkeys(jobs[-few:], 1)  # and no others, for it holds bells of most of them
    rows.now += timedelta(seconds=LEAVE_OUT_WHILE_LONG_S)
    sweeper.once()
    assert ears.times == dict.fromkeys(jobs[-few:], 2)  # so seldom that it hardly grows where nobody empties it


def test_once_a_long_queue_is_short_its_rows_are_rung_for_as_ever(rows: Rows, resources: Resources, ears: Ears) -> None:
    """All of its messages may have been lost."""
    job_id = rows.job(State.ARCHIVING)
    ears.queued, sweeper = 1_000, Sweeper(resources)
    sweeper.once()
    rows.now += timedelta(seconds=LEAVE_OUT_S)
    ears.queued = 0
    sweeper.once()
    assert ears.times == {job_id: 2}


def test_rows_that_come_to_be_the_most_urgent_are_rung_for(rows: Rows, resources: Resources, ears: Ears) -> None:
    few = slots(TRANSFER.role, resources.settings)
    jobs = [rows.job(State.ARCHIVING, alarm_at=NOW - n * SECOND) for n in range(2 * few)]
    ears.queued, sweeper = 1_000, Sweeper(resources)
    assert sweeper.once()
    archived = sa.update(tables.jobs).where(tables.jobs.c.id.in_(jobs[-few:]))
    rows.write(lambda db: db.execute(archived.values(state=State.ARCHIVED, alarm_at=None)))
    assert not sweeper.once()
    assert ears.times == dict.fromkeys(jobs, 1)
