"""Links that die: their videos are brought home before it, the most urgent first, whatever is away meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from workshop import RUN, Ahead, Workshop

from jobs.machine.states import State
from jobs.store.step_table import TRANSFER
from jobs.worker.sweep import Sweeper
from storage.bucket import Bucket

NOBODY = "http://127.0.0.1:1"  # nobody listens there
HOUR_S, DAY_S = 3_600, 86_400


@pytest.fixture
def workshop(make_workshop: Callable[..., Workshop]) -> Workshop:
    return make_workshop(retry_first_s=HOUR_S, retry_longest_s=DAY_S)


@pytest.fixture
def clock(workshop: Workshop) -> Ahead:
    return Ahead(workshop)


def take_bucket_away(workshop: Workshop) -> Callable[[], None]:
    """Gives what brings it back."""
    there, away = workshop.bucket, Bucket(replace(workshop.bucket.config, endpoint_url=NOBODY))
    workshop.resources.bucket = away

    def bring_back() -> None:
        workshop.resources.bucket = there

    return bring_back


def to_its_alarm(workshop: Workshop, clock: Ahead, job_id: str) -> None:
    """Let the time pass until the job is due."""
    alarm_at = workshop.case(job_id).job.alarm_at
    assert alarm_at is not None
    with workshop.database.read() as db:
        left = alarm_at - workshop.database.clock(db)
    clock.leap(left.total_seconds() + 1)


def test_of_two_videos_the_one_whose_link_dies_first_is_copied_first(
    workshop: Workshop, clock: Ahead, sandbox: Any
) -> None:
    """It is not the one that has waited longest: its tries have failed, and so its alarm rings later."""
    bring_back = take_bucket_away(workshop)
    dying = workshop.create(provider="evolink")
    workshop.until(dying, State.ARCHIVING)
    clock.leap(2 * HOUR_S)
    fresh = workshop.create(provider="evolink")
    workshop.until(fresh, State.ARCHIVING)
    RUN["jobs.transfer"](dying, workshop.resources)
    bring_back()
    to_its_alarm(workshop, clock, dying)
    jobs = [workshop.case(job_id).job for job_id in (dying, fresh)]
    assert jobs[0].link_dies_at < jobs[1].link_dies_at  # type: ignore[operator]
    assert jobs[0].alarm_at > jobs[1].alarm_at  # type: ignore[operator]
    workshop.bells.take()
    Sweeper(workshop.resources).once()
    rung = [job_id for task, job_id in workshop.bells.take() if task == TRANSFER.name]
    assert rung == [dying, fresh]
    RUN["jobs.transfer"](rung[0], workshop.resources)
    assert [workshop.state(job_id) for job_id in (dying, fresh)] == [State.ARCHIVED, State.ARCHIVING]


def test_a_bucket_that_is_away_for_most_of_a_links_life_costs_no_video(
    workshop: Workshop, clock: Ahead, sandbox: Any
) -> None:
    bring_back = take_bucket_away(workshop)
    job_id = workshop.create(provider="evolink")
    dies_at = workshop.until(job_id, State.ARCHIVING).job.link_dies_at
    assert dies_at is not None
    away_s = 0.9 * DAY_S

    def is_away() -> bool:
        with workshop.database.read() as db:
            return (dies_at - workshop.database.clock(db)).total_seconds() > DAY_S - away_s

    while is_away():
        RUN["jobs.transfer"](job_id, workshop.resources)
        assert workshop.state(job_id) is State.ARCHIVING
        to_its_alarm(workshop, clock, job_id)
    bring_back()
    RUN["jobs.transfer"](job_id, workshop.resources)
    job = workshop.case(job_id).job
    assert job.state is State.ARCHIVED
    assert job.ended_at is not None
    assert job.ended_at < dies_at
