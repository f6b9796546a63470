"""When the sweep looks, on a clock that a test turns; on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from benches import Bells, Gateway, worker
from rows import MINUTE, NOW, SECOND, Rows

from jobs.machine.states import State
from jobs.steps.resources import Resources
from jobs.store.step_table import STEPS
from jobs.worker.sweep import AGAIN_S, Sweeper

pytestmark = pytest.mark.both_databases


class Ears(Bells):
    """When each job was first rung for, and when the sweep looked at every step."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__()
        self.now = now
        self.heard: dict[str, float] = {}
        self.looks: list[float] = []

    def ring(self, task: str, *job_ids: str) -> None:
        for job_id in job_ids:
            self.heard.setdefault(job_id, self.now())

    def waiting(self, task: str) -> int:
        if task == STEPS[0].name:
            self.looks.append(self.now())
        return 0


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
