"""SIGSTOP past the lease, and SIGCONT: a process that was taken for dead comes back."""

from __future__ import annotations

import time

import pytest
from plant import Plant
from wire_words import commit_of

from jobs.machine.states import State
from jobs.steps.posting import SEND_WITHIN_S


@pytest.mark.prove
def test_a_worker_frozen_in_its_submit_past_the_lease_finds_the_job_taken_over_and_buys_nothing(plant: Plant) -> None:
    plant.stand_ins.fault("evolink", "late_answer", seconds=1)
    plant.stand_ins.fault("evolink", "delay_callback", seconds=15)
    plant.start("worker-2")
    plant.await_alive("worker-2")
    plant.freeze("worker-2")
    job_id = plant.book.order("evolink")
    plant.thaw("worker-2")
    plant.book.await_sold(job_id)
    holder = plant.book.case(job_id).job.lease_holder
    assert holder is not None
    by_pid = {str(plant.supervisor.pids[name]): name for name in ("worker", "worker-2")}
    frozen = by_pid[holder.split(":")[1]]
    plant.freeze(frozen)
    plant.book.await_state(job_id, State.UNCONFIRMED)  # said by the other one
    plant.thaw(frozen)
    plant.book.await_archived(job_id)
    assert len(plant.book.sold(job_id)) == 1


def test_a_transfer_frozen_in_its_copy_past_the_lease_loses_to_another_and_overwrites_nothing(plant: Plant) -> None:
    plant.stand_ins.set(film="real")
    plant.stand_ins.fault("evolink", "serve", what="slow", bytes_per_s=30_000)
    job_id = plant.book.order("evolink")
    plant.await_(lambda: (t := plant.book.sold(job_id)) and t[0]["link_hits"]["count"], "the first byte of the video")
    plant.freeze("transfer")
    plant.start("transfer-2")
    [case] = plant.book.await_archived(job_id)
    stored = plant.bucket.head(case.job.archive_key)
    plant.thaw("transfer")
    plant.kill("transfer-2")
    again = plant.book.order("evolink")  # the thawed one works on
    plant.book.await_archived(again)
    assert plant.book.case(job_id).job == case.job
    assert plant.bucket.head(case.job.archive_key) == stored


@pytest.mark.prove
def test_a_frozen_web_process_costs_callbacks_and_no_jobs(plant: Plant) -> None:
    plant.stand_ins.fault("aivideoapi", "delay_callback", seconds=0.5)
    job_id = plant.book.order("aivideoapi")
    plant.freeze("web")
    plant.book.await_archived(job_id)
    plant.thaw("web")

    def answered() -> bool:
        return [call["status"] for call in plant.book.sold(job_id)[0]["callbacks"]][:1] == [200]

    plant.await_(answered, "the callback that waited")
    before = plant.book.history(job_id)
    plant.book.await_archived(plant.book.order("aivideoapi"))
    assert plant.book.history(job_id) == before


def test_a_worker_that_slept_between_its_mark_and_its_post_sends_nothing(plant: Plant) -> None:
    trap = plant.to_database["worker"].trap(commit_of("UPDATE attempts SET sending_at"), after=True)
    job_id = plant.book.order("gravitex")
    assert trap.caught.wait(60)
    caught_at = time.monotonic()
    plant.book.await_state(job_id, State.UNCONFIRMED)  # its lease ran out
    plant.await_(lambda: time.monotonic() - caught_at > SEND_WITHIN_S, "the moment after which nothing may leave")
    assert plant.book.sold(job_id) == []
    trap.release()
    [case] = plant.book.await_archived(job_id)
    assert case.job.attempt == 1
    assert {"lose", "defer"} <= set(plant.book.history(job_id))
    assert len(plant.book.sold(job_id)) == 1
