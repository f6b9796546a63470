"""Two beats, no beat, a rolling restart under load, and a process that has no descriptors left."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from plant import ROLES, ROOT, Plant

from jobs.machine.states import State
from jobs.providers.registry import PROVIDERS

STANDARD_STREAMS = 3
RUSHES = Path(sys.executable).parent / "rushes"


@pytest.mark.prove
def test_two_beats_and_sweeps_by_hand_do_nothing_twice(plant: Plant) -> None:
    plant.start("beat-2")
    plant.await_alive("beat-2")
    job_ids = [plant.book.order(provider) for provider in PROVIDERS for _ in range(3)]
    env = plant.environment_of("sweep-2")
    swept = subprocess.run([RUSHES, "sweep", "--once"], env=env, cwd=ROOT, capture_output=True, timeout=60)
    assert swept.returncode == 0, swept.stderr
    plant.book.await_archived(*job_ids)
    for job_id in job_ids:
        history = plant.book.history(job_id)
        assert [history.count(event) for event in ("claim", "accept", "finish", "store")] == [1, 1, 1, 1]


@pytest.mark.prove
def test_a_beat_that_dies_is_missed_by_nobody_and_comes_back(plant: Plant) -> None:
    plant.kill("beat")
    plant.stand_ins.fault("evolink", "lose_callback")
    told, _ = plant.book.await_archived(plant.book.order("evolink"), plant.book.order("gravitex"))
    assert told.current is not None
    assert told.current.news_by == "poll"  # by the sweep process itself
    plant.start("beat")
    plant.await_alive("beat")
    plant.book.await_archived(plant.book.order("easyrouter"))


@pytest.mark.prove
def test_a_rolling_restart_under_load_loses_nothing_and_buys_nothing_twice(plant: Plant) -> None:
    orders = [plant.book.write(list(PROVIDERS)[n % len(PROVIDERS)]) for n in range(50)]
    restarted = threading.Event()

    def send() -> None:
        for order in orders:
            plant.book.insist(order)
            restarted.wait(0.25)  # a pipeline's pace

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    for role in ROLES:
        plant.stop(role)
        plant.start(role)
        plant.await_alive(role)
    restarted.set()
    sender.join(60)
    cases = plant.book.await_ended()
    assert len(cases) == len(orders)
    assert {case.job.state for case in cases} == {State.ARCHIVED}


def test_a_transfer_told_to_stop_in_its_copy_lets_go_at_once(plant: Plant) -> None:
    plant.stand_ins.set(film="real")
    plant.stand_ins.fault("evolink", "serve", what="slow", bytes_per_s=30_000)
    job_id = plant.book.order("evolink")
    plant.await_(lambda: (t := plant.book.sold(job_id)) and t[0]["link_hits"]["count"], "the first byte of the video")
    plant.stop("transfer")
    job = plant.book.case(job_id).job
    assert (job.state, job.lease_holder) == (State.ARCHIVING, None)
    plant.start("transfer")
    plant.book.await_archived(job_id)
    assert plant.book.sold(job_id)[0]["link_hits"]["count"] == 2


def test_a_worker_without_descriptors_sends_nothing_and_goes_on_when_it_has_some(plant: Plant) -> None:
    pid = plant.supervisor.pids["worker"]
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (STANDARD_STREAMS, before[1]))  # what is open stays open
    try:
        job_id = plant.book.order("gravitex")
        plant.await_(lambda: plant.book.case(job_id).job.troubles > 1, "two tries that sent nothing")
        assert plant.book.sold(job_id) == []
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    plant.book.await_archived(job_id)
    assert len(plant.book.sold(job_id)) == 1
