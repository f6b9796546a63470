"""SIGKILL to each kind of process at the points where it hurts most."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from pipeline import Pipeline
from plant import Plant
from wire_words import commit_of, is_final, request_of

from jobs.machine.rows import Standing
from jobs.machine.states import State
from jobs.store import tables


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    made = Pipeline()
    yield made
    made.close()


@pytest.mark.prove
def test_a_worker_killed_before_anything_could_leave_has_the_order_sent_once_by_the_next(plant: Plant) -> None:
    trap = plant.to_database["worker"].trap(commit_of("UPDATE attempts SET sending_at"), after=False)
    job_id = plant.book.order("gravitex")
    assert trap.caught.wait(60)
    plant.kill("worker")
    assert plant.book.state(job_id) is State.SUBMITTING
    assert plant.book.sold(job_id) == []
    plant.start("worker")
    [case] = plant.book.await_archived(job_id)
    assert case.job.attempt == 1  # provably nothing was sent, so it is the same attempt
    assert "defer" in plant.book.history(job_id)


def test_a_worker_killed_once_bytes_may_have_left_has_nothing_sent_again(plant: Plant) -> None:
    trap = plant.to_database["worker"].trap(commit_of("UPDATE attempts SET sending_at"), after=True)
    job_id = plant.book.order("gravitex")  # which calls nobody back: only its window can end the job
    assert trap.caught.wait(60)
    plant.kill("worker")
    plant.start("worker")
    [case] = plant.book.await_ended(job_id)
    assert (case.job.state, case.job.error_code) == (State.FAILED, "submit_unconfirmed")
    assert case.current is not None
    assert case.current.standing is Standing.UNCERTAIN
    assert plant.book.sold(job_id) == []


@pytest.mark.prove
def test_a_worker_killed_while_the_gateway_answers_leaves_a_job_that_the_callback_claims(plant: Plant) -> None:
    plant.stand_ins.fault("evolink", "late_answer", seconds=30)
    plant.stand_ins.fault("evolink", "delay_callback", seconds=4)
    job_id = plant.book.order("evolink")
    plant.book.await_sold(job_id)
    plant.kill("worker")
    assert plant.book.state(job_id) is State.SUBMITTING
    plant.start("worker")
    [case] = plant.book.await_archived(job_id)
    assert "lose" in plant.book.history(job_id)
    assert case.current is not None
    assert case.current.adopted
    assert len(plant.book.sold(job_id)) == 1


@pytest.mark.prove
def test_a_worker_killed_in_a_query_leaves_it_to_the_next(plant: Plant) -> None:
    plant.stand_ins.fault("easyrouter", "slow_query", seconds=30)
    job_id = plant.book.order("easyrouter")

    def asking() -> bool:
        job = plant.book.case(job_id).job
        return job.state is State.GENERATING and job.lease_holder is not None

    plant.await_(asking, "a query under way")
    plant.kill("worker")
    plant.start("worker")
    plant.book.await_archived(job_id)


@pytest.mark.prove
def test_a_transfer_killed_before_its_put_leaves_no_object_and_the_next_copies_again(plant: Plant) -> None:
    trap = plant.to_bucket["transfer"].trap(request_of("PUT", ".mp4"), after=False)
    job_id = plant.book.order("aivideoapi")
    assert trap.caught.wait(60)
    plant.kill("transfer")
    assert plant.book.case(job_id).job.archive_key not in plant.objects()
    plant.start("transfer")
    plant.book.await_archived(job_id)
    assert plant.book.sold(job_id)[0]["link_hits"]["count"] == 2


def test_a_transfer_killed_after_its_put_leaves_an_object_that_the_next_adopts(plant: Plant) -> None:
    trap = plant.to_bucket["transfer"].trap(request_of("PUT", ".mp4"), after=True, counts=is_final)
    job_id = plant.book.order("aivideoapi")
    assert trap.caught.wait(60)
    plant.kill("transfer")
    assert plant.book.state(job_id) is State.ARCHIVING
    assert plant.book.case(job_id).job.archive_key in plant.objects()
    plant.start("transfer")
    plant.book.await_archived(job_id)
    assert plant.book.sold(job_id)[0]["link_hits"]["count"] == 1  # adopted, not fetched again


def test_a_notifier_killed_before_the_answer_sends_the_same_notice_again(plant: Plant, pipeline: Pipeline) -> None:
    pipeline.answer_late.set()
    job_id = plant.book.order("evolink", notify_url=pipeline.url)
    plant.await_(lambda: pipeline.heard, "a notice on its way")
    plant.kill("notify")
    pipeline.answer_late.clear()
    plant.start("notify")

    def delivered() -> bool:
        with plant.database.read() as db:
            row = sa.select(tables.notices.c.delivered_at).where(tables.notices.c.job_id == job_id)
            return db.execute(row).scalar_one() is not None

    plant.await_(delivered, "the notice's delivery")
    assert len(pipeline.heard) >= 2
    assert len({message_id for message_id, _ in pipeline.heard}) == 1
    assert {body["type"] for _, body in pipeline.heard} == {"job.archived"}


def test_a_web_process_killed_before_it_answers_gives_the_same_job_under_the_same_key(plant: Plant) -> None:
    trap = plant.to_database["web"].trap(commit_of("INSERT INTO jobs", "INSERT INTO idempotency_keys"), after=True)
    order = plant.book.write("gravitex")
    sender = plant.book.in_background(order)
    assert trap.caught.wait(60)
    plant.kill("web")
    sender.join(30)
    assert order.answers == ["ConnectionError"]
    plant.start("web")
    job_id = plant.book.insist(order)
    plant.book.await_archived(job_id)
    assert len(plant.book.sold(job_id)) == 1


def test_a_web_process_killed_with_a_callback_kept_and_nobody_told_loses_nothing(plant: Plant) -> None:
    trap = plant.to_database["web"].trap(commit_of("INSERT INTO inbox"), after=True)
    job_id = plant.book.order("aivideoapi")
    assert trap.caught.wait(60)
    plant.kill("web")
    plant.book.await_archived(job_id)  # while there is no web process
    with plant.database.read() as db:
        kept = db.execute(sa.select(tables.inbox.c.read_at).where(tables.inbox.c.job_id == job_id)).scalars().all()
    assert len(kept) == 1
    assert kept[0] is not None
    assert plant.book.sold(job_id)[0]["callbacks"][0]["status"] is None  # the gateway heard nothing from us


def test_without_a_sweep_polls_wait_and_with_the_next_one_they_come(plant: Plant) -> None:
    plant.kill("sweep")
    job_id = plant.book.order("easyrouter")
    case = plant.book.await_state(job_id, State.GENERATING)
    plant.await_(lambda: plant.book.sold(job_id)[0]["state"] == "finished", "a finished video")
    assert plant.book.state(job_id) is State.GENERATING
    assert case.job.alarm_at is not None
    plant.start("sweep")
    plant.book.await_archived(job_id)
